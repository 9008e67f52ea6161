"""Shapes become the pixels that CVAT's own exports make of them; others are left out and counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters import convert, read_labels
from converters.formats.base import Reading
from tests.converters.formats.cvat.stand_ins import (
    SIZE,
    box,
    document,
    image,
    masks_in,
    polygon,
    problems,
    shape,
    tag,
    write,
)
from toolkit.geometry.labels import Instance

WIDTH, HEIGHT = SIZE
AREAS = {
    "polygon": polygon((3, 3), (15.5, 4.25), (10, 15.75)),
    "a polygon that leaves the image": polygon((-5, -5), (40, 4), (10, 30)),
    "a polygon that crosses itself": polygon((3, 3), (15, 15), (15, 3), (3, 15)),
    "mask": shape("mask", rle="0, 2, 3, 1, 4", left=4, top=5, width=5, height=2),
    "a mask of an odd count": shape("mask", rle="1, 8, 1", left=20, top=10, width=5, height=2),
    "a mask without blanks": shape("mask", rle="1,8,1", left=25, top=18, width=5, height=2),
    "a box that is turned": box(5, 5, 15, 9, rotation=30),
    "a box that is turned the other way": box(5.5, 5.25, 15, 9, rotation="335.50"),
    "ellipse": shape("ellipse", cx="14.50", cy="9.50", rx="6.20", ry="3.70"),
    "an ellipse that is turned and leaves the image": shape("ellipse", cx=2, cy=17, rx=9, ry=3.7, rotation=40),
}


def instances(root: Path) -> list[Instance]:
    (found,) = read_labels(root)
    return list(found.instances)


@pytest.mark.parametrize("name", AREAS)
def test_areas_are_filled_as_cvat_fills_them(tmp_path: Path, name: str) -> None:
    root = write(tmp_path, document(image("a.png", AREAS[name])), "a.png")
    ((label, mask),) = masks_in(root / "annotations.xml")["a.png"]
    (found,) = instances(root)
    assert label == found.label == "dent"
    assert mask.any()
    assert np.array_equal(found.whole(WIDTH, HEIGHT), mask)


def test_boxes_stay_boxes(tmp_path: Path) -> None:
    shapes = [
        box(1.5, 2.25, 9, 10),
        box(1, 2, 9, 6, rotation=90),
        box(1, 2, 9, 6, rotation="180.00"),
        box(-3, 2, 9, 99),
    ]
    root = write(tmp_path, document(image("a.png", *shapes)), "a.png")
    expected = [(1.5, 2.25, 9, 10), (3, 0, 7, 8), (1, 2, 9, 6), (0, 2, 9, 20)]
    assert [(one.bbox, one.mask) for one in instances(root)] == [(sides, None) for sides in expected]
    (record,) = read_labels(root).records
    assert record.sample.kind == "boxes"


def test_turned_boxes_are_counted(tmp_path: Path) -> None:
    root = write(tmp_path, document(image("a.png", box(5, 5, 15, 9, rotation=30), box(1, 1, 2, 2))), "a.png")
    tree = read_labels(root)
    assert "1 box(es) do not stand upright, and are read as polygons of their corners" in tree.notes
    assert tree.records[0].sample.kind == "masks"


LEFT_OUT = {
    "polyline": shape("polyline", points="1,1;5,5"),
    "points": shape("points", points="1,1"),
    "cuboid": shape("cuboid", xtl1=1),
    "skeleton": shape("skeleton", inner=None),
    "star": shape("star"),
}


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_shapes_without_an_area_are_counted_and_named(tmp_path: Path, kind: str) -> None:
    other = image("b.png", LEFT_OUT[kind], number=1)
    text = document(image("a.png", box(1, 1, 5, 5), LEFT_OUT[kind]), other)
    root = write(tmp_path / "in", text, "a.png", "b.png")
    tree = read_labels(root)
    first, second = tree
    assert first.left_out == (f"{kind} 1 (dent) has no area",)
    assert (second.kind, second.instances) == ("unlabelled", ())
    assert f"shapes without an area are left out: 2 {kind}" in tree.notes
    assert any(
        note.startswith("1 image(s) show nothing but shapes without an area, and are unlab") for note in tree.notes
    )
    told = convert(root, tmp_path / "out", ["coco"]).manifests["coco"]
    assert told["components"]["found"] == 2
    assert [one["reason"] for one in told["components"]["skipped"]] == [f"{kind} 1 (dent) has no area"]


def test_what_marks_nothing_is_left_out(tmp_path: Path) -> None:
    nothing = [
        polygon((1, 1), (5, 5)),
        polygon((50, 50), (60, 50), (60, 60)),
        shape("polygon", points=""),
        box(40, 5, 50, 9),
        box(5, 5, 5, 9),
        shape("mask", rle="10", left=4, top=5, width=5, height=2),
        shape("ellipse", cx=90, cy=90, rx=3, ry=3),
    ]
    root = write(tmp_path, document(image("a.png", box(1, 1, 5, 5), *nothing)), "a.png")
    (found,) = read_labels(root)
    names = ["polygon 1", "polygon 2", "polygon 3", "box 2", "box 3", "mask 1", "ellipse 1"]
    assert found.left_out == tuple(f"{name} (dent) marks no pixel of the image" for name in names)
    assert len(found.instances) == 1


MALFORMED = {
    "has the xtl 'nan', no number": box("nan", 1, 5, 5),
    "has the xtl '1_0', no number": box("1_0", 1, 12, 5),
    "has the ybr 'true', no number": box(1, 1, 5, "true"),
    "has the xbr '1e9', beyond all images": box(1, 1, "1e9", 5),
    "has the rotation 'x', no number": box(1, 1, 5, 5, rotation="x"),
    "is a box -2 wide and 4 high": box(3, 1, 1, 5),
    "has the coordinate 'inf', no number": shape("polygon", points="1,1;5,inf;3,3"),
    "has the point '5', which is not x,y": shape("polygon", points="1,1;5;3,3"),
    "has the coordinate '5,1', no number": shape("polygon", points="1,1;5,5,1;3,3"),
    "has run lengths (rle) of 9 pixels, and its box has 10": shape("mask", rle="4,5", left=1, top=1, width=5, height=2),
    "has run lengths (rle) that are no whole numbers": shape("mask", rle="4,-5", left=1, top=1, width=5, height=2),
    "has the left '1.5', no whole number": shape("mask", rle="10", left=1.5, top=1, width=5, height=2),
    "is a mask 0 wide and 2 high": shape("mask", rle="0", left=1, top=1, width=0, height=2),
    "is a mask of columns 26 to 31 and rows 1 to 3, in an image of 30 x 20": shape(
        "mask", rle="0,10", left=26, top=1, width=5, height=2
    ),
    "is an ellipse of the radii -1 and 2": shape("ellipse", cx=5, cy=5, rx=-1, ry=2),
}


@pytest.mark.parametrize("fault", MALFORMED)
def test_what_is_malformed_is_refused_by_its_place(tmp_path: Path, fault: str) -> None:
    root = write(tmp_path, document(image("a.png", MALFORMED[fault])), "a.png")
    kind = MALFORMED[fault][1:].partition(" ")[0]
    assert problems(root) == [f"annotations.xml: {kind} 1 of a.png: {fault}; correct or remove it"]


UNTOLD = {
    "has no label; name its class, or remove it": box(1, 1, 5, 5, label=" "),
    "has the z_order '1.5', no whole number; correct it": box(1, 1, 5, 5, z_order="1.5"),
    "has the group_id 'x', no whole number; correct it": box(1, 1, 5, 5, group_id="x"),
}


@pytest.mark.parametrize("fault", UNTOLD)
def test_what_an_image_lacks_is_its_own_problem(tmp_path: Path, fault: str) -> None:
    text = document(image("a.png", UNTOLD[fault]), image("b.png", box(1, 1, 5, 5), number=1))
    root = write(tmp_path, text, "a.png", "b.png")
    assert problems(root) == [f"annotations.xml: box 1 of a.png: {fault}"]
    assert list(read_labels(root).samples[0].key) == ["b"]  # a.png is neither labelled nor without a label


def test_the_higher_lies_on_top(tmp_path: Path) -> None:
    shapes = [box(1, 1, 9, 9, z_order=3), box(2, 2, 8, 8, "rust"), box(3, 3, 7, 7, z_order=-1)]
    root = write(tmp_path, document(image("a.png", *shapes)), "a.png")
    assert [one.bbox[0] for one in instances(root)] == [3, 2, 1]


def test_a_group_of_one_class_is_one_object(tmp_path: Path) -> None:
    shapes = [
        polygon((1, 1), (5, 1), (5, 5), group_id=4),
        polygon((10, 10), (15, 10), (15, 15), group_id=4, occluded=1),
        polygon((1, 10), (5, 10), (5, 15), group_id=4, label="rust"),
        box(1, 1, 20, 19, group_id=4),
        polygon((20, 1), (25, 1), (25, 5)),
    ]
    root = write(tmp_path, document(image("a.png", *shapes)), "a.png")
    drawn = masks_in(root / "annotations.xml")["a.png"]
    tree = read_labels(root)
    (found,) = tree
    by_label = [(one.label, one.area) for one in found.instances]
    assert by_label == [("dent", int((drawn[0][1] | drawn[1][1]).sum())), ("rust", 10), ("dent", 10)]
    assert dict(found.instances[0].attributes) == {"group_id": "4", "occluded": "1"}
    assert found.left_out == ("box 1 (dent) is of one object with what has pixels",)
    assert "1 group(s) of shapes of one class are one object each, as in CVAT's COCO export" in tree.notes
    assert "1 group(s) hold shapes of several classes: each class is an object of its own" in tree.notes


def test_boxes_of_a_group_are_the_box_that_holds_them(tmp_path: Path) -> None:
    shapes = [box(1, 1, 5.5, 5, group_id=1), box(8, 0.5, 9, 9, group_id=1), box(1, 1, 2, 2, group_id=0)]
    root = write(tmp_path, document(image("a.png", *shapes)), "a.png")
    assert [one.bbox for one in instances(root)] == [(1, 0.5, 9, 9), (1, 1, 2, 2)]


def test_what_is_said_of_a_shape_is_kept(tmp_path: Path) -> None:
    said = {"depth": "3 < 4", "sure": "true", "occluded": "half", "": "no name"}
    shapes = [box(1, 1, 5, 5, inner=said, occluded=1, source="auto", z_order=2, group_id=7), box(6, 6, 9, 9)]
    root = write(tmp_path, document(image("a.png", *shapes)), "a.png")
    plain, told = instances(root)
    assert dict(plain.attributes) == {}
    expected = {"occluded": "1", "source": "auto", "z_order": "2", "group_id": "7"}
    assert dict(told.attributes) == {**expected, "depth": "3 < 4", "sure": "true", "occluded (attribute)": "half"}


TAGGED = [
    image("a.png", tag("rust"), number=0),
    image("b.png", tag("OK"), number=1),
    image("d.png", tag("rust"), tag("dent"), number=3),
]


def test_tags_are_the_class_where_no_image_has_a_shape(tmp_path: Path) -> None:
    root = write(tmp_path, document(*TAGGED, labels=("dent", "rust", "OK")), "a.png", "b.png", "d.png")
    tree = read_labels(root)
    found = {one.sample.key: (one.sample.defect, one.sample.kind) for one in tree.records}
    assert found == {"a": ("rust", "class"), "b": ("good", "good"), "d": ("combined", "class")}
    assert tree.classes() == ["dent", "rust"]
    assert "2 image(s) have tags alone, which are their classes: a.png (rust), d.png (rust, dent)" in tree.notes


def test_tags_are_no_classes_where_others_have_shapes(tmp_path: Path) -> None:
    images = [*TAGGED, image("c.png", tag("rust"), box(1, 1, 5, 5), number=2)]
    root = write(tmp_path / "in", document(*images, labels=("dent", "rust", "OK")), *(f"{name}.png" for name in "abcd"))
    tree = read_labels(root)
    found = {one.sample.key: (one.sample.defect, one.sample.kind) for one in tree.records}
    assert found == {"a": ("", "unlabelled"), "b": ("good", "good"), "c": ("dent", "boxes"), "d": ("", "unlabelled")}
    assert "1 tag(s) of images that have shapes are not read" in tree.notes
    told = (
        "2 image(s) have tags alone, while others have shapes, and are unlabelled (--without-label good takes them as"
    )
    assert f"{told} good): a.png (rust), d.png (rust, dent)" in tree.notes
    assert convert(root, tmp_path / "out", "coco").manifests["coco"]["images"]["count"] == 2
    as_good = read_labels(root, reading=Reading(without_label="good"))
    assert {one.sample.kind for one in as_good.records} == {"good", "boxes"}


def test_a_tree_of_tags_becomes_folders(tmp_path: Path) -> None:
    images = [image("a.png", tag("rust")), image("b.png", tag("ok"), number=1)]
    root = write(tmp_path / "in", document(*images, labels=("rust", "ok")), "a.png", "b.png")
    convert(root, tmp_path / "out", ["yolo-classify"])
    placed = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png")}
    assert placed == {"yolo-classify/train/rust/a.png", "yolo-classify/train/good/b.png"}


def test_a_good_image_with_a_defect_is_asked_about(tmp_path: Path) -> None:
    root = write(tmp_path, document(image("a.png", tag("good"), box(1, 1, 5, 5))), "a.png")
    told = "annotations.xml: a.png: is tagged 'good', and has 1 shape(s); remove the tag, or the shapes"
    assert problems(root) == [told]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_run_lengths_are_read_as_they_stand(data: st.DataObject) -> None:
    from converters.formats.cvat.values import run_lengths

    runs = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=12))
    assert run_lengths(", ".join(map(str, runs)), sum(runs)).tolist() == runs
