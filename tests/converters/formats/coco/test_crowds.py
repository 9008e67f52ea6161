"""Annotations that stand for many objects: `iscrowd` 1 goes in, and comes out again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from converters import convert, diff, read_labels, verify
from tests.converters.formats.coco.stand_ins import RUNS, SIZE, annotation, coco, coco_tree, image, ring

MASK = annotation(segmentation={"counts": RUNS, "size": list(SIZE)}, iscrowd=1)
CROWDS = {
    "run lengths": MASK,
    "a polygon": annotation(segmentation=[ring(3, 4, 12, 9)], iscrowd=1),
    "text": {**MASK, "iscrowd": "1"},
    "true": {**MASK, "iscrowd": True},
    "a box alone": annotation(iscrowd=1),
}


def crowds(root: Path, name: str = "instances") -> list[int]:
    document = json.loads((root / f"annotations/{name}_train.json").read_text())
    listed = document["annotations"]
    return [one["iscrowd"] for each in listed for one in each.get("segments_info", [each])]


@pytest.mark.parametrize("told", [*CROWDS.values()], ids=[*CROWDS])
def test_a_crowd_stays_one(tmp_path: Path, told: dict[str, Any]) -> None:
    root = coco_tree(tmp_path / "tree", coco(told, annotation(id=2, segmentation=[ring(20, 4, 24, 9)])))
    report = convert(read_labels(root), tmp_path / "out", ["coco", "panoptic", "yolo-segment"], images="none")
    assert crowds(tmp_path / "out/coco") == [1, 0]
    assert crowds(tmp_path / "out/panoptic", "panoptic") == [1, 0]
    document = json.loads((tmp_path / "out/coco/annotations/instances_train.json").read_text())
    assert isinstance(document["annotations"][0]["segmentation"], dict) or "segmentation" not in told
    assert report.manifests["yolo-segment"]["fidelity"]["dropped"] == {"iscrowd": 1}
    assert "dropped" not in report.manifests["coco"]["fidelity"]
    assert "'iscrowd' of 1 object(s) is not kept by yolo-segment" in report.notes
    assert verify(tmp_path / "out", against=root).passed
    again = convert(tmp_path / "out/coco", tmp_path / "again", ["coco"], images="none")
    shas = [one.manifests["coco"]["labels_sha256"] for one in (report, again)]
    assert shas[0] == shas[1]


@pytest.mark.parametrize("value", [0, 0.0, "0", None, False])
def test_what_is_no_crowd_is_none(tmp_path: Path, value: object) -> None:
    tree = read_labels(coco_tree(tmp_path, coco(annotation(iscrowd=value))))
    assert [dict(one.attributes) for one in next(iter(tree)).instances] == [{}]
    assert not any("of crowds" in note for note in tree.notes)


def test_a_panoptic_crowd_stays_one(tmp_path: Path) -> None:
    root = coco_tree(tmp_path / "tree", coco(MASK, annotation(id=2, segmentation=[ring(20, 4, 24, 9)])))
    convert(root, tmp_path / "one", ["panoptic"], images="none")
    convert(tmp_path / "one", tmp_path / "two", ["coco"], images="none")
    assert crowds(tmp_path / "two/coco") == [1, 0]


def test_a_crowd_that_came_or_went_is_a_change(tmp_path: Path) -> None:
    roots = [coco_tree(tmp_path / name, coco({**MASK, "iscrowd": value})) for name, value in (("a", 0), ("b", 1))]
    (change,) = diff(*roots).labels
    assert (change.before, change.after, change.iou) == ({"scratch": 1}, {"scratch (iscrowd 1)": 1}, 1)
    for number, root in enumerate(roots):
        convert(root, tmp_path / f"{number}", ["yolo-segment"], images="none")
        assert diff(root, tmp_path / f"{number}").labels == ()


def test_a_tree_of_ours_that_lost_a_crowd_fails(tmp_path: Path) -> None:
    root = coco_tree(tmp_path / "tree", coco(MASK))
    convert(root, tmp_path / "out", ["coco"], images="none")
    path = tmp_path / "out/coco/annotations/instances_train.json"
    path.write_text(path.read_text().replace('"iscrowd":1', '"iscrowd":0'))
    assert any("iscrowd" in one for one in verify(tmp_path / "out", against=root).failures)


@pytest.mark.parametrize("name", ["labelme", "voc"])
def test_formats_of_attributes_keep_crowds(tmp_path: Path, name: str) -> None:
    root = coco_tree(tmp_path / "tree", coco(MASK, annotation(id=2, segmentation=[ring(20, 4, 24, 9)])))
    image(root / "images/a.png")
    report = convert(root, tmp_path / "one", [name])
    assert "dropped" not in report.manifests[name]["fidelity"]
    assert verify(tmp_path / "one", against=root).passed
    assert diff(root, tmp_path / "one" / name).labels == ()
    convert(tmp_path / "one" / name, tmp_path / "two", ["coco", "voc", "labelme"])
    assert crowds(tmp_path / "two/coco") == [1, 0]
    assert diff(tmp_path / "two/voc", tmp_path / "two/labelme").labels == ()
