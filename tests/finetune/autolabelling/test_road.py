"""The whole road, with real models: words to boxes to masks to labels, which are verified and shown."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from converters.sources import read_labels
from finetune.engine.runs import Run
from finetune.sam.learner import load_segmenter
from finetune.sam.learner import train as train_segmenter
from finetune.yolo_world.learner import train as train_detector
from finetune.yolo_world.predictor import load_detector
from tests.commands import defectkit
from tests.finetune.sam.segmenting import config
from tests.finetune.yolo_world.detecting import make_data, settings, split_file


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def detector(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("words")
    split = {"file": str(split_file(data, folder / "split.csv"))}
    told = settings(split=split, epochs=1, instances="image")
    return train_detector(data, told, folder / "run")


@pytest.fixture(scope="module")
def segmenter(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    told = config(epochs=2, instances="image", split={"strategy": "stratified", "val": 0, "test": 0.5})
    return train_segmenter(data, told, tmp_path_factory.mktemp("sam") / "run")


@pytest.fixture(scope="module")
def confidence(detector: Run, data: Path) -> float:
    """What some boxes reach: the detector is hardly trained."""
    found = load_detector(detector).detect(sorted((data / "test").glob("*/*.png")), confidence=1e-9)
    scores = np.unique(np.concatenate([one.scores for one in found]))
    return float((scores[-1] + scores[-2]) / 2)  # between two, so that none stands at the limit


@pytest.fixture(scope="module")
def made(
    data: Path, detector: Run, segmenter: Run, confidence: float, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("made") / "out"
    outcome = defectkit(
        *("autolabel", data / "test", "--detector", detector.root, "--segmenter", segmenter.root, "--out", out),
        *("--to", "coco,yolo-segment", "--against", data, "--confidence", str(confidence), "--json"),
    )
    assert outcome.status == 0, outcome.err
    assert outcome.json()["instances"] > 0
    return out


def test_masks_are_those_of_the_segmenter_in_the_boxes_of_the_detector(
    made: Path, confidence: float, detector: Run, segmenter: Run
) -> None:
    with open(made / "instances.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    image = Path(rows[0]["file"])
    own = [row for row in rows if row["file"] == str(image)]
    (found,) = load_detector(detector).detect([image], confidence=confidence)
    masks, fits = load_segmenter(segmenter).segment(image, found.boxes)
    seen = [place for place, mask in enumerate(masks) if mask.any()]
    assert [row["label"] for row in own] == [found.labels[place] for place in seen]
    assert [int(row["area"]) for row in own] == [int(np.count_nonzero(masks[place])) for place in seen]
    wanted = [float(found.scores[place] * np.clip(fits[place], 0, 1)) for place in seen]
    assert [float(row["score"]) for row in own] == pytest.approx(wanted)


def test_the_labels_are_verified(made: Path) -> None:
    outcome = defectkit("verify", made, "--json")
    assert outcome.status == 0, outcome.err
    trees = {
        name: {image.key: image.marked() for image in read_labels(made / name)} for name in ("coco", "yolo-segment")
    }
    assert trees["coco"].keys() == trees["yolo-segment"].keys()
    assert all(np.array_equal(trees["yolo-segment"][key], marked) for key, marked in trees["coco"].items())


def test_the_labels_are_shown(made: Path, tmp_path: Path) -> None:
    outcome = defectkit("view", made / "coco", "--out", tmp_path / "gallery")
    assert outcome.status == 0, outcome.err
    review = json.loads((made / "review/manifest.json").read_text())
    assert review["doubtful"]
    assert review["instances"] == json.loads((made / "autolabel.json").read_text())["instances"]


def test_the_labels_are_reviewed(made: Path, tmp_path: Path) -> None:
    mark = json.loads((made / "review/manifest.json").read_text())["input_sha256"]
    key = next(image.key for image in read_labels(made / "coco") if image.instances)
    said = {"key": key, "level": "image", "instance": None, "decision": "reject", "class": None}
    told = {"schema": 1, "format": "decisions", "gallery": mark, "decisions": [said]}
    (tmp_path / "decisions.json").write_text(json.dumps(told))
    outcome = defectkit("review", made, tmp_path / "decisions.json", tmp_path / "out", "--rejected", "good", "--json")
    assert outcome.status == 0, outcome.err
    assert outcome.json()["counts"]["good"] == 1
    assert {image.key: len(image.instances) for image in read_labels(tmp_path / "out/coco")}[key] == 0
    assert defectkit("verify", tmp_path / "out").status == 0


def test_figures_against_the_truth_are_told(made: Path) -> None:
    metrics = json.loads((made / "autolabel.json").read_text())["metrics"]
    assert {"map50", "map50_95", "mask_map50", "mask_map50_95", "mask_iou", "instance_iou"} <= set(metrics)
    assert 0 <= metrics["mask_iou"] <= 1


def test_other_words_give_other_labels(detector: Run, segmenter: Run, data: Path, tmp_path: Path) -> None:
    words = ["autolabel", data / "test/good", "--detector", detector.root, "--segmenter", segmenter.root]
    outcome = defectkit(*words, "--words", "hole, dent", "--confidence", "1e-9", "--out", tmp_path / "out", "--json")
    assert outcome.status == 0, outcome.err
    assert outcome.json()["classes"] == ["hole", "dent"]
    assert read_labels(tmp_path / "out/coco").classes() == ["hole", "dent"]


def test_runs_in_each_others_place_are_refused(detector: Run, segmenter: Run, data: Path, tmp_path: Path) -> None:
    for words, message in (
        (("--detector", detector.root, "--segmenter", detector.root), "is a run of yolo-world, not of sam"),
        (("--detector", segmenter.root, "--segmenter", segmenter.root), "is a run of sam, which finds no places"),
    ):
        outcome = defectkit("autolabel", data / "test", *words, "--out", tmp_path / "out")
        assert (outcome.status, len(outcome.errors)) == (2, 1)
        assert message in outcome.err
    assert not (tmp_path / "out").exists()
