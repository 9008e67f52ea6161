"""Rings against the rasterisers that read them: pycocotools for edge rings, OpenCV's fillPoly for centre rings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import shapely
from hypothesis import example, given
from pycocotools import mask as coco_mask

from tests.masks import SHAPES, masks, picture
from toolkit.geometry.contours import Outline, centre_rings, edge_rings, trace, uncut_rings
from toolkit.geometry.oriented import oriented_box
from toolkit.imaging.masks import read_mask

Bools = npt.NDArray[np.bool_]
Points = npt.NDArray[Any]
Kind = Literal["edge", "centre"]
Rings = Callable[[Outline], list[npt.NDArray[np.int64]]]


def every_shape(test: Callable[[Bools], None]) -> Callable[..., None]:
    """Try the shapes made by hand, and then random ones."""
    for mask in SHAPES.values():
        test = example(mask)(test)
    return given(masks())(test)


def parts(mask: Bools, connectivity: Literal[4, 8]) -> int:
    return int(cv2.connectedComponents(mask.astype(np.uint8), connectivity=connectivity)[0]) - 1


def read_by_coco(rings: list[Points], mask: Bools) -> Bools:
    """What pycocotools makes of rings as COCO polygons."""
    height, width = mask.shape
    runs = coco_mask.frPyObjects([ring.ravel().astype(float).tolist() for ring in rings], height, width)
    return np.asarray(coco_mask.decode(coco_mask.merge(runs)), np.bool_)


def filled(rings: list[Points], mask: Bools) -> Bools:
    canvas = np.zeros(mask.shape, np.uint8)
    for ring in rings:  # one at a time: together, parts inside holes would be filled by the even-odd rule
        cv2.fillPoly(canvas, [ring.astype(np.int32)], 1)
    return canvas > 0


def signed_area(ring: Points) -> float:
    """Shoelace formula; positive clockwise on the screen."""
    x, y = ring[:, 0].astype(float), ring[:, 1].astype(float)
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


def steps(ring: Points) -> npt.NDArray[np.int64]:
    return np.asarray(np.roll(ring, -1, axis=0) - ring, np.int64)


@every_shape
def test_edge_rings_come_back_from_pycocotools_as_they_were(mask: Bools) -> None:
    assert np.array_equal(read_by_coco(edge_rings(trace(mask)), mask), mask)


@every_shape
def test_centre_rings_come_back_from_fill_poly_as_they_were(mask: Bools) -> None:
    assert np.array_equal(filled(centre_rings(trace(mask)), mask), mask)


@every_shape
def test_there_is_a_ring_for_each_connected_part(mask: Bools) -> None:
    outline = trace(mask)
    assert len(edge_rings(outline)) == len(uncut_rings(outline, "edge")) == parts(mask, 4)
    assert len(centre_rings(outline)) == len(uncut_rings(outline, "centre")) == parts(mask, 8)


@every_shape
def test_each_ring_is_one_part(mask: Bools) -> None:
    for ring in edge_rings(trace(mask)):
        assert parts(read_by_coco([ring], mask), 4) == 1
    for ring in centre_rings(trace(mask)):
        assert parts(filled([ring], mask), 8) == 1


@every_shape
def test_a_centre_ring_steps_over_mask_pixels_only(mask: Bools) -> None:
    for ring in centre_rings(trace(mask)):
        for (x, y), (dx, dy) in zip(ring.tolist(), steps(ring).tolist(), strict=True):
            length = max(abs(dx), abs(dy))
            assert 0 in (dx, dy) or length == 1, "neither along a row or column nor one diagonal step"
            along = np.arange(length + 1)
            assert mask[y + np.sign(dy) * along, x + np.sign(dx) * along].all()


@every_shape
def test_an_edge_ring_runs_along_rows_and_columns_within_the_frame(mask: Bools) -> None:
    for ring in edge_rings(trace(mask)):
        assert len(ring) >= 4
        assert (np.count_nonzero(steps(ring), axis=1) == 1).all()
        assert (ring >= 0).all()
        assert (ring <= mask.shape[::-1]).all()


@every_shape
def test_an_edge_ring_passes_every_horizontal_edge_once(mask: Bools) -> None:
    walked = sum(int(np.abs(steps(ring)[:, 0]).sum()) for ring in edge_rings(trace(mask)))  # cuts are vertical
    assert walked == np.count_nonzero(np.diff(np.pad(mask.astype(np.int8), 1), axis=0))


@every_shape
def test_the_area_inside_edge_rings_is_the_number_of_pixels(mask: Bools) -> None:
    outline = trace(mask)
    assert sum(signed_area(ring) for ring in edge_rings(outline)) == np.count_nonzero(mask)
    uncut = uncut_rings(outline, "edge")
    assert sum(abs(signed_area(outer)) - sum(abs(signed_area(hole)) for hole in holes) for outer, holes in uncut) == (
        np.count_nonzero(mask)
    )


@pytest.mark.parametrize("kind", ["edge", "centre"])
@given(mask=masks())
def test_holes_run_against_the_sense_of_their_outer_ring(mask: Bools, kind: Kind) -> None:
    for outer, holes in uncut_rings(trace(mask), kind):
        assert signed_area(outer) >= 0
        assert all(signed_area(hole) < 0 for hole in holes)


@every_shape
def test_the_holes_of_an_outer_ring_lie_inside_it(mask: Bools) -> None:
    for outer, holes in uncut_rings(trace(mask), "edge"):
        polygon = shapely.Polygon(outer)
        assert all(polygon.covers(shapely.Polygon(hole)) for hole in holes)


@every_shape
def test_there_is_a_ring_for_each_hole(mask: Bools) -> None:
    outside = np.pad(~mask, 1, constant_values=True)
    outline = trace(mask)
    assert sum(len(holes) for _, holes in uncut_rings(outline, "edge")) == parts(outside, 8) - 1
    assert sum(len(holes) for _, holes in uncut_rings(outline, "centre")) == parts(outside, 4) - 1


@every_shape
def test_the_oriented_box_holds_every_pixel_square_and_is_the_smallest(mask: Bools) -> None:
    corners = oriented_box(mask)
    rows, columns = np.nonzero(mask)
    squares = np.stack([np.stack([columns + dx, rows + dy], axis=1) for dx in (0, 1) for dy in (0, 1)]).reshape(-1, 2)
    smallest = shapely.minimum_rotated_rectangle(shapely.MultiPoint(squares))
    box = shapely.Polygon(corners)
    assert box.area == pytest.approx(smallest.area, rel=1e-6)
    assert shapely.covers(box.buffer(1e-6), shapely.points(squares)).all()
    sides = steps_of_box(corners)
    assert abs((sides[0] * sides[1]).sum()) < 1e-6


def steps_of_box(corners: Points) -> npt.NDArray[np.float64]:
    return np.asarray(np.roll(corners, -1, axis=0) - corners, np.float64)


@pytest.mark.parametrize("rings", [edge_rings, centre_rings])
@pytest.mark.parametrize("name", SHAPES)
def test_the_same_mask_gives_the_same_rings(name: str, rings: Rings) -> None:
    mask = SHAPES[name]
    first, again = rings(trace(mask)), rings(trace(np.asfortranarray(mask)))
    assert [ring.tolist() for ring in first] == [ring.tolist() for ring in again]
    assert all(ring.dtype == np.int64 for ring in first)


@pytest.mark.parametrize(
    ("mask", "edges", "centres"),
    [
        (picture("#"), [[(0, 0), (1, 0), (1, 1), (0, 1)]], [[(0, 0)]]),
        (picture("##"), [[(0, 0), (2, 0), (2, 1), (0, 1)]], [[(0, 0), (1, 0)]]),
        (
            picture("#.", ".#"),
            [[(0, 0), (1, 0), (1, 1), (0, 1)], [(1, 1), (2, 1), (2, 2), (1, 2)]],
            [[(0, 0), (1, 1)]],
        ),
        (picture("...", ".##", ".##"), [[(1, 1), (3, 1), (3, 3), (1, 3)]], [[(1, 1), (2, 1), (2, 2), (1, 2)]]),
    ],
)
def test_small_masks_have_these_rings(mask: Bools, edges: list[object], centres: list[object]) -> None:
    outline = trace(mask)
    assert [from_the_first(ring) for ring in edge_rings(outline)] == edges
    assert [from_the_first(ring) for ring in centre_rings(outline)] == centres


def from_the_first(ring: Points) -> list[tuple[int, int]]:
    """Points of a ring in their order, from the smallest on."""
    points = [(x, y) for x, y in ring.tolist()]
    first = points.index(min(points))
    return points[first:] + points[:first]


@pytest.mark.parametrize("name", ["two diagonal pixels falling", "two diagonal pixels rising", "checkerboard"])
def test_an_outline_knows_of_its_diagonal_contacts(name: str) -> None:
    assert trace(SHAPES[name]).diagonal
    assert not trace(SHAPES["ring"]).diagonal


def test_a_mask_without_pixels_has_no_rings() -> None:
    outline = trace(np.zeros((4, 5), np.bool_))
    assert edge_rings(outline) == centre_rings(outline) == uncut_rings(outline, "edge") == []


@pytest.mark.parametrize("density", [0.5, 0.7])
def test_noise_with_thousands_of_holes_is_exact(density: float) -> None:
    mask = np.random.default_rng(1).random((256, 256)) < density
    outline = trace(mask)
    assert np.array_equal(read_by_coco(edge_rings(outline), mask), mask)
    assert np.array_equal(filled(centre_rings(outline), mask), mask)


def test_real_masks_are_exact(mvtec_root: Path) -> None:
    files = sorted(mvtec_root.glob("*/ground_truth/*/*.png"))
    assert files
    for file in files:
        mask = read_mask(file).pixels() > 0
        outline = trace(mask)
        assert np.array_equal(read_by_coco(edge_rings(outline), mask), mask), file
        assert np.array_equal(filled(centre_rings(outline), mask), mask), file
