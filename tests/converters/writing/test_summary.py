"""What a conversion says of trees that show less than a reader may think."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from converters import FORMATS, convert, read_labels, write_labels
from converters.formats.registry import find_format
from tests.commands import defectkit
from tests.converters.boxed import BOX, MASK, boxed_tree
from tests.converters.support import make_dataset
from tests.converters.verification.test_boxes import cells
from tests.masks import SHAPES
from toolkit.geometry.labels import Instance, LabelledImage


def test_rectangles_are_counted_and_called_so(tmp_path: Path) -> None:
    source = boxed_tree(tmp_path / "in", [[BOX, MASK], [BOX], [MASK], []])
    kinds = [kind for kind in FORMATS if kind != "yolo-classify"]
    done = defectkit("convert", source, tmp_path / "out", "--to", ",".join(kinds), "--json").json()
    fidelity = {kind: manifest["fidelity"] for kind, manifest in done["formats"].items()}
    drawn = {kind: found.get("rectangles") for kind, found in fidelity.items()}
    assert drawn == {kind: None if find_format(kind).takes_boxes else 2 for kind in kinds}
    assert (fidelity["semantic"]["images"], fidelity["semantic"]["exact"]) == (1, 1)
    (note,) = (note for note in done["notes"] if "rectangles" in note)
    assert note.startswith("2 object(s) have a box alone: written as rectangles in yolo-segment, yolo-obb")
    again = defectkit("convert", source, tmp_path / "out", "--to", ",".join(kinds), "--resume")
    assert note in again.err
    assert " ".join(cells(again.out, "semantic")) == "semantic 4 4 1 1 of 1, 2 rectangles 1.0000 0"
    assert " ".join(cells(again.out, "yolo-detect")) == "yolo-detect 4 4 1 3 of 3 - 0"


def test_a_class_is_right_where_its_objects_have_boxes(tmp_path: Path) -> None:
    source = boxed_tree(tmp_path / "in", [[BOX, MASK], [BOX]])
    (manifest,) = convert(read_labels(source), tmp_path / "out", ["yolo-classify"]).manifests.values()
    assert manifest["fidelity"] == {"mean_iou": 1.0, "min_iou": 1.0, "exact": 2, "images": 2}


def test_a_source_that_shows_no_defect_is_said(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data", {}, good=2)
    report = convert(dataset, tmp_path / "out", ["coco", "yolo-detect"])
    assert report.notes[-1] == "no image shows a defect: all 4 were written as background"
    assert defectkit("convert", dataset.root, tmp_path / "table", "--to", "coco").out.count("1.0000") == 0
    assert not any("no image" in note for note in convert(dataset, tmp_path / "c", ["yolo-classify"]).notes)


def test_a_source_all_of_which_is_left_out_is_said(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data", {"dent": [SHAPES["disk"]]}, good=1)
    report = convert(dataset, tmp_path / "out", ["coco"], min_area=10**6)
    assert report.notes[-1] == "all 1 components were left out: all 3 images were written as background"


def test_a_source_with_defects_is_not_said_to_have_none(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data", {"dent": [SHAPES["disk"]]}, good=1)
    assert not any("background" in note for note in convert(dataset, tmp_path / "out", ["coco"]).notes)


def test_objects_that_cover_others_are_counted_and_both_commands_agree(tmp_path: Path) -> None:
    square = np.ones((10, 10), np.bool_)
    objects = (Instance("ant", (0, 0, 10, 10), square, 100), Instance("moth", (5, 0, 15, 10), square, 100))
    image = LabelledImage("a", None, 20, 20, objects, "train", "combined")
    write_labels([image], tmp_path / "in", "coco", classes=["ant", "moth"], image_mode="none")
    done = defectkit("convert", tmp_path / "in/coco", tmp_path / "out", "--to", "semantic,panoptic,coco")
    told = "covered by another object: 50 pixels in 1 image(s), which a map of one class a pixel cannot hold"
    proof = defectkit("verify", tmp_path / "out")
    assert proof.status == 0
    for kind in ("semantic", "panoptic"):
        assert f"{kind}: {told}" in done.err
        assert "1 of 1" in " ".join(cells(done.out, kind))
        assert f"{kind}: {told}" in proof.err + proof.out
    assert f"coco: {told}" not in done.err
