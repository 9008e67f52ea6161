"""What a detector refuses: each with one clear error, and nothing left behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from converters import convert
from finetune.detection.data import labelled_images, open_detection_data, write_tree
from finetune.detection.runtime import load_ultralytics, read_ultralytics
from finetune.engine.runs import Run, open_run, start_run
from finetune.metrics.detection import coco_truth
from finetune.yolo_world.learner import evaluate, export, text_features, train
from finetune.yolo_world.models import find_model
from finetune.yolo_world.predictor import load_detector
from finetune.yolo_world.prompts import HASH, TextEmbeddings, encode_phrases, every_phrase, phrases_of_data, write_table
from tests.commands import defectkit
from tests.finetune.yolo_world.detecting import make_data, settings
from toolkit.dataset.layouts import load_dataset
from toolkit.errors import ToolkitError


class _Hostile:
    def __reduce__(self) -> Any:
        return os.mkdir, ("hostile-was-here",)


class _Fetching:
    """A layer that fetches its weights when it is made."""

    def __reduce__(self) -> Any:
        from ultralytics.nn.modules.block import TorchVision

        return TorchVision, ("resnet18", "DEFAULT")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints as ultralytics writes them, whole, damaged and hostile; and tables of features."""
    load_ultralytics()
    from ultralytics.nn.tasks import DetectionModel, WorldModel, YOLOESegModel

    folder = tmp_path_factory.mktemp("files")
    models = {
        "world.pt": WorldModel("yolov8n-worldv2.yaml", nc=80, verbose=False),
        "detect.pt": DetectionModel("yolov8n.yaml", nc=80, verbose=False),
        "yoloe.pt": YOLOESegModel("yoloe-v8s-seg.yaml", nc=80, verbose=False),
    }
    for name, model in models.items():
        torch.save({"epoch": -1, "model": model, "train_args": {}}, folder / name)
    torch.save({"model": models["world.pt"], "extra": _Hostile()}, folder / "hostile.pt")
    torch.save({"model": models["world.pt"], "extra": _Fetching()}, folder / "fetching.pt")
    models["world.pt"].yaml["activation"] = "__import__('os').mkdir('hostile-was-here') or torch.nn.SiLU()"
    torch.save({"model": models["world.pt"]}, folder / "evaluating.pt")
    torch.save({"model": models["world.pt"].state_dict()}, folder / "weights_alone.pt")
    torch.save({"state_dict": {}}, folder / "other.pt")
    torch.save([1, 2], folder / "list.pt")
    (folder / "truncated.pt").write_bytes((folder / "world.pt").read_bytes()[:-2000])
    (folder / "empty.pt").write_bytes(b"")
    (folder / "evaluating.yaml").write_text(
        "activation: __import__('os').mkdir('hostile-was-here')\nnc: 1\nbackbone: [[-1, 1, Conv, [8, 3, 2]]]\n"
        "head: [[-1, 1, WorldDetect, [nc, 512, true]]]\n"
    )
    (folder / "no_layers.yaml").write_text("nc: 3\n")
    phrases = [f"{name} of a zipper" for name in ("broken teeth", "fabric border", "fabric interior", "rough area")]
    phrases += [f"{name} of a zipper" for name in ("split teeth", "squeezed teeth", "combined defects")]
    features = encode_phrases(phrases, HASH).features
    write_table(TextEmbeddings("ViT-B-32-quickgelu/openai", features), folder / "openai.table")
    write_table(TextEmbeddings("RN50/openai", features), folder / "rn50.table")
    write_table(TextEmbeddings("ViT-B-32-quickgelu/0123456789ab", features), folder / "of_a_file.table")
    write_table(TextEmbeddings("x", {phrase: torch.ones(640) for phrase in phrases}), folder / "wide.table")
    return folder


