"""The segmenter from data to masks: its run directory, its figures, its answers, and what it refuses."""

from __future__ import annotations

import csv
import gc
import json
import os
import platform
import signal
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from segment_anything import SamPredictor

from converters import convert
from converters.sources import read_labels
from converters.verification.verify import verify
from finetune.engine.devices import seed_all
from finetune.engine.remarks.telling import listening
from finetune.engine.runs import Run, open_run, read_config, read_metrics
from finetune.engine.splits import open_examples
from finetune.metrics.detection import Detections, coco_truth
from finetune.sam.data import read_instances
from finetune.sam.learner import LEARNER, SamConfig, evaluate, load_segmenter, mask_ap, predict, train
from finetune.sam.metrics import FIGURES, PROMPTS
from finetune.sam.models import PUBLISHED, Published, build_sam, read_sam_weights, save_sam
from tests.commands import defectkit
from tests.finetune.sam.segmenting import SMALL, config, write_blobs
from tests.processes import finish, start
from toolkit.dataset.layouts import load_dataset
from toolkit.errors import ToolkitError
from toolkit.files.digests import file_digest
from toolkit.imaging.images import read_image


def rows(file: Path) -> list[dict[str, str]]:
    with open(file, newline="", encoding="utf-8") as found:
        return list(csv.DictReader(found))


