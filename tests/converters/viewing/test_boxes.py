"""Galleries of boxes, of boxes among masks, and of classes: what they draw, and what they say was compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import convert, read_labels, view
from converters.viewing.gallery_items import Views, open_views
from tests.converters.boxed import BOX, MASK, boxed_tree, classified_tree
from tests.converters.support import make_dataset, save_png
from tests.test_view import details, index_of
from toolkit import Dataset
from toolkit.dataset.samples import BoxLabel, Sample
from toolkit.gallery import Shown


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """An image with both, one with a box alone, one with a mask alone, a good one, as COCO and as polygons."""
    source = boxed_tree(tmp_path / "in", [[BOX, MASK], [BOX], [MASK], []])
    convert(read_labels(source), tmp_path / "out", ["coco", "yolo-segment"])
    return tmp_path / "out"


def shown(views: Views) -> dict[str, Shown]:
    return {item.key: item.load() for item in views.items}


def move_a_box(tree: Path) -> None:
    path = tree / "annotations/instances_train.json"
    document = json.loads(path.read_text())
    document["annotations"][0]["bbox"][0] += 3
    path.write_text(json.dumps(document))


def test_a_box_among_masks_has_no_fill_and_is_outlined(mixed: Path, tmp_path: Path) -> None:
    report, _ = view(mixed / "coco", tmp_path / "g")
    assert (report.problems, report.min_iou) == (0, 1.0)
    found = details(tmp_path / "g")
    assert [["fill" in one for one in found[key]["instances"]] for key in "0123"] == [
        [False, True],
        [False],
        [True],
        [],
    ]
    assert index_of(tmp_path / "g")["columns"]["area"] == [60, 0, 60, 0]
    assert [found[key]["lost"]["pixels"] for key in "0123"] == [0, 0, 0, 0]
    tiles = (tmp_path / "g/data").rglob("*.js")
    assert sum(path.read_text().count('"alone"') for path in tiles) == 2


def test_where_there_is_nothing_to_be_exact_to_no_iou_is_given(mixed: Path) -> None:
    exact = {key: one.difference.iou for key, one in shown(open_views(mixed / "coco")).items() if one.difference}
    assert exact == {"0": 1.0, "1": None, "2": 1.0, "3": None}
    views = open_views(mixed / "yolo-segment")
    exact = {key: one.difference.iou for key, one in shown(views).items() if one.difference}
    assert exact == {"0": None, "1": None, "2": 1.0, "3": None}
    assert any("2 objects have a box and no mask in the source: their rectangles" in note for note in views.notes)


def test_a_box_that_is_wrong_among_masks_is_a_problem(mixed: Path) -> None:
    move_a_box(mixed / "coco")
    found = shown(open_views(mixed / "coco"))
    assert [(key, len(one.problems)) for key, one in found.items()] == [("0", 1), ("1", 0), ("2", 0), ("3", 0)]
    assert "box (8.00, 6.00, 18.00, 14.00) of 'dent'" in str(found["0"].problems[0])


def test_the_source_of_a_mixed_tree_shows_its_masks_alone(mixed: Path) -> None:
    source = {key: int(np.sum(one.source)) for key, one in shown(open_views(mixed / "coco")).items()}
    assert source == {"0": 60, "1": 0, "2": 60, "3": 0}


@pytest.mark.parametrize("kind", ["coco", "yolo-detect"])
def test_trees_of_boxes_say_what_is_compared(tmp_path: Path, kind: str) -> None:
    source = boxed_tree(tmp_path / "in", [[BOX], [BOX], []])
    convert(read_labels(source), tmp_path / "out", ["coco", "yolo-detect"])
    if kind == "coco":
        move_a_box(tmp_path / "out/coco")
    else:
        label = tmp_path / "out/yolo-detect/labels/train/0.txt"
        label.write_text(label.read_text().replace("0 0.2", "0 0.3"))
    report, views = view(tmp_path / "out" / kind, tmp_path / "g")
    assert (views.page.shapes, report.min_iou, report.problems, report.instances) == ("boxes", None, 1, 2)
    assert views.page.layers["source"] == "the source has boxes, and no masks"
    assert "these labels are boxes, which have no pixels to compare with the source" in views.notes[0]
    assert all("fill" not in one for found in details(tmp_path / "g").values() for one in found["instances"])


def test_boxes_of_a_source_with_masks_are_shown_beside_them(tmp_path: Path) -> None:
    mask = np.zeros((20, 20), np.bool_)
    mask[4:9, 5:9] = True
    convert(make_dataset(tmp_path / "data", {"dent": [mask]}, good=1), tmp_path / "out", ["yolo-detect"])
    views = open_views(tmp_path / "out/yolo-detect")
    assert "source" not in views.page.layers
    assert sorted(int(np.sum(one.source)) for one in shown(views).values()) == [0, 0, 20]


def test_trees_of_classes_say_what_is_compared(tmp_path: Path) -> None:
    convert(read_labels(classified_tree(tmp_path / "in")), tmp_path / "out", ["yolo-classify"])
    report, views = view(tmp_path / "out/yolo-classify", tmp_path / "g")
    assert (views.page.shapes, report.min_iou, report.problems, report.images) == ("classes", None, 0, 3)
    assert views.page.layers["source"] == "the source has classes, and no masks"
    assert [one.source for one in shown(views).values()] == [None] * 3


def boxed_dataset(root: Path) -> Dataset:
    """A dataset whose labels are boxes."""
    path = save_png(root / "a.png", np.full((20, 30), 90))
    boxes = (BoxLabel("dent", (2.0, 3.5, 9.0, 11.0)),)
    return Dataset([Sample("a", path, (), "part", "dent", "train", boxes=boxes)], root=root, layout="mine")


def test_a_dataset_of_boxes_is_one_of_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset: Any = boxed_dataset(tmp_path / "data")
    monkeypatch.setattr("converters.sources.load_dataset", lambda *_, **__: dataset)
    report, views = view(tmp_path / "data", tmp_path / "g")
    assert (views.page.words.kind, views.page.shapes, report.instances_found) == ("boxes of the dataset", "boxes", 1)
    assert views.page.layers["difference"] == "the labels shown are the source boxes themselves"
