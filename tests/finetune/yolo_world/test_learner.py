"""The open-vocabulary detector from data to detections: its run directory, its figures, its answers."""

from __future__ import annotations

import csv
import io
import json
import os
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from converters import convert
from converters.sources import read_labels
from finetune.detection.data import labelled_images, open_detection_data
from finetune.detection.evaluation import figures
from finetune.detection.export import export_onnx
from finetune.detection.runtime import read_ultralytics
from finetune.engine.runs import Run, open_run, read_metrics
from finetune.metrics.detection import coco_truth
from finetune.yolo_world.learner import (
    LEARNER,
    YoloWorldConfig,
    evaluate,
    export,
    export_prompts,
    predict,
    train,
)
from finetune.yolo_world.predictor import load_detector
from finetune.yolo_world.prompts import every_phrase, read_table
from finetune.yolo_world.synonyms import best_of_each
from finetune.yolo_world.trainer import set_text
from tests.commands import defectkit
from tests.finetune.yolo_world.detecting import SMALL, make_data, settings, three_subsets
from toolkit.dataset.layouts import load_dataset
from toolkit.errors import ToolkitError
from toolkit.imaging.images import depth_of, read_image
from toolkit.synthetic.product import write_product

CLASSES = (
    "broken_teeth",
    "combined",
    "fabric_border",
    "fabric_interior",
    "rough",
    "split_teeth",
    "squeezed_teeth",
)


SEVERAL = {"rough": ["rough area of a zipper", "scratch"], "combined": ["combined defects of a zipper", "many", "mess"]}


def rows(file: Path) -> list[dict[str, str]]:
    with open(file, newline="", encoding="utf-8") as found:
        return list(csv.DictReader(found))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data <ö> it's"))


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs [1]")
    split = {"file": str(three_subsets(data, folder / "split.csv"))}
    return train(data, settings(plots=True, split=split, phrases=SEVERAL), folder / "run")


