"""Boxes and classes are right or wrong: they have no pixels, and nothing of them is called exact that cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import FORMATS, convert, read_labels, verify
from converters.formats.boxes import wrong_boxes
from tests.commands import defectkit
from tests.converters.boxed import BOX, MASK, boxed_tree, classified_tree
from tests.converters.support import make_dataset, save_png
from tests.masks import SHAPES
from toolkit.geometry.labels import Instance


def cells(text: str, name: str) -> list[str]:
    """The row of a tree in a table, cell by cell."""
    (row,) = (line for line in text.splitlines() if line.split()[:1] == [name])
    return row.split()


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    return boxed_tree(tmp_path / "in", [[BOX, {**BOX, "bbox": [20, 3, 4, 5], "area": 20}], [BOX], []])


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """An image with both, one with a box alone, one with a mask alone, a good one."""
    return boxed_tree(tmp_path / "in", [[BOX, MASK], [BOX], [MASK], []])


def test_trees_of_boxes_have_no_iou(boxes: Path, tmp_path: Path) -> None:
    convert(read_labels(boxes), tmp_path / "out", ["coco", "yolo-detect"])
    report = verify(tmp_path / "out")
    assert (report.failures, report.min_iou) == ((), None)
    assert [(t.kind, t.compared, t.exact, t.min_iou, t.mean_iou) for t in report.trees] == [
        ("coco", 2, 2, None, None),
        ("yolo-detect", 2, 2, None, None),
    ]
    assert "min IoU 1" not in report._repr_html_()
    done = defectkit("verify", tmp_path / "out")
    assert cells(done.out, "coco") == ["coco", "3", "2", "of", "2", "-", "0"]
    told = defectkit("verify", tmp_path / "out", "--json").json()
    assert told["min_iou"] is None
    assert [(tree["min_iou"], tree["mean_iou"]) for tree in told["trees"]] == [(None, None)] * 2


def edit(change: Callable[[list[dict[str, Any]]], object]) -> Callable[[Path], None]:
    def damage(tree: Path) -> None:
        path = tree / "annotations/instances_train.json"
        document = json.loads(path.read_text())
        change(document["annotations"])
        path.write_text(json.dumps(document))

    return damage


def shift(annotation: dict[str, Any], by: float) -> None:
    annotation["bbox"][0] += by


DAMAGES = {
    "a box moved by a fiftieth": (edit(lambda a: shift(a[0], 0.02)), "box (5.02, 6.00, 15.02, 14.00) of 'dent'"),
    "a box moved by pixels": (edit(lambda a: shift(a[0], 3)), "where the source has (5.00, 6.00, 15.00, 14.00)"),
    "a box removed": (edit(lambda a: a.pop(0)), "boxes where the source has"),
    "a box doubled": (edit(lambda a: a.append({**a[0], "id": 99})), "boxes where the source has"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_of_boxes_alone_in_coco_is_found(boxes: Path, tmp_path: Path, name: str) -> None:
    harm, words = DAMAGES[name]
    convert(read_labels(boxes), tmp_path / "out", ["coco"])
    harm(tmp_path / "out/coco")
    report = verify(tmp_path / "out")
    assert any(line.startswith("0: ") and words in line for line in report.failures), report.failures
    assert (report.trees[0].exact, report.trees[0].compared, report.trees[0].worst) == (1, 2, ())


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_of_boxes_among_masks_is_found(mixed: Path, tmp_path: Path, name: str) -> None:
    harm, words = DAMAGES[name]
    convert(read_labels(mixed), tmp_path / "out", ["coco"])
    assert verify(tmp_path / "out").passed
    harm(tmp_path / "out/coco")
    report = verify(tmp_path / "out")
    assert any(line.startswith("0: ") and words in line for line in report.failures), report.failures
    assert (report.min_iou, report.trees[0].exact, report.trees[0].compared) == (1.0, 2, 3)


def test_rectangles_made_from_boxes_are_compared_and_not_called_exact(mixed: Path, tmp_path: Path) -> None:
    kinds = ["yolo-segment", "semantic", "coco", "yolo-obb", "panoptic", "masks"]
    convert(read_labels(mixed), tmp_path / "out", kinds)
    report = verify(tmp_path / "out")
    assert report.failures == ()
    trees = {tree.kind: (tree.exact, tree.compared, tree.min_iou) for tree in report.trees}
    assert trees == {
        **dict.fromkeys(["yolo-segment", "semantic", "panoptic", "masks"], (1, 1, 1.0)),
        "coco": (3, 3, 1.0),
        "yolo-obb": (1, 1, None),
    }
    told = [note for note in report.notes if "2 objects of 2 images have a box and no mask in the source" in note]
    assert len(told) == len(kinds) - 1


def test_a_rectangle_that_is_not_its_box_is_found(mixed: Path, tmp_path: Path) -> None:
    convert(read_labels(mixed), tmp_path / "out", ["semantic"])
    (path,) = (tmp_path / "out/semantic/masks/train").glob("1.png")
    save_png(path, np.pad(np.ones((8, 9)), ((6, 26), (5, 36))))  # one column less
    report = verify(tmp_path / "out")
    assert any(line.startswith("1: is not what masks and the rectangles of boxes give") for line in report.failures)
    assert verify(tmp_path / "out", min_iou=0.8).failures == tuple(
        line for line in report.failures if "labels_sha256" in line
    )


def test_boxes_of_another_tool_are_held_against_those_of_masks(tmp_path: Path) -> None:
    """A detection tree in COCO, of a source that has masks."""
    mask = np.zeros((40, 50), np.bool_)
    mask[6:14, 5:15] = True
    mask[6, 5] = False
    source = make_dataset(tmp_path / "data", {"dent": {"0": mask}}, good=0)
    tree = boxed_tree(tmp_path / "in", [[BOX]])
    (tree / "images/0.png").write_bytes(source[0].image.read_bytes())
    report = verify(tree, source)
    assert (report.passed, report.min_iou, report.trees[0].exact) == (True, None, 1)


def test_boxes_with_decimals_are_right(tmp_path: Path) -> None:
    box = {"bbox": [5.25, 6.4, 10.5, 7.3], "area": 76.65, "segmentation": []}
    convert(read_labels(boxed_tree(tmp_path / "in", [[box, MASK], [box], []])), tmp_path / "out", FORMATS)
    report = verify(tmp_path / "out")
    assert report.failures == ()
    right = {tree.kind: (tree.exact, tree.compared) for tree in report.trees}
    assert (right["coco"], right["yolo-detect"], right["semantic"]) == ((2, 2), (2, 2), (0, 0))


def test_boxes_that_round_differently_find_each_other() -> None:
    sides = [(5.5, 9.0, 20.0, 21.0), (5.6, 1.0, 20.0, 21.0)]
    instances = [Instance("dent", box, None, 1) for box in sides]
    written = [("dent", (box[0] - 0.000001, *box[1:])) for box in sides]
    assert wrong_boxes(written, instances, "a") == []
    assert wrong_boxes(written[::-1], instances, "a") == []
    twice = [written[0], written[0]]
    assert wrong_boxes(twice, instances, "a") == [
        "a: box (5.50, 9.00, 20.00, 21.00) of 'dent' where the source has (5.60, 1.00, 20.00, 21.00) of 'dent'"
    ]


def test_one_label_file_is_verified(mixed: Path) -> None:
    report = verify(mixed / "annotations/instances_train.json", mixed)
    assert report.passed, report.failures
    (mixed / "images/1.png").unlink()
    assert any("1.png" in line for line in verify(mixed / "annotations/instances_train.json", mixed).failures)


def test_a_tree_of_classes_has_no_iou(tmp_path: Path) -> None:
    convert(read_labels(classified_tree(tmp_path / "in")), tmp_path / "out", ["yolo-classify"])
    done = defectkit("verify", tmp_path / "out")
    assert (done.status, cells(done.out, "yolo-classify")) == (0, ["yolo-classify", "3", "3", "of", "3", "-", "0"])


def test_where_nothing_shows_a_defect_nothing_is_exact(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data", {}, good=2)
    report = convert(dataset, tmp_path / "out", ["coco", "yolo-detect"])
    for manifest in report.manifests.values():
        assert manifest["fidelity"] == {"mean_iou": None, "min_iou": None, "exact": 0, "images": 0}
    found = verify(tmp_path / "out", dataset)
    assert (found.passed, found.min_iou) == (True, None)
    assert [tree.mean_iou for tree in found.trees] == [None, None]
    assert [note.partition(": ")[2] for note in found.notes] == [
        "nothing was compared: neither it nor the source shows a defect, in 4 images"
    ] * 2
    done = defectkit("verify", tmp_path / "out")
    assert cells(done.out, "coco") == ["coco", "4", "-", "-", "0"]


def test_without_a_source_nothing_is_exact(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data", {"dent": [SHAPES["disk"]]})
    convert(dataset, tmp_path / "out", ["coco"], images="none")
    dataset.root.rename(tmp_path / "elsewhere")
    done = defectkit("verify", tmp_path / "out")
    assert cells(done.out, "coco") == ["coco", "5", "-", "-", "0"]


def test_a_tree_that_cannot_be_read_has_nothing_exact(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data", {"dent": [SHAPES["disk"]]})
    convert(dataset, tmp_path / "out", ["yolo-detect", "semantic"], images="none")
    (tmp_path / "out/yolo-detect/data.yaml").unlink()
    (tmp_path / "out/semantic/data.yaml").unlink()
    report = verify(tmp_path / "out", dataset)
    assert [tree.min_iou for tree in report.trees] == [0.0, None]
    assert len(report.failures) == 2
