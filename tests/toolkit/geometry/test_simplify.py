"""Fewer vertices against the rasterisers that read them: pycocotools for edge rings, fillPoly for centre rings.

The rings come from a tracer of their own here, and the vertex counts to beat from OpenCV's approxPolyDP.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from toolkit.geometry.simplify import Region, simplify_regions

Bools = npt.NDArray[np.bool_]
Points = npt.NDArray[np.int64]
Kind = Literal["edge", "centre"]
KINDS: tuple[Kind, ...] = ("edge", "centre")
y, x = np.mgrid[:64, :64]


def disk(radius: float, at: tuple[int, int] = (32, 32)) -> Bools:
    return np.asarray((x - at[0]) ** 2 + (y - at[1]) ** 2 <= radius**2)


def filled(points: Sequence[tuple[float, float]]) -> Bools:
    canvas = np.zeros((64, 64), np.uint8)
    cv2.fillPoly(canvas, [np.rint(points).astype(np.int32)], (1,))
    return canvas > 0


def stroke(points: Sequence[tuple[int, int]], width: int) -> Bools:
    canvas = np.zeros((64, 64), np.uint8)
    cv2.polylines(canvas, [np.array(points, np.int32)], False, (1,), width)
    return canvas > 0


def blob(seed: int) -> Bools:
    rough = cv2.GaussianBlur(np.random.default_rng(seed).random((64, 64)), (0, 0), 6)
    labels = cv2.connectedComponents((rough > np.median(rough)).astype(np.uint8))[1]
    return np.asarray(labels == 1 + np.bincount(labels.ravel())[1:].argmax())


def pixels(*where: tuple[int, int]) -> Bools:
    canvas = np.zeros((64, 64), np.bool_)
    canvas[tuple(zip(*where, strict=True))] = True
    return canvas


SHAPES = {
    "small disk": disk(6),
    "disk": disk(24),
    "square": filled([(9, 9), (50, 9), (50, 40), (9, 40)]),
    "rectangle at 10 degrees": filled(cv2.boxPoints(((32, 32), (40, 14), 10)).tolist()),
    "rectangle at 33 degrees": filled(cv2.boxPoints(((32, 32), (40, 14), 33)).tolist()),
    "scratch of two pixels": stroke([(5, 9), (58, 40)], 2),
    "scratch of four pixels": stroke([(5, 9), (58, 40)], 4),
    "bent scratch": stroke([(5, 5), (20, 40), (45, 30), (58, 58)], 3),
    "blob": blob(0),
    "another blob": blob(3),
    "ring": disk(28) & ~disk(12, (30, 33)),
    "three holes": disk(30) & ~disk(5, (20, 24)) & ~disk(4, (40, 20)) & ~disk(6, (34, 44)),
    "disk and dots": disk(20) | pixels((2, 2), (60, 3), (60, 4), (5, 60)),
}


def read(rings: Sequence[Points], kind: Kind, size: tuple[int, int]) -> Bools:
    """Rings as their reader fills them."""
    if kind == "edge":
        found = coco_mask.frPyObjects([ring.ravel().astype(float).tolist() for ring in rings], *size)
        return np.asarray(coco_mask.decode(coco_mask.merge(found)), np.bool_)
    canvas = np.zeros(size, np.uint8)
    for ring in rings:
        cv2.fillPoly(canvas, [ring.astype(np.int32)], (1,))
    return canvas > 0


def crop(mask: Bools) -> Bools:
    ys, xs = np.nonzero(mask)
    return mask[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]


def trace(mask: Bools, kind: Kind) -> list[Region]:
    return trace_edges(mask) if kind == "edge" else trace_centres(mask)


def trace_edges(mask: Bools) -> list[Region]:
    """A region per 4-connected part, by walking the pixel edges with the mask on the right."""
    parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[1]
    padded = np.pad(parts, 1)
    leaving: dict[tuple[int, int], list[tuple[int, int]]] = {}
    sides = [((0, 0), (1, 0), (0, -1)), ((1, 0), (1, 1), (1, 0)), ((1, 1), (0, 1), (0, 1)), ((0, 1), (0, 0), (-1, 0))]
    for py, px in zip(*np.nonzero(mask), strict=True):
        for (ax, ay), (bx, by), (ox, oy) in sides:
            if not padded[py + 1 + oy, px + 1 + ox]:
                leaving.setdefault((px + ax, py + ay), []).append((bx - ax, by - ay))
    outer: dict[int, Points] = {}
    holes: dict[int, list[Points]] = {}
    for start in sorted(leaving):
        while leaving[start]:
            place, step, walk = start, leaving[start][0], []
            while step in leaving[place]:
                leaving[place].remove(step)
                walk.append(place)
                place = (place[0] + step[0], place[1] + step[1])
                right = (-step[1], step[0])  # a right turn stays with the pixel at a diagonal contact
                step = right if right in leaving[place] else next(iter(leaving[place]), step)
            ring = np.array(walk)
            (ax, ay), (bx, by) = walk[0], walk[1]
            inside = parts[min(ay, by) - (bx < ax), min(ax, bx) - (by > ay)]
            if area(ring) > 0:
                outer[int(inside)] = ring
            else:
                holes.setdefault(int(inside), []).append(ring)
    return [Region(ring, tuple(holes.get(part, []))) for part, ring in sorted(outer.items())]


def trace_centres(mask: Bools) -> list[Region]:
    """A region per 8-connected part, by OpenCV."""
    found, tree = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    rings = [ring[:, 0].astype(np.int64) for ring in found]
    up = tree[0, :, 3].tolist()
    return [
        Region(ring, tuple(rings[k] for k in range(len(rings)) if up[k] == number))
        for number, ring in enumerate(rings)
        if up[number] < 0
    ]


def area(ring: Points) -> float:
    ahead = np.roll(ring, -1, axis=0)
    return float(np.sum(ring[:, 0] * ahead[:, 1] - ring[:, 1] * ahead[:, 0])) / 2


def simplify(mask: Bools, kind: Kind, min_iou: float) -> list[Points]:
    return simplify_regions(trace(mask, kind), mask, lambda rings: read(rings, kind, mask.shape), min_iou)


def iou(rings: Sequence[Points], mask: Bools, kind: Kind) -> float:
    raster = read(rings, kind, mask.shape)
    return float(np.count_nonzero(raster & mask) / np.count_nonzero(raster | mask))


def parts(mask: Bools) -> int:
    return int(cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0]) - 1


def size(rings: Sequence[Any]) -> int:
    return sum(map(len, rings))


def approximated(mask: Bools, kind: Kind, min_iou: float) -> int:
    """Fewest vertices that approxPolyDP finds at any tolerance; bridges are given to it for free."""
    regions = trace(mask, kind)
    best = sum(size((region.outer, *region.holes)) for region in regions)
    for tolerance in np.geomspace(0.3, 16, 24):

        def thin(ring: Points, tolerance: float = float(tolerance)) -> Points:
            found = cv2.approxPolyDP(ring.astype(np.int32)[:, None], tolerance, True)[:, 0]
            return np.resize(found, (max(3, len(found)), 2)).astype(np.int64)

        outer = read([thin(region.outer) for region in regions], kind, mask.shape)
        holes = [[thin(hole) for hole in region.holes] for region in regions]
        inner = np.zeros_like(mask)
        for hole in itertools.chain(*holes):
            inside = read([hole], kind, mask.shape)
            if kind == "centre":  # the line round a hole is painted
                line = np.zeros(mask.shape, np.uint8)
                inside &= cv2.polylines(line, [hole.astype(np.int32)], True, (1,)) == 0
            inner |= inside
        raster = outer & ~inner
        if np.count_nonzero(raster & mask) >= min_iou * np.count_nonzero(raster | mask):
            best = min(best, size([thin(region.outer) for region in regions]) + sum(map(size, holes)))
    return best


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SHAPES)
def test_no_more_vertices_than_approx_poly_dp_at_the_same_iou(name: str, kind: Kind) -> None:
    mask = crop(SHAPES[name])
    for min_iou in (0.97, 0.9):
        rings = simplify(mask, kind, min_iou)
        assert iou(rings, mask, kind) >= min_iou
        assert size(rings) <= approximated(mask, kind, min_iou), min_iou


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("mask", "min_iou", "most"),
    [
        (disk(24), 0.95, 8),
        (disk(24), 0.9, 6),
        (SHAPES["rectangle at 33 degrees"], 0.95, 4),
        (SHAPES["scratch of four pixels"], 0.9, 4),
        (SHAPES["ring"], 0.9, 17),
        (SHAPES["disk and dots"], 0.9, 6 + 3 * 3),
    ],
)
def test_as_few_vertices_as_the_shape_needs(mask: Bools, kind: Kind, min_iou: float, most: int) -> None:
    assert size(simplify(crop(mask), kind, min_iou)) <= most


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.3, 1, 2.5]), st.sampled_from(KINDS), st.sampled_from([1, 0.98, 0.85]))
def test_random_masks_keep_the_iou_and_every_part(seed: int, blur: float, kind: Kind, min_iou: float) -> None:
    rough = cv2.GaussianBlur(np.random.default_rng(seed).random((18, 20)), (0, 0), blur)
    mask = crop(rough > np.quantile(rough, 0.6))
    rings = simplify(mask, kind, min_iou)
    if not rings:  # a bridge had to leave the mask
        assert kind == "centre"
        assert any(region.holes for region in trace(mask, kind))
        return
    assert iou(rings, mask, kind) >= min_iou
    highest = np.array(mask.shape[::-1]) - (kind == "centre")
    assert all(ring.dtype == np.int64 and len(ring) >= 3 and (ring >= 0).all() for ring in rings)
    assert all((ring <= highest).all() for ring in rings)
    # Islands in a hole that they touch at a corner are parts with a ring of their own.
    assert parts(mask) <= len(rings) <= len(trace(mask, kind))
    kept = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[1][read(rings, kind, mask.shape)]
    assert set(range(1, parts(mask) + 1)) <= set(kept.tolist())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SHAPES)
def test_iou_of_one_keeps_every_pixel(name: str, kind: Kind) -> None:
    mask = crop(SHAPES[name])
    assert np.array_equal(read(simplify(mask, kind, 1.0), kind, mask.shape), mask)


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_stays_down_to_the_single_pixel(kind: Kind) -> None:
    mask = disk(20)
    mask[np.ix_(np.array([1, 5, 58, 62]), np.arange(1, 64, 6))] = True
    mask = crop(mask)
    rings = simplify(mask, kind, 0.5)
    assert len(rings) == parts(mask)
    labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[1]
    assert set(labels[read(rings, kind, mask.shape)].tolist()) >= set(range(1, parts(mask) + 1))


def test_parts_that_touch_at_a_corner_become_one_ring_along_edges() -> None:
    mask = crop(np.eye(64, dtype=np.bool_))
    rings = simplify(mask, "edge", 0.6)
    assert len(trace(mask, "edge")) == 64
    assert len(rings) == 1
    assert size(rings) <= 12


@pytest.mark.parametrize("kind", KINDS)
def test_holes_are_filled_where_the_iou_allows_it(kind: Kind) -> None:
    mask = crop(disk(24) & ~disk(4))
    assert not read(simplify(mask, kind, 0.99), kind, mask.shape)[24, 24]
    assert read(simplify(mask, kind, 0.9), kind, mask.shape)[24, 24]


@pytest.mark.parametrize(
    "ring", [[(3, 2)], [(3, 2), (4, 2)], [(0, 0), (9, 0)], [(0, 4), (4, 0)], [(0, 0), (0, 5), (6, 5), (0, 5)]]
)
def test_rings_without_area_come_through_unharmed(ring: list[tuple[int, int]]) -> None:
    points = np.array(ring)
    mask = read([points], "centre", (6, 10))
    rings = simplify_regions([Region(points)], mask, lambda found: read(found, "centre", mask.shape), 0.99)
    assert len(rings) == 1
    assert len(rings[0]) >= 3
    assert np.array_equal(read(rings, "centre", mask.shape), mask)


@pytest.mark.parametrize("kind", KINDS)
def test_same_input_same_rings_and_either_sense_will_do(kind: Kind) -> None:
    mask = crop(SHAPES["three holes"])
    regions = trace(mask, kind)
    turned = [Region(region.outer[::-1], tuple(hole[::-1] for hole in region.holes)) for region in regions]

    def fill(rings: Sequence[Points]) -> Bools:
        return read(rings, kind, mask.shape)

    def run(found: list[Region]) -> list[list[list[int]]]:
        return [ring.tolist() for ring in simplify_regions(found, mask, fill, 0.95)]

    assert run(regions) == run(regions)
    assert size(run(turned)) <= size(run(regions)) + 2


def test_no_rings_rather_than_rings_below_the_iou() -> None:
    mask = crop(disk(20))

    def nothing(rings: Sequence[Points]) -> Bools:
        return np.zeros_like(mask)

    fill: Callable[[Sequence[Points]], Bools] = nothing
    assert simplify_regions(trace(mask, "centre"), mask, fill, 0.9) == []
    assert simplify_regions([], mask, fill, 0.9) == []
