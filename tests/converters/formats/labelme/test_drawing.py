"""Shapes are the pixels that LabelMe makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters import read_labels
from converters.formats.labelme.document import BACKGROUND, IGNORE, read_labelme
from converters.formats.labelme.instances import instances_of
from tests.converters.formats.labelme.judge import (
    HEIGHT,
    WIDTH,
    Bools,
    document,
    draw,
    png,
    region,
    save_pair,
    shape,
    union,
    write,
)
from tests.masks import SHAPES, masks
from toolkit.geometry.labels import Instance

FEW = settings(max_examples=60, deadline=None)
COUNTS = {
    "polygon": (3, 7),
    "rectangle": (2, 2),
    "circle": (2, 2),
    "line": (2, 2),
    "linestrip": (2, 5),
    "point": (1, 1),
}
COUNTS |= {"oriented_rectangle": (4, 4)}


def read(path: Path, *shapes: Any, **more: Any) -> list[Instance]:
    """Instances of a file with these shapes."""
    found = read_labelme(write(path / "a.json", document(*shapes, **more)))
    assert found is not None
    return list(instances_of(found, (WIDTH, HEIGHT)))


def whole(one: Instance) -> Bools:
    return one.whole(WIDTH, HEIGHT)


@st.composite
def drawn_shapes(draw_: Any) -> Any:
    kind = draw_(st.sampled_from(sorted(COUNTS)))
    fine = draw_(st.booleans())
    number = st.floats(-9, 60, allow_nan=False) if fine else st.integers(0, HEIGHT - 1)
    low, high = COUNTS[kind]
    return shape(kind, draw_(st.lists(st.tuples(number, number), min_size=low, max_size=high)))


@FEW
@given(one=drawn_shapes(), version=st.sampled_from([4, 5, 7]))
def test_every_shape_is_what_labelme_draws(tmp_path_factory: Any, one: Any, version: int) -> None:
    found = read(tmp_path_factory.getbasetemp(), one, version=f"{version}.5.0")
    true = draw(one, version=version)
    assert np.array_equal(union([whole(one) for one in found]) if found else np.zeros_like(true), true)


@pytest.mark.parametrize("kind", sorted(COUNTS))
def test_a_shape_of_each_kind(tmp_path: Path, kind: str) -> None:
    points = [(30.7, 20.2), (10.6, 5.9), (22.1, 28.0), (40.3, 9.5)][: max(COUNTS[kind][0], 1)]
    (found,) = read(tmp_path, shape(kind, points))
    assert whole(found).sum() > 60
    assert np.array_equal(whole(found), draw(shape(kind, points)))


def test_the_contour_belongs_to_the_shape(tmp_path: Path) -> None:
    (found,) = read(tmp_path, shape(points=[(2, 3), (6, 3), (6, 5), (2, 5)]))
    assert (found.bbox, found.area) == ((2, 3, 7, 6), 15)


def test_files_of_old_versions(tmp_path: Path) -> None:
    old = {"label": "dent", "line_color": None, "fill_color": None, "points": [[4.9, 4.2], [20.5, 5.5], [12.1, 18.9]]}
    told = {"flags": {}, "shapes": [old], "lineColor": [0, 255, 0, 128], "fillColor": [255, 0, 0, 128]}
    found = read_labelme(write(tmp_path / "a.json", {**told, "imagePath": "a.png", "imageData": "no base64 at all"}))
    assert found is not None
    assert (found.size, found.version) == (None, 0)
    (one,) = instances_of(found, (WIDTH, HEIGHT))
    assert np.array_equal(whole(one), draw(shape(points=old["points"])))
    (same,) = read(tmp_path, shape(None, old["points"]))
    assert np.array_equal(whole(same), whole(one))


def test_joints_of_line_strips_are_round_from_version_7_on(tmp_path: Path) -> None:
    strip = shape("linestrip", [(8, 8), (40, 8), (40, 28)])
    before, after = (whole(read(tmp_path, strip, version=f"{version}.0.0")[0]) for version in (6, 7))
    assert np.count_nonzero(before != after)


@FEW
@given(mask=masks())
def test_masks_stand_on_their_corners(tmp_path_factory: Any, mask: Bools) -> None:
    if not mask.any():
        return
    h, w = mask.shape
    one = shape("mask", [(2, 1), (2 + w - 1, 1 + h - 1)], mask=png(mask))
    found = read_labelme(write(tmp_path_factory.getbasetemp() / "a.json", document(one)))
    assert found is not None
    (instance,) = instances_of(found, (200, 200))
    assert np.array_equal(instance.whole(200, 200), draw(one, (200, 200)))


@pytest.mark.parametrize(
    ("version", "points", "place"),
    [
        ("5.5.0", [(3.7, 2.6), (6.7, 4.6)], (3, 2)),  # cut off, as shapes_to_label did
        ("7.9.1", [(3.7, 2.6), (6.7, 4.6)], (4, 3)),  # rounded
        ("7.9.1", [(3.4, 2.6), (6.6, 4.4)], (3, 3)),  # the extent that is stored counts
        ("5.5.0", [(-2, -1), (1, 1)], (-2, -1)),
        ("5.5.0", [(46, 30), (49, 32)], (46, 30)),
    ],
)
def test_masks_that_were_moved(tmp_path: Path, version: str, points: Any, place: tuple[int, int]) -> None:
    stored = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [1, 1, 1, 1]], bool)
    (found,) = read(tmp_path, shape("mask", points, mask=png(stored)), version=version)
    canvas = np.zeros((HEIGHT + 20, WIDTH + 20), bool)
    canvas[10 + place[1] : 13 + place[1], 10 + place[0] : 14 + place[0]] = stored
    assert np.array_equal(whole(found), canvas[10:-10, 10:-10])


SQUARE = [(4, 4), (12, 4), (12, 12), (4, 12)]
RIGHT = [(10, 6), (20, 6), (20, 10), (10, 10)]


def test_shapes_of_a_group_are_one_object(tmp_path: Path) -> None:
    parts = [shape(points=SQUARE, group_id=3), shape("circle", [(30, 20), (33, 20)], group_id=3)]
    others = [shape(points=RIGHT, group_id=3, label="scratch"), shape(points=RIGHT, group_id=4)]
    others += [shape(points=RIGHT, group_id=""), shape(points=RIGHT, group_id="")]
    found = read(tmp_path, *parts, *others)
    assert [one.label for one in found] == ["dent", "scratch", "dent", "dent", "dent"]
    assert np.array_equal(whole(found[0]), union([draw(part) for part in parts]))


def test_what_is_drawn_later_lies_on_top(tmp_path: Path) -> None:
    first, second = shape(points=SQUARE), shape(points=RIGHT, label="scratch")
    found = read(tmp_path, first, second)
    assert [np.count_nonzero(whole(one)) for one in found] == [81, 55]  # both whole


def test_a_group_that_is_drawn_on_loses_what_lies_on_it(tmp_path: Path) -> None:
    first, between = shape(points=SQUARE, group_id=1), shape(points=RIGHT, label="scratch")
    last = shape(points=[(30, 20), (40, 20), (40, 25)], group_id=1)
    scratch, dent = read(tmp_path, first, between, last)
    assert (scratch.label, dent.label) == ("scratch", "dent")
    assert np.array_equal(whole(dent), (draw(first) & ~draw(between)) | draw(last))


@FEW
@given(data=st.data())
def test_painted_in_order_objects_are_what_shapes_to_label_gives(tmp_path_factory: Any, data: Any) -> None:
    points = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30)), min_size=3, max_size=5)
    labels = st.sampled_from(["dent", "scratch", BACKGROUND])
    shapes = [
        shape(points=data.draw(points), label=data.draw(labels), group_id=data.draw(st.sampled_from([None, 1, 2])))
        for _ in range(data.draw(st.integers(1, 6)))
    ]
    true = np.zeros((HEIGHT, WIDTH), int)
    for one in shapes:
        true[draw(one)] = {"dent": 1, "scratch": 2, BACKGROUND: 0}[one["label"]]
    painted = np.zeros_like(true)
    for found in read(tmp_path_factory.getbasetemp(), *shapes):
        painted[whole(found)] = 1 if found.label == "dent" else 2
    assert np.array_equal(painted, true)


def test_background_cuts_holes_and_what_is_to_be_ignored_is_left_out(tmp_path: Path) -> None:
    hole = [(6, 6), (9, 6), (9, 9), (6, 9)]
    told = document(shape(points=SQUARE), shape(points=hole, label=BACKGROUND), shape(points=RIGHT, label=IGNORE))
    found = read_labelme(write(tmp_path / "a.json", told))
    assert found is not None
    read_ = instances_of(found, (WIDTH, HEIGHT))
    assert [(one.label, one.area) for one in read_] == [("dent", 81 - 16)]
    assert read_.left_out == ("shapes[2] is drawn as __ignore__, which is no class",)


def test_what_is_degenerate_or_outside_is_left_out_and_said(tmp_path: Path) -> None:
    shapes = [
        shape(points=[(1, 1), (5, 5)]),
        shape("rectangle", [(3, 3)]),
        shape("polygon", []),
        shape("point", [(300, 300)]),
        shape(points=[(-9, -9), (-5, -9), (-5, -5)]),
        shape("mask", [(60, 60), (61, 61)], mask=png(np.ones((2, 2), bool))),
        shape("mask", [(6, 6), (7, 7)], mask=png(np.zeros((2, 2), bool))),
        shape("circle", [(7, 7), (7, 7)]),
    ]
    found = read_labelme(write(tmp_path / "a.json", document(*shapes)))
    assert found is not None
    read_ = instances_of(found, (WIDTH, HEIGHT))
    assert not read_
    assert read_.left_out == (
        "shapes[0] is a polygon of 2 points, and marks nothing",
        "shapes[1] is a rectangle of 1 points, and marks nothing",
        "shapes[2] is a polygon of 0 points, and marks nothing",
        *(f"shapes[{number}] marks no pixel of the image" for number in (3, 4, 5, 6, 7)),
    )


def test_rectangles_are_boxes_of_the_pixels_that_labelme_draws(tmp_path: Path) -> None:
    corners = [(20.9, 12.7), (10.6, 5.2)]
    (found,) = read(tmp_path, shape("rectangle", corners))
    assert (found.mask, found.bbox) == (None, (10, 5, 21, 13))
    assert np.array_equal(whole(found), draw(shape("rectangle", corners)))
    four = [(10, 5), (20, 5), (20, 12), (10, 12)]
    (same,) = read(tmp_path, shape("rectangle", four))
    assert same.bbox == (10, 5, 21, 13)
    (grouped,) = read(tmp_path, *[shape("rectangle", corners, group_id=1)] * 2)
    assert grouped.mask is not None


def test_what_else_is_said_is_kept(tmp_path: Path) -> None:
    one = shape(flags={"deep": True, "old": False}, description="by hand", attributes={"side": "left", "n": 2})
    (found,) = read(tmp_path, one)
    assert found.attributes == {"deep": "true", "old": "false", "side": "left", "n": "2", "description": "by hand"}
    parts = [shape(group_id=1, description="one"), shape(points=RIGHT, group_id=1, description="two")]
    assert read(tmp_path, *parts)[0].attributes == {"description": "one; two"}


@pytest.mark.parametrize("name", ["ring", "spiral", "checkerboard"])
def test_shapes_that_break_tracers_as_masks(tmp_path: Path, name: str) -> None:
    mask = SHAPES.get(name, next(iter(SHAPES.values())))
    h, w = mask.shape
    one = shape("mask", [(0, 0), (w - 1, h - 1)], mask=png(mask))
    save_pair(tmp_path, "a", one, imageWidth=WIDTH, imageHeight=HEIGHT)
    (found,) = region(read_labels(tmp_path), "a")
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[:h, :w] = mask[:HEIGHT, :WIDTH]
    assert np.array_equal(found[1], expected)
