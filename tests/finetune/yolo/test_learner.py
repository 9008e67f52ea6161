"""A detector of given classes from data to masks: its run, its figures, its labels, its file."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from unittest.mock import MagicMock

import cv2
import numpy as np
import pytest
import yaml
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from pycocotools.mask import decode

import finetune
from converters import convert
from converters.sources import read_labels
from finetune import autolabel, load_run
from finetune.detection.evaluation import MeasuredDetections, cut_detections
from finetune.detection.runtime import load_ultralytics
from finetune.detection.tiles.merging import FAINTEST, merge_tiles
from finetune.detectors import with_tiles
from finetune.engine.remarks.telling import listening
from finetune.engine.runs import Run, open_run, read_metrics
from finetune.yolo.learner import evaluate, predict, train
from finetune.yolo.predictor import load_detector
from tests.commands import defectkit
from tests.finetune.yolo.plain import BOXES, settings
from tests.finetune.yolo_world.detecting import make_data
from toolkit.errors import ToolkitError
from toolkit.geometry.tiles import Tiles, tile_windows

LOW = 1e-3  # nearly all that an untrained model suspects


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def tracker() -> Iterator[MagicMock]:
    """A stand-in for the package wandb, which ultralytics' own callbacks are given."""
    load_ultralytics()
    wandb = MagicMock(__version__="0", __spec__=ModuleSpec("wandb", None), run=None)
    wandb.init.side_effect = lambda **told: setattr(wandb, "run", MagicMock(id="x"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "wandb", wandb)
        patch.setattr("ultralytics.utils.TESTS_RUNNING", False)
        patch.delitem(sys.modules, "ultralytics.utils.callbacks.wb", raising=False)
        yield wandb
        sys.modules.pop("ultralytics.utils.callbacks.wb", None)


@pytest.fixture(scope="module")
def run(data: Path, tracker: MagicMock, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with masks, whose figures are logged."""
    train_settings = {"mask_ratio": 1, "copy_paste": 0.5}
    config = settings(instances="image", train=train_settings, confidence=LOW, logger="wandb")
    return train(data, config, tmp_path_factory.mktemp("runs") / "run")


def test_figures_are_logged_by_ultralytics_own_callbacks(run: Run, tracker: MagicMock) -> None:
    (begun,) = tracker.init.call_args_list
    assert (begun.kwargs["project"], begun.kwargs["name"]) == ("defectkit", "run")
    logged = {name for call in tracker.run.log.call_args_list for name in call.args[0]}
    assert {"train/box_loss", "lr/pg0", "metrics/mAP50(B)", "epoch"} <= logged
    assert tracker.finish.called


def with_settings(run: Run, folder: Path, **changed: object) -> Run:
    """The same run with other lines in its config.yaml."""
    folder.mkdir()
    for path in run.root.iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "config.yaml").unlink()
    told = yaml.safe_load((run.root / "config.yaml").read_text()) | changed
    (folder / "config.yaml").write_text(yaml.safe_dump(told))
    return open_run(folder)


def test_images_that_reach_the_number_that_is_kept_are_said(run: Run, data: Path, tmp_path: Path) -> None:
    few = with_settings(run, tmp_path / "few", max_detections=1, confidence=1e-4)
    paths = sorted(data.glob("test/rough/*.png"))
    told: list[str] = []
    with listening(lambda kind, text: told.append(text)):
        rows = predict(few, paths, tmp_path / "out")
        evaluate(few)
    assert [row["detections"] for row in rows] == [1, 1]
    said = f"reached max_detections=1: what else was found in them is left out; write max_detections: 3 in {few.root}"
    assert told[0].startswith(f"2 image(s) {said}")
    report = autolabel(few, data / "test/rough", tmp_path / "labels", confidence=1e-4)
    assert any(f"2 image(s) {said}" in note for note in report.notes)
    told.clear()
    with listening(lambda kind, text: told.append(text)):
        predict(with_tiles(few, 32, 0.0), paths[:1], tmp_path / "tiled")
    assert told[0].startswith("1 image(s) reached max_detections=1 in a tile: ")
    told.clear()
    with listening(lambda kind, text: told.append(text)):
        predict(with_settings(run, tmp_path / "many", max_detections=9000), paths[:1], tmp_path / "other")
    assert told == []


def test_what_is_cut_below_any_use_is_not_worth_a_word(run: Run) -> None:
    detector = load_detector(run)
    found = MeasuredDetections({}, [], {}, {}, [], [], [0.002, 0.009])
    assert cut_detections(found, detector, run) == []
    (note,) = cut_detections(replace(found, full=[0.002, 0.03, 0.1]), detector, run)
    assert note.startswith("2 image(s) reached max_detections=100: ")
    assert "left out, none with a score above 0.1;" in note


def test_metrics_are_of_boxes_and_masks_by_class_and_size(run: Run) -> None:
    found = read_metrics(run)
    assert {"map50", "map50_95", "mask_map50", "mask_map50_95", "false_reject", "seconds"} <= set(found)
    for start in ("map50", "map50_95", "mask_map50", "mask_map50_95"):
        assert f"{start}_class_rough" in found
        assert f"{start}_size_small" in found
    assert found["images"] == 9
    again = {name: None if value != value else value for name, value in evaluate(run).items()}
    assert again == pytest.approx({name: value for name, value in found.items() if name in again})
    assert found.keys() - again.keys() == {"seconds", "split_sha256"}


@pytest.mark.parametrize(("kind", "start"), [("bbox", ""), ("segm", "mask_")])
def test_pycocotools_agrees(kind: str, start: str, run: Run) -> None:
    results = json.loads((run.root / "predictions.json").read_text())
    assert results
    assert all(set(one) == {"image_id", "category_id", "bbox", "score", "segmentation"} for one in results)
    with redirect_stdout(io.StringIO()):
        truth = COCO(str(run.root / "truth.json"))
        evaluation = COCOeval(truth, truth.loadRes(str(run.root / "predictions.json")), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    found = read_metrics(run)
    told = [found[f"{start}{name}"] for name in ("map50_95", "map50", "map50_95_size_small")]
    assert told == pytest.approx(evaluation.stats[[0, 1, 3]].tolist(), abs=1e-9)


def test_the_run_says_what_it_is(run: Run) -> None:
    found = run.environment()
    assert (found["learner"], found["masks"], found["weights"]) == ("yolo", True, "none")
    assert found["classes"][:2] == ["broken_teeth", "combined"]
    assert read_labels(run.root / "data").kind == "yolo-segment"
    assert len(list((run.plots / "overlays").glob("*.png"))) == 9
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["best.pt", "last.pt"]


def test_what_is_predicted_is_listed_with_its_mask(run: Run, data: Path, tmp_path: Path) -> None:
    path = min(data.glob("test/rough/*.png"))
    (row,) = predict(run, [path], tmp_path / "out")
    listed = json.loads((tmp_path / "out/detections.json").read_text())
    told = load_run(run.root).predict(path)
    assert row["detections"] == len(listed) == len(told.classes) > 0
    assert told.masks is not None
    for one, mask in zip(listed, told.masks, strict=True):
        assert np.array_equal(decode(one["segmentation"]), mask)
    assert cv2.imread(str(tmp_path / "out" / str(row["overlay"]))) is not None


def test_images_are_labelled_with_its_masks_alone(run: Run, data: Path, tmp_path: Path) -> None:
    report = autolabel(run, data / "test/rough", tmp_path / "out", confidence=LOW, formats=["coco", "masks"])
    assert report.instances > 0
    assert sum(len(image.instances) for image in read_labels(tmp_path / "out/coco")) == report.instances
    with pytest.raises(ToolkitError, match="is a run of yolo, which knows its own classes alone"):
        autolabel(run, data / "test/rough", tmp_path / "other", words=["a hole"])


def test_photos_are_looked_at_in_tiles(run: Run, data: Path, tmp_path: Path) -> None:
    photos = sorted(data.glob("test/rough/*.png"))
    (whole,) = load_detector(run).detect(photos[:1], confidence=LOW)
    (large,) = load_detector(replace(run, tiles=Tiles(64))).detect(photos[:1], confidence=LOW)
    assert np.array_equal(large.boxes, whole.boxes)  # a photo that is one tile is seen as ever
    tiled = replace(run, tiles=Tiles(32, 0.0))
    (found,) = load_detector(tiled).detect(photos[:1], confidence=LOW)
    pixels, parts = cv2.imread(str(photos[0])), []
    for window in tile_windows(64, 64, Tiles(32, 0.0)):
        x0, y0, x1, y1 = window
        cv2.imwrite(str(tmp_path / "tile.png"), pixels[y0:y1, x0:x1])
        parts.append((window, next(load_detector(run).detect([tmp_path / "tile.png"], confidence=LOW * FAINTEST))))
    by_hand = merge_tiles(parts, found.key, found.path, (64, 64)).above(LOW)
    assert len(found) == len(by_hand) > 0
    assert np.allclose(found.boxes, by_hand.boxes, atol=1e-2)
    shown = load_run(run.root, tiles=32, overlap=0).predict(photos[0])
    assert np.array_equal(shown.boxes, found.boxes)
    assert shown.masks is not None
    assert shown.masks.shape[1:] == (64, 64)


def test_tiles_are_for_all_that_a_detector_does(run: Run, data: Path, tmp_path: Path) -> None:
    whole, tiled = read_metrics(run), finetune.evaluate(run, tiles=32, overlap=0)
    assert whole.keys() - tiled.keys() == {"seconds", "split_sha256"}
    assert (whole["images"], whole["instances"]) == (tiled["images"], tiled["instances"])
    done = defectkit(
        "predict", run.root, data / "test/rough", "--out", tmp_path / "out", "--tiles", "32", "--overlap", "0"
    )
    assert done.status == 0, done.err
    listed = json.loads((tmp_path / "out/detections.json").read_text())
    assert {tuple(one["segmentation"]["size"]) for one in listed} == {(64, 64)}
    report = autolabel(run, data / "test/rough", tmp_path / "labels", confidence=LOW, tiles=Tiles(32, 0.0))
    assert report.instances > 0
    assert json.loads((tmp_path / "labels/autolabel.json").read_text())["tiles"] == {"side": 32, "overlap": 0.0}


def test_a_tree_of_tiles_is_learnt_and_photos_are_predicted(data: Path, tmp_path: Path) -> None:
    convert(data, tmp_path / "labels", formats=["yolo-detect"], tiles=40)
    tree, out = tmp_path / "labels/yolo-detect", tmp_path / "run"
    small = (
        "epochs=1",
        "image_size=64",
        "device=cpu",
        "plots=false",
        "split.val=0",
        "train.mosaic=0",
        f"model={BOXES}",
    )
    done = defectkit("train", "yolo", tree, "--out", out, *(part for one in small for part in ("--set", one)))
    assert done.status == 0, done.err
    found = open_run(out)
    assert "mask_map50" not in read_metrics(found)
    assert found.environment()["notes"]
    assert load_detector(found).masks is False
    notes: list[str] = []
    told = finetune.evaluate(found, data, tiles=40, notes=notes)
    assert 4 * told["images"] == read_metrics(found)["images"] > 0  # photos whose tiles it was trained on are left out
    assert any("or on tiles or photos of the same names (zipper/te" in note for note in notes), notes
    with pytest.raises(ToolkitError, match="would choose by the scores of tiles, and a photo has the highest of many"):
        finetune.evaluate(found, data, tiles=40, max_false_reject=0.5)


def test_a_run_whose_classes_are_not_those_of_its_model(run: Run, data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    copy.mkdir()
    for path in run.root.iterdir():
        (copy / path.name).symlink_to(path)
    told = {**run.environment(), "classes": ["rough"]}
    (copy / "environment.json").unlink()
    (copy / "environment.json").write_text(json.dumps(told))
    with pytest.raises(ToolkitError, match=r"is of 7 classes, and environment.json names 1; train again"):
        next(load_detector(open_run(copy)).detect([min(data.glob("test/rough/*.png"))]))


def test_real_screws(mvtec_root: Path, tmp_path: Path) -> None:
    split = {"strategy": "uniform", "per_class": 2, "test_per_class": 1}
    trained = train(mvtec_root / "screw", settings(image_size=256, split=split), tmp_path / "run")
    found = read_metrics(trained)
    assert found["images"] == 6
    assert {"mask_map50", "mask_map50_class_scratch_head"} <= set(found)
    results = json.loads((trained.root / "predictions.json").read_text())
    assert {tuple(one["segmentation"]["size"]) for one in results} <= {(1024, 1024)}