class TestCheckpoints:
    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("truncated.pt", "is no checkpoint of ultralytics: damaged, or made to run code"),
            ("empty.pt", "is no checkpoint of ultralytics: damaged, or made to run code"),
            ("hostile.pt", "is no checkpoint of ultralytics: damaged, or made to run code"),
            ("list.pt", "is no checkpoint of ultralytics"),
            ("other.pt", "is no checkpoint of ultralytics: it holds no model"),
            ("weights_alone.pt", "is no checkpoint of ultralytics: it holds no model"),
            ("detect.pt", r"is neither YOLO-World nor YOLOE with masks \(its head is Detect\)"),
            ("evaluating.pt", r"cannot be built \(.*unsupported activation"),
            ("evaluating.yaml", r"cannot be built \(.*unsupported activation"),
            ("no_layers.yaml", "describes no detector"),
            ("nowhere.pt", "no such file, and no such model of ultralytics"),
            ("nowhere.yaml", "is no architecture that ultralytics can read"),
            ("world.onnx", "is neither a .pt nor a .yaml"),
        ],
    )
    def test_a_model_that_is_none(
        self, name: str, said: str, files: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ToolkitError, match=said) as caught:
            train(data, settings(model=str(files / name)), tmp_path / "run")
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("yoloe.pt", "holds weights of another kind of model"),
            ("hostile.pt", "made to run code"),
            ("x.pt", "no such file"),
        ],
    )
    def test_weights_that_do_not_go_with_the_model(self, name: str, said: str, files: Path) -> None:
        with pytest.raises(ToolkitError, match=f"{name}: .*{said}"):
            find_model("yolov8n-worldv2.yaml", str(files / name))

    def test_a_layer_that_would_fetch_its_weights_is_not_made(
        self, files: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[str] = []
        monkeypatch.setattr("torchvision.models.get_model", lambda name, **_: made.append(name))
        with pytest.raises(ToolkitError, match="is no checkpoint of ultralytics"):
            read_ultralytics(files / "fetching.pt")
        assert made == []

    def test_whole_ones_are_read(self, files: Path) -> None:
        assert type(read_ultralytics(files / "detect.pt")[0]).__name__ == "DetectionModel"
        found = find_model(str(files / "world.pt"), "default")
        assert (found.masks, found.random, found.encoder) == (False, False, "ViT-B-32-quickgelu/openai")
        found = find_model(str(files / "yoloe.pt"), "default")
        assert (found.masks, found.encoder) == (True, "MobileCLIP-B/datacompdr_lt")

    def test_a_name_that_is_not_on_this_machine(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.setattr("urllib.request._opener", None)  # which knows the proxies of before
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        said = r"model yolov8s-worldv2.pt: cannot be fetched from https://github.com/\S+ \(.*refused\); go online once"
        with pytest.raises(ToolkitError, match=said):
            find_model("yolov8s-worldv2.pt", "default")
        assert not list(tmp_path.rglob("*.pt"))


class TestFeatures:
    @pytest.mark.parametrize(
        ("prompts", "said"),
        [
            ("rn50.table", "has features of RN50/openai, but the model was trained with ViT-B-32-quickgelu/openai"),
            ("wide.table", "holds 640 features a phrase, not 512"),
            ("nowhere.table", "cannot be read"),
            ("world.pt", "is no table of features"),
        ],
    )
    def test_a_table_that_does_not_go_with_the_model(
        self, prompts: str, said: str, files: Path, data: Path, tmp_path: Path
    ) -> None:
        with pytest.raises(ToolkitError, match=f"{prompts}: {said}"):
            train(data, settings(model=str(files / "world.pt"), prompts=str(files / prompts)), tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_letters_are_no_features_for_trained_weights(self, files: Path, data: Path, tmp_path: Path) -> None:
        with pytest.raises(ToolkitError, match="hash: has features of hash, but the model was trained with"):
            train(data, settings(model=str(files / "world.pt")), tmp_path / "run")

    @pytest.mark.parametrize(("table", "told"), [("openai.table", False), ("of_a_file.table", True)])
    def test_those_of_its_own_encoder_are_taken(self, table: str, told: bool, files: Path, data: Path) -> None:
        config = settings(model=str(files / "world.pt"), prompts=str(files / table))
        phrases = phrases_of_data(open_detection_data(data, config), config)
        found = text_features(phrases, config, find_model(config.model, "default"))[0]
        assert (found.encoder != "ViT-B-32-quickgelu/openai") == told

    def test_a_phrase_with_a_slash(self, data: Path, tmp_path: Path) -> None:
        with pytest.raises(ToolkitError, match=r"phrases: the phrase of 'rough' holds '/' \('rough/fuzzy'\)"):
            train(data, settings(phrases={"rough": "rough/fuzzy"}), tmp_path / "run")
        assert not (tmp_path / "run").exists()


class TestData:
    def test_no_instances(self, data: Path, tmp_path: Path) -> None:
        keys = {one.key: "train" for one in load_dataset(data) if one.defect == "good"}
        convert(data, tmp_path / "out", formats=["yolo-detect"], split=keys)
        config = settings(split={"strategy": "native"})
        for root in (tmp_path / "out/yolo-detect", data):
            with pytest.raises(ToolkitError, match="holds no instances"):
                train(root, config, tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_a_tree_of_classes(self, data: Path, tmp_path: Path) -> None:
        convert(data, tmp_path / "out", formats=["yolo-classify"])
        with pytest.raises(ToolkitError, match="says nothing of where defects are"):
            train(tmp_path / "out/yolo-classify", settings(), tmp_path / "run")

    def test_files_at_fault_leave_no_run(self, tmp_path: Path) -> None:
        root = make_data(tmp_path / "data")
        cv2.imwrite(str(root / "ground_truth/rough/000_mask.png"), np.zeros((64, 64), np.uint8))
        with pytest.raises(ToolkitError, match="the mask of a defect image is all zero"):
            train(root, settings(), tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_classes_that_the_run_does_not_know(self, data: Path) -> None:
        config = settings(classes="binary")
        found = open_detection_data(data, config)
        images = labelled_images(found.source, found.tested[1], config, found.classes)
        with pytest.raises(ToolkitError, match="shows a 'defect', which is no class; known are dent"):
            coco_truth(images, ["dent"])


class TestSettings:
    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"device": "cuda"}, r'device cuda: there is no such GPU \(0 found\); use device="cpu" or auto'),
            ({"devices": 2}, r"devices 2: there are 0 GPUs; use devices=1 or fewer"),
        ],
    )
    def test_gpus_that_are_not_there(self, changed: Any, said: str, data: Path, tmp_path: Path) -> None:
        with pytest.raises(ToolkitError, match=said):
            train(data, settings(**changed), tmp_path / "run")
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"image_size": 100}, "image_size: input should be a multiple of 32"),
            ({"lr": 2.0}, "lr: input should be less than or equal to 1"),
            ({"freeze": "all"}, "freeze: input should be 'none', 'backbone' or 'neck'"),
            ({"promts": "hash"}, "unknown key 'promts'; did you mean prompts"),
            ({"confidence": 2}, "confidence: input should be less than 1"),
        ],
    )
    def test_values_that_mean_nothing(self, changed: Any, said: str) -> None:
        with pytest.raises(ToolkitError, match=said):
            settings(**changed)