def figures(run: Run) -> dict[str, Any]:
    return {name: value for name, value in read_metrics(run).items() if name not in ("seconds", "split_sha256")}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_blobs(tmp_path_factory.mktemp("data"), good=2)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(data, config(), tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def uncached(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(data, config(cache="none"), tmp_path_factory.mktemp("uncached") / "run")


class TestRun:
    def test_metrics_have_the_keys_of_the_contract(self, run: Run) -> None:
        found = read_metrics(run)
        for prompt in PROMPTS:
            for figure in FIGURES:
                assert 0 <= found[f"{figure}_{prompt}"] <= 1
                assert 0 <= found[f"untuned_{figure}_{prompt}"] <= 1
        assert {"iou_box_class_bar", "untuned_iou_point_class_blob", "iou_box_size_small"} <= set(found)
        assert (found["images"], found["instances"]) == (2, 2)

    def test_predictions_have_a_row_for_each_test_instance(self, run: Run, data: Path) -> None:
        found = rows(run.root / "predictions.csv")
        tested = [one for one in open_examples(data).subset("test") if one.label != "good"]
        assert [row["key"] for row in found] == [one.key for one in tested]
        mean = np.mean([float(row["boundary_iou_clicks3"]) for row in found])
        assert read_metrics(run)["boundary_iou_clicks3"] == pytest.approx(mean)

    def test_the_environment_says_what_was_done(self, run: Run) -> None:
        found = run.environment()
        assert found["best_chosen_on"] == "the val subset"
        assert found["weights"] == "none"
        assert found["instances"] == {"train": 8, "val": 2, "test": 2}
        assert found["epochs"] == 3

    def test_epochs_that_follow_from_the_data_are_told_and_a_finished_run_is_known_again(
        self, data: Path, tmp_path: Path
    ) -> None:
        told: list[str] = []
        asked = config(epochs=0, min_steps=1, refinement_steps=0, batch_size=8, prompts_per_image=1)
        with pytest.MonkeyPatch.context() as patched, listening(lambda kind, text: told.append(text)):
            patched.setattr("finetune.sam.config._EPOCHS", 2)
            made = train(data, asked, tmp_path / "run")
            assert [text.partition(":")[0] for text in told if text.startswith("epoch ")] == [
                "epoch 1 of 2",
                "epoch 2 of 2",
            ]
            assert read_config(made, SamConfig).epochs == 0
            assert train(data, asked, tmp_path / "run", resume=True) == made

    def test_pictures_are_drawn(self, run: Run) -> None:
        assert all(cv2.imread(str(run.plots / name)) is not None for name in ("instances.png", "iou.png"))

    def test_embeddings_of_images_with_instances_are_kept(self, run: Run) -> None:
        assert len(list((run.root / "cache").glob("*/*.emb"))) == 12

    def test_the_best_epoch_is_that_of_the_highest_validation_iou(self, run: Run) -> None:
        found = [float(row["val_iou"]) for row in rows(run.root / "log.csv")]
        best = torch.load(run.checkpoints / "best.ckpt", weights_only=True)["epoch"]
        assert best == int(np.argmax(found))
        assert len(set(found)) == len(found)

    def test_training_lowers_the_loss(self, run: Run) -> None:
        found = rows(run.root / "log.csv")
        assert float(found[-1]["train_loss"]) < float(found[0]["train_loss"])

    def test_evaluating_it_again_gives_its_own_figures(self, run: Run) -> None:
        assert evaluate(open_run(run.root)) == pytest.approx(figures(run))

    def test_of_the_same_data_elsewhere_only_test_images_are_judged(self, run: Run, data: Path) -> None:
        assert evaluate(run, data) == pytest.approx(figures(run))

    def test_all_images_of_other_data_are_judged(self, run: Run, tmp_path: Path) -> None:
        found = evaluate(run, write_blobs(tmp_path / "other", seed=1))
        assert (found["images"], found["instances_class_bar"], found["instances_class_blob"]) == (12, 6, 6)

    def test_the_same_seed_gives_the_same_numbers(self, run: Run, data: Path, tmp_path: Path) -> None:
        again = train(data, config(), tmp_path / "again")
        assert figures(again) == figures(run)
        assert (again.root / "predictions.csv").read_bytes() == (run.root / "predictions.csv").read_bytes()
        assert figures(train(data, config(seed=1, epochs=1), tmp_path / "other")) != figures(run)

    def test_a_run_that_is_killed_goes_on_to_the_same_numbers(self, run: Run, data: Path, tmp_path: Path) -> None:
        program = (
            "import json, os, signal, sys; from pathlib import Path; from finetune.sam.learner import *;"
            "from finetune.engine.config import parse_config;"
            "stop = lambda done, all: os.kill(os.getpid(), signal.SIGKILL) if (done, all) == (2, 3) else None;"
            "train(Path(sys.argv[1]), parse_config(SamConfig, json.loads(sys.argv[2])), Path(sys.argv[3]), False, stop)"
        )
        out = tmp_path / "run"
        assert finish(start(program, data, json.dumps(SMALL), out)) == -signal.SIGKILL
        assert not (out / "metrics.json").exists()
        assert figures(train(data, config(), out, resume=True)) == figures(run)

    def test_the_command_trains_and_evaluates(self, data: Path, tmp_path: Path) -> None:
        settings = [f"--set={name}={value}" for name, value in {**SMALL, "epochs": 1, "refinement_steps": 0}.items()]
        done = defectkit("train", "sam", data, "--out", tmp_path / "run", "--json", *settings)
        assert done.status == 0, done.err
        told = defectkit("evaluate", tmp_path / "run", "--json").json()["metrics"]
        assert told["iou_box"] == pytest.approx(done.json()["metrics"]["iou_box"])


class TestCache:
    def test_a_cached_epoch_has_the_losses_of_an_uncached_one(self, run: Run, uncached: Run) -> None:
        pairs = list(zip(rows(run.root / "log.csv"), rows(uncached.root / "log.csv"), strict=True))
        assert len(pairs) == 3
        for cached, other in pairs:
            for name in ("train_loss", "val_loss"):
                assert float(cached[name]) == pytest.approx(float(other[name]), abs=1e-3)
        assert not (uncached.root / "cache").exists()

    def test_a_checkpoint_leaves_a_frozen_encoder_out(self, run: Run, uncached: Run) -> None:
        for one in (run, uncached):
            state = torch.load(one.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
            assert not any("image_encoder" in name for name in state)

    def test_the_views_of_training_images_are_kept_and_what_they_take_is_said(
        self, run: Run, data: Path, tmp_path: Path, tiny_steps: dict[str, Any]
    ) -> None:
        made = train(data, config(**tiny_steps, views=4), tmp_path / "run")
        entries = sorted(file.name.count(".") for file in (made.root / "cache").glob("*/*.emb"))
        assert entries == [1] * 12 + [2] * 3 * 8
        (told,) = (note for note in made.environment()["notes"] if note.startswith("embeddings of "))
        assert told.startswith("embeddings of 36 pictures (8 training images in 4 views each; --set views=1 makes one)")
        assert "0.1 MB in " in told
        (plain,) = (note for note in run.environment()["notes"] if note.startswith("embeddings of "))
        assert plain.startswith("embeddings of 12 pictures take 0.0 MB in ")

    def test_a_folder_is_shared_between_runs_and_a_damaged_entry_is_said(self, data: Path, tmp_path: Path) -> None:
        told = config(cache=str(tmp_path / "cache"), epochs=1, refinement_steps=0)
        first = train(data, told, tmp_path / "one")
        entry = sorted((tmp_path / "cache").glob("*/*.emb"))[3]
        sound = entry.read_bytes()
        entry.write_bytes(sound[:-2])
        second = train(data, told, tmp_path / "two")
        assert entry.read_bytes() == sound
        assert [entry.name in note for note in second.environment()["notes"]].count(True) == 1
        assert figures(second) == figures(first)
        assert not (second.root / "cache").exists()


class TestCheckpoints:
    @pytest.mark.parametrize("name", ["best", "last"])
    def test_they_load_in_metas_format_and_give_the_same_masks(self, name: str, run: Run, data: Path) -> None:
        sam = build_sam("tiny", 64, run.checkpoints / f"{name}.pth")
        predictor, image = SamPredictor(sam), data / "test/blob/000.png"
        predictor.set_image(np.ascontiguousarray(read_image(image)[:, :, ::-1]))
        boxes = np.array([[10.0, 10.0, 40.0, 30.0], [0.0, 0.0, 64.0, 48.0]])
        expected = [predictor.predict(box=box, multimask_output=False)[0][0] for box in boxes]
        if name == "best":
            assert np.array_equal(load_segmenter(open_run(run.root)).segment(image, boxes)[0], expected)
        before = untuned()
        tuned = {key for key, value in sam.state_dict().items() if not torch.equal(value, before[key])}
        assert {key.partition(".")[0] for key in tuned} == {"mask_decoder", "prompt_encoder"}

    @pytest.mark.parametrize(
        ("settings", "changed"),
        [
            ({"lora": 2}, {"qkv", "proj"}),
            (
                {"train_encoder": True, "views": "auto", "accumulate": 3, "activation_checkpointing": True},
                {"qkv", "proj", "lin1", "pos_embed"},
            ),
            ({"train_prompt_encoder": False}, set()),
        ],
        ids=["lora", "encoder", "decoder"],
    )
    def test_what_is_trained_is_in_them(
        self, settings: dict[str, Any], changed: set[str], data: Path, tmp_path: Path
    ) -> None:
        made = train(data, config(epochs=1, refinement_steps=0, **settings), tmp_path / "run")
        state, before = read_sam_weights("tiny", made.checkpoints / "best.pth"), untuned()
        assert set(state) == set(before)
        moved = {key for key, value in state.items() if not torch.equal(value, before[key])}
        encoder = {key for key in moved if key.startswith("image_encoder.")}
        steps = torch.load(made.checkpoints / "last.ckpt", weights_only=True)["global_step"]
        assert steps == (1 if "accumulate" in settings else 2)
        assert all(any(part in key for key in encoder) for part in changed)
        assert bool(encoder) == bool(changed)
        assert any(key.startswith("mask_decoder.") for key in moved)
        assert any(key.startswith("prompt_encoder.") for key in moved) == settings.get("train_prompt_encoder", True)
        if "lora" in settings:
            assert all("attn.qkv.weight" in key or "attn.proj.weight" in key for key in encoder)
        assert (made.root / "cache").exists() == (not changed)
        assert evaluate(open_run(made.root)) == pytest.approx(figures(made))


@pytest.fixture
def tiny_steps() -> dict[str, Any]:
    return {"epochs": 1, "refinement_steps": 0}


def untuned_sam(size: int = 64) -> Any:
    """The model that every run of this size here begins with."""
    seed_all(0)
    return build_sam("tiny", size)


def untuned() -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = untuned_sam().state_dict()
    return state


class TestPredict:
    def test_images_in_a_tree_of_boxes_are_segmented_by_them(self, run: Run, data: Path, tmp_path: Path) -> None:
        convert(load_dataset(data), tmp_path / "tree", formats=["yolo-detect"])
        images = sorted((tmp_path / "tree/yolo-detect/images/test").glob("*b*__00[01].png"))
        assert len(images) == 4
        found = predict(run, images, tmp_path / "out")
        assert {(row["prompts"], row["instances"]) for row in found} <= {("boxes", 1), ("boxes", 0)}
        segmenter = load_segmenter(run)
        known = {entry.sample.image: entry.labelled() for entry in read_labels(tmp_path / "tree/yolo-detect").records}
        for row in found:
            (instance,) = known[Path(row["file"])].instances
            (mask,), _ = segmenter.segment(Path(row["file"]), np.array([instance.bbox]))
            drawn = cv2.imread(str(tmp_path / "out" / row["mask"]), cv2.IMREAD_UNCHANGED)
            assert drawn is not None
            assert np.array_equal(drawn, mask.astype(np.uint8))
            assert cv2.imread(str(tmp_path / "out" / row["overlay"])) is not None
        assert {Path(row["mask"]).name for row in found} == {image.name for image in images}
        assert verify(tmp_path / "out/labels").failures == ()
        assert {one.label for image in read_labels(tmp_path / "out/labels/coco") for one in image.instances} <= {
            "blob",
            "bar",
        }

    @pytest.mark.parametrize("least", [0.0, 1.0])
    def test_others_are_segmented_whole_by_a_grid_of_points(
        self, least: float, run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def closed(*_: Any, **__: Any) -> None:
            raise PermissionError("a folder above that is closed")

        # It looks through all that stands in a folder.
        monkeypatch.setattr("converters.sources.suspected_format", None)
        if least == 1.0:
            monkeypatch.setattr("finetune.sam.inference.read_labels", closed)
        text = (run.root / "config.yaml").read_text()
        other = tmp_path / "run"
        other.mkdir()
        os.link(run.root / "environment.json", other / "environment.json")
        os.symlink(run.checkpoints, other / "checkpoints")
        for name, value in {"points_per_side": 3, "predicted_iou": least, "stability": least}.items():
            text = "\n".join(f"{name}: {value}" if line.startswith(name) else line for line in text.splitlines())
        (other / "config.yaml").write_text(text)
        (row,) = predict(open_run(other), [data / "test/blob/000.png"], tmp_path / "out")
        assert row["prompts"] == "points"
        drawn = cv2.imread(str(tmp_path / "out" / row["mask"]), cv2.IMREAD_UNCHANGED)
        assert drawn is not None
        assert drawn.shape == (48, 64)
        assert (row["instances"] == 0) == (least == 1.0)
        assert drawn.max() == row["instances"]
        assert row["instances"] > 1 or least == 1.0


class TestMaskAp:
    def test_it_is_made_of_the_boxes_and_the_masks(self, run: Run, data: Path) -> None:
        images = read_instances(open_examples(data).examples, data)
        truth = coco_truth(images, ["bar", "blob"])
        found = [
            Detections(
                image.key,
                image.path or Path(),
                image.width,
                image.height,
                np.array([one.bbox for one in image.instances], np.float64).reshape(-1, 4),
                np.full(len(image.instances), 0.9),
                tuple(one.label for one in image.instances),
            )
            for image in images
        ]
        precision = mask_ap(load_segmenter(run), found, truth)
        assert 0 <= precision.map50_95 <= precision.map50 <= 1
        assert set(precision.per_class) == {"bar", "blob"}
        assert mask_ap(load_segmenter(run), [], truth).map50 == 0

        class Knowing:
            """Cuts out what is true."""

            def segment(self, path: Path, boxes: Any) -> tuple[Any, Any]:
                (image,) = (one for one in images if one.path == path)
                masks = np.zeros((len(boxes), image.height, image.width), np.bool_)
                for mask, one in zip(masks, image.instances, strict=True):
                    x0, y0, x1, y1 = one.bbox
                    mask[y0:y1, x0:x1] = one.mask
                return masks, np.ones(len(boxes))

        class Blind(Knowing):
            """Sees nothing in any box."""

            def segment(self, path: Path, boxes: Any) -> tuple[Any, Any]:
                masks, quality = super().segment(path, boxes)
                return masks & False, quality

        assert mask_ap(Knowing(), found, truth).map50_95 == 1  # type: ignore[arg-type]
        assert mask_ap(Blind(), found, truth).map50 == 0  # type: ignore[arg-type]


class TestRefusals:
    def refuse(self, data: Path, out: Path, message: str, **settings: Any) -> None:
        with pytest.raises(ToolkitError, match=message):
            train(data, config(**settings), out)
        assert not out.exists()

    def test_data_without_instances(self, tmp_path: Path) -> None:
        data = write_blobs(tmp_path / "data", images=0, good=4)
        self.refuse(data, tmp_path / "run", "holds no instance: there is nothing to segment")

    @pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
    def test_a_gpu_where_there_is_none(self, data: Path, tmp_path: Path) -> None:
        self.refuse(data, tmp_path / "run", r"device cuda: there is no such GPU", device="cuda")

    @pytest.mark.filterwarnings("ignore::ResourceWarning")
    def test_weights_that_cannot_be_fetched(self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
        monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
        url = r"https://dl\.fbaipublicfiles\.com/segment_anything/sam_vit_b_01ec64\.pth"
        told = rf'weights of vit_b: cannot be fetched from {url} \(.*refused\); go online once .*weights="none"'
        self.refuse(data, tmp_path / "run", told, model="vit_b", image_size=1024)
        gc.collect()  # the system's own socket is closed here, where that is no fault

    def test_weights_of_another_model(self, data: Path, tmp_path: Path) -> None:
        save_sam(build_sam("tiny", 64), tmp_path / "tiny.pth")
        told = {"model": "vit_b", "image_size": 1024, "weights": str(tmp_path / "tiny.pth")}
        self.refuse(data, tmp_path / "run", 'is a checkpoint of tiny, not of vit_b; use model="tiny"', **told)

    def test_an_image_size_that_meta_does_not_have(self) -> None:
        with pytest.raises(ToolkitError, match="vit_b takes images of 1024 px"):
            config(model="vit_b")

    def test_two_ways_to_change_the_encoder(self) -> None:
        with pytest.raises(ToolkitError, match="lora and train_encoder both change the image encoder"):
            config(lora=2, train_encoder=True)

    def test_a_detector_that_is_none(self, run: Run, data: Path, tmp_path: Path) -> None:
        self.refuse(data, tmp_path / "run", "is a run of sam, not of yolo or yolo-world", detector=str(run.root))
        self.refuse(data, tmp_path / "run", "no such run", detector=str(tmp_path / "none"))

    def test_weights_that_have_changed_since(self, data: Path, tmp_path: Path) -> None:
        weights = tmp_path / "tiny.pth"
        torch.manual_seed(5)
        save_sam(build_sam("tiny", 64), weights)
        made = train(data, config(epochs=1, refinement_steps=0, weights=str(weights)), tmp_path / "run")
        assert evaluate(made) == pytest.approx(figures(made))
        save_sam(build_sam("tiny", 64), weights)
        with pytest.raises(ToolkitError, match="is not the file that the run began with"):
            evaluate(made)
        weights.unlink()
        with pytest.raises(ToolkitError, match="is gone, and the run began with it"):
            evaluate(made)

    def test_a_process_whose_first_one_never_began(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setattr("finetune.sam.learner._PATIENCE", 0.2)
        self.refuse(data, tmp_path / "run", "was not made by the first process")

    def test_a_run_that_did_not_end(self, run: Run, tmp_path: Path) -> None:
        for name in ("config.yaml", "environment.json"):
            (tmp_path / name).write_bytes((run.root / name).read_bytes())
        with pytest.raises(ToolkitError, match=r"has no checkpoints/best\.pth.*resume=True"):
            load_segmenter(open_run(tmp_path))

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
    def test_a_full_disk_while_embedding_and_the_run_goes_on(self, run: Run, data: Path, tmp_path: Path) -> None:
        own = {file_digest(image) for image in data.rglob("*.png")}  # others were evaluated with this run
        kept = sorted(file for file in (run.root / "cache").glob("*/*.emb") if file.stem in own)
        folder = tmp_path / "cache" / kept[0].parent.name
        folder.mkdir(parents=True)
        (folder / f".{kept[5].stem}.{platform.node()}.{os.getpid()}.partial").symlink_to("/dev/full")
        told = config(cache=str(tmp_path / "cache"), epochs=1, refinement_steps=0)
        with pytest.raises(ToolkitError, match=r"No space left on device.*stays valid"):
            train(data, told, tmp_path / "run")
        written = list(folder.glob("*.emb"))
        assert all(file.read_bytes() == (kept[0].parent / file.name).read_bytes() for file in written)
        assert train(data, told, tmp_path / "run", resume=True).finished


def test_weights_by_default_are_those_that_are_given_out(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_steps: dict[str, Any]
) -> None:
    folder = tmp_path / "hub/checkpoints"
    folder.mkdir(parents=True)
    torch.manual_seed(5)
    digest = save_sam(build_sam("tiny", 64), folder / "tiny.pth")
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    monkeypatch.setitem(PUBLISHED, "tiny", Published("https://example.org/tiny.pth", digest))
    found = train(data, config(**tiny_steps), tmp_path / "run").environment()
    told = {name: found[name] for name in ("weights", "weights_sha256", "weights_source", "weights_licence")}
    assert told == {
        "weights": str(folder / "tiny.pth"),
        "weights_sha256": digest,
        "weights_source": "https://example.org/tiny.pth",
        "weights_licence": "Apache-2.0",
    }


def test_the_learner_is_registered() -> None:
    assert (LEARNER.config, LEARNER.train, LEARNER.evaluate, LEARNER.predict) == (SamConfig, train, evaluate, predict)