class TestRun:
    def test_metrics_have_the_keys_of_the_contract(self, run: Run) -> None:
        found = read_metrics(run)
        assert {"map50", "map50_95", "seconds", "split_sha256", "images", "instances"} <= set(found)
        assert {f"map50_class_{name}" for name in CLASSES} | {f"map50_95_class_{name}" for name in CLASSES} <= set(
            found
        )
        assert found["images"] == 4
        assert "mask_map50" not in found

    def test_predictions_are_coco_results_and_pycocotools_agrees(self, run: Run) -> None:
        results = json.loads((run.root / "predictions.json").read_text())
        assert all(set(one) == {"image_id", "category_id", "bbox", "score"} for one in results)
        with redirect_stdout(io.StringIO()):
            truth = COCO(str(run.root / "truth.json"))
            if not results:
                assert read_metrics(run)["map50"] == 0
                return
            evaluation = COCOeval(truth, truth.loadRes(str(run.root / "predictions.json")), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        found = read_metrics(run)
        assert [found["map50_95"], found["map50"]] == pytest.approx(evaluation.stats[:2].tolist(), abs=1e-9)

    def test_the_environment_says_what_was_done(self, run: Run) -> None:
        found = run.environment()
        assert found["phrases"]["broken_teeth"] == "broken teeth of a zipper"
        assert (found["encoder"], found["weights"], found["metrics_of"]) == ("hash", "none", "test")

    @pytest.mark.parametrize(
        "said",
        ["validation mAP is 0 after 2 epochs while the train loss", "are narrower than 2 px once images are resized"],
    )
    def test_what_a_user_may_wonder_about_is_explained(self, said: str, run: Run) -> None:
        assert any(said in note for note in run.environment()["notes"])

    def test_each_epoch_has_a_row(self, run: Run) -> None:
        found = rows(run.root / "log.csv")
        assert [row["epoch"] for row in found] == ["0", "1"]
        parts = ("train_box_loss", "train_cls_loss", "train_dfl_loss")
        assert float(found[0]["train_loss"]) == pytest.approx(sum(float(found[0][name]) for name in parts))

    def test_checkpoints_and_plots_are_where_they_belong(self, run: Run) -> None:
        assert sorted(path.name for path in run.checkpoints.iterdir()) == ["best.pt", "last.pt"]
        assert (run.plots / "ultralytics/results.png").stat().st_size > 1000
        assert (run.plots / "ultralytics/train_batch0.jpg").is_file()
        assert len(list((run.plots / "overlays").glob("*.png"))) == 4

    def test_the_tree_keeps_background_images_and_is_exact(self, run: Run, data: Path) -> None:
        tree = read_labels(run.root / "data/yolo-detect")
        assert tuple(tree.names) == CLASSES
        assert len(tree) == len(load_dataset(data)) == 17
        assert sum(not image.instances for image in tree) == 3

    def test_nothing_is_left_with_the_data(self, run: Run, data: Path) -> None:
        assert {path.suffix for path in data.rglob("*") if path.is_file()} == {".png"}

    def test_evaluating_it_again_gives_its_own_figures(self, run: Run, data: Path) -> None:
        own = {name: value for name, value in read_metrics(run).items() if name not in ("seconds", "split_sha256")}
        found = {name: None if value != value else value for name, value in evaluate(run).items()}
        assert found == pytest.approx(own)

    def test_all_of_other_data_is_tested_but_what_it_was_trained_on(self, run: Run, data: Path, tmp_path: Path) -> None:
        keys = {one.key: "train" for one in load_dataset(data) if one.split == "test"}
        convert(data, tmp_path / "out", formats=["yolo-segment"], split=keys)
        assert evaluate(run, tmp_path / "out/yolo-segment")["images"] == read_metrics(run)["images"] < 16
        other = write_product(tmp_path / "other", image_size=64, per_class=1, train_good=1, seed=1)
        assert evaluate(run, other)["images"] == 9


def copied(run: Run, folder: Path, config: str) -> Run:
    """A run with the same checkpoints and other settings."""
    folder.mkdir()
    (folder / "config.yaml").write_text(config)
    for name in ("environment.json", "metrics.json", "prompts.pt"):
        os.link(run.root / name, folder / name)
    os.symlink(run.checkpoints, folder / "checkpoints")
    return open_run(folder)


def test_a_detector_that_misses_nothing_has_full_marks(data: Path) -> None:
    config = settings()
    found = open_detection_data(data, config)
    truth = coco_truth(labelled_images(found.source, found.tested[1], config, found.classes), found.classes)
    perfect = [{**one, "score": 0.9} for one in truth["annotations"]]
    told = figures(truth, perfect, masks=True)
    assert told["images"] == 9
    assert {value for name, value in told.items() if "map" in name} == {1.0}


def test_small_instances_are_left_out_of_datasets_and_trees(data: Path, tmp_path: Path) -> None:
    convert(data, tmp_path / "out", formats=["yolo-segment"])
    for root in (data, tmp_path / "out/yolo-segment"):
        config = settings(min_area=20)
        found = open_detection_data(root, config)
        keys = {example.key: "train" for example in found.examples.examples}
        areas = [
            one.area for image in labelled_images(found.source, keys, config, found.classes) for one in image.instances
        ]
        assert 5 < len(areas) < 40
        assert min(areas) >= 20


class TestDetector:
    def test_boxes_lie_in_the_image_best_first(self, run: Run, data: Path) -> None:
        detector = load_detector(run)
        assert detector.classes == CLASSES
        paths = sorted(data.glob("test/*/000.png"))
        found = list(detector.detect(paths, confidence=1e-9))
        assert [one.path for one in found] == paths
        assert len({one.key for one in found}) == len(paths)
        for one in found:
            assert 0 < len(one) <= 100
            assert (one.boxes >= 0).all()
            assert (one.boxes <= 64).all()
            assert (np.diff(one.scores) <= 0).all()
            assert set(one.labels) <= set(CLASSES)

    def test_a_batch_gives_the_same_as_one_by_one_whatever_the_sizes(
        self, run: Run, data: Path, tmp_path: Path
    ) -> None:
        paths = sorted(data.glob("test/*/000.png"))[:3]
        wide = tmp_path / "wide.png"
        cv2.imwrite(str(wide), np.full((40, 90, 3), 128, np.uint8))
        mixed = [paths[0], wide, *paths[1:]]
        detector = load_detector(run)
        together = list(detector.detect(mixed, confidence=1e-9))
        for path, one in zip(mixed, together, strict=True):
            alone = next(iter(load_detector(run).detect([path], confidence=1e-9)))
            assert one.boxes == pytest.approx(alone.boxes, abs=1e-3)
            assert one.scores == pytest.approx(alone.scores, abs=1e-6)
        assert (together[1].width, together[1].height) == (90, 40)

    def test_an_image_of_12_bits_is_seen_as_that_of_8(self, run: Run, data: Path, tmp_path: Path) -> None:
        shallow = min(data.glob("test/rough/*.png"))
        deep = tmp_path / "deep.png"
        cv2.imwrite(str(deep), read_image(shallow).astype(np.uint16) * 16)
        assert depth_of(deep) == 12
        one, other = load_detector(run).detect([shallow, deep], confidence=1e-9)
        assert len(one) > 0
        assert np.array_equal(one.boxes, other.boxes)
        assert np.array_equal(one.scores, other.scores)

    def test_other_words_become_the_labels(self, run: Run, data: Path) -> None:
        detector = load_detector(run)
        path = min(data.glob("test/rough/*.png"))
        ours = next(iter(detector.detect([path], confidence=1e-9)))
        found = next(iter(detector.detect([path], words=["a hole", "größer"], confidence=1e-9)))
        assert set(found.labels) == {"a hole", "größer"}
        again = next(iter(detector.detect([path], confidence=1e-9)))
        assert again.scores == pytest.approx(ours.scores, abs=1e-7)
        same = next(iter(detector.detect([path], words=["broken teeth of a zipper"], confidence=1e-9)))
        kept = np.array([label == "broken_teeth" for label in ours.labels])
        assert same.scores[0] == pytest.approx(ours.scores[kept][0], rel=1e-3) if kept.any() else True

    @pytest.mark.parametrize(
        ("words", "said"), [([], "words: there are none"), (["a/b"], "'a/b'"), (["a", "a"], "twice")]
    )
    def test_words_that_cannot_be_looked_for(self, words: list[str], said: str, run: Run, data: Path) -> None:
        with pytest.raises(ToolkitError, match=said):
            next(load_detector(run).detect(sorted(data.glob("test/*/000.png"))[:1], words=words))

    def test_predictions_are_drawn_and_told(self, run: Run, data: Path, tmp_path: Path) -> None:
        text = (run.root / "config.yaml").read_text().replace("confidence: 0.25", "confidence: 1.0e-09")
        other = copied(run, tmp_path / "run", text)
        paths = sorted(data.glob("test/*/000.png"))[:2]
        found = predict(other, paths, tmp_path / "out")
        assert [row["file"] for row in found] == [str(path) for path in paths]
        told = json.loads((tmp_path / "out/detections.json").read_text())
        assert len(told) == sum(row["detections"] for row in found) > 0
        for row, path in zip(found, paths, strict=True):
            drawn, plain = cv2.imread(str(tmp_path / "out" / row["overlay"])), cv2.imread(str(path))
            assert drawn is not None
            assert plain is not None
            assert drawn.shape == (512, 512, 3)
            assert not np.array_equal(drawn[::8, ::8], plain)


class TestExport:
    def test_onnx_answers_as_pytorch_does(self, run: Run, tmp_path: Path) -> None:
        told = export_onnx(export(run), run, tmp_path / "model.onnx")
        assert told["difference"] < 1e-4
        assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
        assert sorted(path.name for path in run.checkpoints.iterdir()) == ["best.pt", "last.pt"]

    def test_a_file_that_answers_otherwise_is_not_handed_out(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("finetune.engine.outputs.exports._TOLERANCE", -1.0)
        with pytest.raises(ToolkitError, match=r"model.onnx: answers differently from PyTorch"):
            export_onnx(export(run), run, tmp_path / "model.onnx")
        assert not list(tmp_path.iterdir())


class TestPromptTable:
    def test_a_table_trains_as_its_encoder_does(self, data: Path, tmp_path: Path, run: Run) -> None:
        file = tmp_path / "words.pt"
        done = defectkit(
            *("train", "yolo-world", data, "--export-prompts", file),
            *("--set", "prompts=hash", "--set", f"model={SMALL['model']}", "--set", "split.val=0"),
            *("--set", f"phrases={json.dumps(SEVERAL)}"),
        )
        assert done.status == 0, done.err
        assert read_table(file).features.keys() == set(every_phrase(run.environment()["phrases"]))
        split = {"file": str(three_subsets(data, tmp_path / "split.csv"))}
        trained = train(data, settings(prompts=str(file), split=split, epochs=1), tmp_path / "run")
        ours, theirs = rows(run.root / "log.csv"), rows(trained.root / "log.csv")
        assert float(ours[0]["train_loss"]) == pytest.approx(float(theirs[0]["train_loss"]), rel=0.2)
        with pytest.raises(ToolkitError, match="the phrase 'a hole': has no features in the table"):
            next(load_detector(trained).detect(sorted(data.glob("test/*/000.png"))[:1], words=["a hole"]))

    def test_only_yolo_world_has_one(self, data: Path, tmp_path: Path) -> None:
        done = defectkit("train", "vae", data, "--export-prompts", tmp_path / "words.pt")
        assert done.status == 2
        assert "--export-prompts" in done.errors[0]

    def test_a_phrase_with_a_slash(self, data: Path, tmp_path: Path) -> None:
        with pytest.raises(ToolkitError, match=r"the phrase of 'rough' holds '/'"):
            export_prompts(data, settings(phrases={"rough": "rough/fuzzy"}), tmp_path / "words.pt")
        assert not list(tmp_path.iterdir())


IMAGE = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def scored(run: Run) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """What the model of a run makes of an image: for each phrase, for each class; and phrases of each class."""
    phrases = [told if isinstance(told, list) else [told] for told in run.environment()["phrases"].values()]
    features = read_table(run.root / "prompts.pt").stacked([one for told in phrases for one in told])
    found = []
    for wanted in ([[one] for told in phrases for one in told], phrases):
        model: Any = read_ultralytics(run.checkpoints / "best.pt")[0].float().eval()
        set_text(model, wanted, features)
        with torch.no_grad():
            told = model(IMAGE)[0]
        found.append(told[0] if isinstance(told, tuple) else told)
    return found[0], found[1], [len(told) for told in phrases]


class TestSeveralPhrases:
    """A class is found by the best of its phrases, in every way that a run is used."""

    def test_the_run_says_so_and_keeps_features_of_all(self, run: Run) -> None:
        told = run.environment()
        assert told["phrases"]["rough"] == SEVERAL["rough"]
        assert told["phrases"]["split_teeth"] == "split teeth of a zipper"
        assert any(note.startswith("several phrases stand for combined, rough: in training") for note in told["notes"])
        assert {"scratch", "mess", "many"} <= read_table(run.root / "prompts.pt").features.keys()
        assert load_detector(run).classes == CLASSES

    def test_what_is_saved_is_a_plain_model_of_as_many_classes(self, run: Run) -> None:
        saved: Any = read_ultralytics(run.checkpoints / "best.pt")[0]
        assert (tuple(saved.txt_feats.shape), len(saved.names)) == ((1, 7, 512), 7)

    def test_scores_are_the_best_of_each(self, run: Run) -> None:
        """Of the model that predicts, and of the one that is exported; validation saw it, too."""
        each, best, sizes = scored(run)
        assert (each.shape[1], best.shape[1]) == (4 + 10, 4 + 7)
        assert torch.allclose(best[:, 4:], best_of_each(each[:, 4:], sizes), rtol=1e-6, atol=0)
        with torch.no_grad():
            assert torch.allclose(export(run).graphs[0].module(IMAGE), best, atol=1e-5)


def test_masks_with_yoloe(data: Path, tmp_path: Path) -> None:
    model = str(Path(__file__).with_name("tiny-yoloe-seg.yaml"))
    config: dict[str, Any] = {"model": model, "epochs": 1, "batch_size": 8, "phrases": {"rough": ["scratch", "fuzz"]}}
    trained = train(data, settings(**config), tmp_path / "run")
    assert {"map50", "mask_map50", "mask_map50_95"} <= set(read_metrics(trained))
    assert read_labels(trained.root / "data").kind == "yolo-segment"
    carried: Any = read_ultralytics(trained.checkpoints / "best.pt")[0]
    assert (carried.text_encoder, tuple(carried.pe.shape)) == ("hash", (1, 7, 512))
    each, best, sizes = scored(trained)
    masks = each.shape[1] - 4 - 8  # coefficients of masks stand behind the scores
    assert best.shape[1] == 4 + 7 + masks
    assert torch.allclose(best[:, 4:11], best_of_each(each[:, 4:12], sizes), rtol=1e-6, atol=0)
    assert torch.equal(best[:, 11:], each[:, 12:])
    detector = load_detector(trained)
    assert detector.masks
    path = min(data.glob("test/rough/*.png"))
    for words, labels in ((None, CLASSES), (["a hole"], ("a hole",))):
        found = next(iter(detector.detect([path], words=words, confidence=1e-9)))
        assert found.masks is not None
        assert len(found.masks) == len(found) > 0
        assert set(found.labels) <= set(labels)
        assert all(one.mask.shape == (one.bbox[3] - one.bbox[1], one.bbox[2] - one.bbox[0]) for one in found.masks)


def test_real_screws(mvtec_root: Path, tmp_path: Path) -> None:
    config = {"epochs": 1, "batch_size": 8, "split": {"strategy": "uniform", "per_class": 4, "test_per_class": 2}}
    trained = train(mvtec_root / "screw", settings(**config), tmp_path / "run")
    assert read_metrics(trained)["images"] == 12
    assert trained.environment()["phrases"]["scratch_head"] == "scratch head of a screw"
    assert float(rows(trained.root / "log.csv")[0]["train_loss"]) > 0


def test_the_learner_is_registered() -> None:
    assert (LEARNER.config, LEARNER.train, LEARNER.evaluate) == (YoloWorldConfig, train, evaluate)


def test_no_class_name_takes_the_place_of_a_figure() -> None:
    names = ["95", "50", "class_95", "95_class_95"]
    boxes = [{"id": place, "image_id": 1, "category_id": place, "bbox": [9 * place, 0, 8, 8]} for place in (1, 2, 3, 4)]
    truth = {
        "images": [{"id": 1, "key": "a", "width": 64, "height": 64}],
        "annotations": [{**one, "area": 64, "iscrowd": 0} for one in boxes],
        "categories": [{"id": place, "name": name} for place, name in enumerate(names, 1)],
    }
    found = figures(truth, [{**boxes[0], "score": 0.9}], masks=False)
    assert len(found) == 2 + 2 + 2 * len(names) + 2  # all the objects are small
    assert (found["map50_95"], found["map50"], found["map50_class_95"]) == (0.25, 0.25, 1.0)
    assert (found["map50_95_size_small"], found["map50_size_small"]) == (0.25, 0.25)