class TestRuns:
    @pytest.fixture
    def begun(self, data: Path, tmp_path: Path) -> Run:
        """A run that was interrupted before its first epoch was done."""
        found = open_detection_data(data, settings())
        phrases = phrases_of_data(found, settings())
        told = {
            "phrases": phrases,
            "masks": False,
            "encoder": "hash",
            "encoder_used": "a=b",
            "metrics_of": "test",
        }
        run = start_run(tmp_path / "run", "yolo-world", settings(), subsets=found.examples.subsets, data=data, **told)
        write_table(encode_phrases(every_phrase(phrases), HASH), run.root / "prompts.pt")
        return run

    def test_one_that_did_not_go_to_its_end(self, begun: Run, tmp_path: Path) -> None:
        for ask in (evaluate, load_detector, export):
            with pytest.raises(
                ToolkitError, match="has no checkpoint: it did not go to its end; train it with resume=True"
            ):
                ask(begun)

    @pytest.mark.parametrize(("name", "said"), [("hostile.pt", "made to run code"), ("truncated.pt", "damaged")])
    def test_a_checkpoint_that_was_tampered_with(
        self, name: str, said: str, begun: Run, files: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        for target in ("best.pt", "last.pt"):
            (begun.checkpoints / target).write_bytes((files / name).read_bytes())
        with pytest.raises(ToolkitError, match=said):
            load_detector(begun)
        with pytest.raises(ToolkitError, match=said):
            train(data, settings(), begun.root, True)
        assert not (tmp_path / "hostile-was-here").exists()

    def test_a_cache_of_labels_that_was_tampered_with(
        self, begun: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        found = open_detection_data(data, settings())
        write_tree(found, begun, settings(), masks=False)
        cache = begun.root / "data/yolo-detect/labels/train.cache"
        np.save(cache.with_suffix(".npy"), np.array({"a": _Hostile()}, dtype=object), allow_pickle=True)
        cache.with_suffix(".npy").rename(cache)
        write_tree(found, begun, settings(), masks=False)
        assert not cache.exists()

    def test_one_of_another_learner(self, begun: Run) -> None:
        text = (begun.root / "environment.json").read_text().replace('"yolo-world"', '"vae"')
        (begun.root / "environment.json").write_text(text)
        with pytest.raises(ToolkitError, match="is a run of vae, not of yolo-world"):
            load_detector(open_run(begun.root))

    def test_words_are_for_detectors_alone(self, begun: Run, data: Path, tmp_path: Path) -> None:
        text = (begun.root / "environment.json").read_text().replace('"yolo-world"', '"vae"')
        (begun.root / "environment.json").write_text(text)
        done = defectkit("predict", begun.root, data / "test/rough", "--out", tmp_path / "out", "--words", "a hole")
        assert (done.status, done.errors) == (
            2,
            [f"error: --words: {begun.root} is a run of vae; use it with a run of yolo-world"],
        )
