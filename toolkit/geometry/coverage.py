"""How well polygons cover a mask: measured on the raster, and modelled as a sum over their sides.

The model steers the search of `toolkit.geometry.simplify`, which explains it; the measure has the last word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from toolkit.aliases import BoolArray, FloatArray

__all__ = [
    "Rasteriser",
    "Region",
    "Shape",
    "iou_deficit",
    "join_holes",
    "loop_weight",
    "raster_deficit",
    "ring_corners",
    "shape_of",
    "side_weights",
    "squared_distances",
    "vertex_count",
]

IntArray = npt.NDArray[np.int64]
Rasteriser = Callable[[Sequence[IntArray]], BoolArray]


@dataclass(frozen=True, eq=False)
class Region:
    """A connected part of a mask, by its rings; closed implicitly, in either sense, without keyholes.

    Attributes:
        outer: int64 (N, 2), x, y vertices of the outer ring.
        holes: int64 (K, 2) each, the rings round its holes.
    """

    outer: IntArray
    holes: tuple[IntArray, ...] = ()


@dataclass(frozen=True, eq=False)
class Shape:
    """What rings are measured against.

    Attributes:
        mask: bool (H, W).
        parts: int32 (H, W), number of the connected part that a pixel belongs to, 0 for background.
        count: number of parts.
        prefix: float64 (H * (W + 1),), for each lattice point the weight of the pixels left of it in its row.
        paints: whether rings run through pixel centres and are painted too, or else along pixel edges.
        hole: whether each ring is a hole; those that follow an outer ring are in it.
    """

    mask: BoolArray
    rasterise: Rasteriser
    min_iou: float
    parts: npt.NDArray[np.int32]
    count: int
    prefix: FloatArray
    paints: bool
    hole: tuple[bool, ...]


def shape_of(
    regions: Sequence[Region], mask: BoolArray, rasterise: Rasteriser, min_iou: float
) -> tuple[Shape, list[IntArray]]:
    """Weights of the mask, and all rings as loops: outer ones clockwise on the screen, holes against that."""
    groups: list[list[IntArray]] = []
    for region in regions:
        rings = [ring_corners(np.asarray(ring, np.int64)) for ring in (region.outer, *region.holes)]
        groups.append([ring[::-1] if (_area(ring) < 0) != (number > 0) else ring for number, ring in enumerate(rings)])
    paints = sum(_area(ring) for group in groups for ring in group) < int(np.count_nonzero(mask))
    if not paints:
        groups = _hang_corners(groups)
    left = np.zeros((mask.shape[0], mask.shape[1] + 1))
    np.cumsum(np.where(mask, -1.0, min_iou), axis=1, out=left[:, 1:])
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    hole = tuple(number > 0 for group in groups for number in range(len(group)))
    labels = np.asarray(parts, np.int32)
    loops = [ring for group in groups for ring in group]
    return Shape(mask, rasterise, min_iou, labels, count - 1, left.ravel(), paints, hole), loops


def _hang_corners(groups: list[list[IntArray]]) -> list[list[IntArray]]:
    """Regions (outer ring, holes) whose outer rings share a vertex, hung together there: they are drawn as one."""
    there: dict[tuple[int, int], list[int]] = {}
    for number, (outer, *_) in enumerate(groups):
        for x, y in outer.tolist():
            there.setdefault((x, y), []).append(number)
    found, done = [], set[int]()
    for number, (ring, *holes) in enumerate(groups):
        if number in done:
            continue
        done.add(number)
        waiting = [number]
        while waiting:
            for x, y in groups[waiting.pop()][0].tolist():
                for other in there[x, y]:
                    if other not in done:
                        done.add(other)
                        waiting.append(other)
                        outer, *more = groups[other]
                        place, first = (int((one == (x, y)).all(axis=1).argmax()) for one in (ring, outer))
                        ring = np.concatenate([ring[:place], np.roll(outer, -first, axis=0), ring[place:]])
                        holes += more
        found.append([ring, *holes])
    return found


def _area(ring: IntArray) -> float:
    """Signed area, positive for rings that run clockwise on the screen (y down)."""
    x, y = ring[:, 0], ring[:, 1]
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2


def ring_corners(ring: IntArray) -> IntArray:
    """The ring without repeated points and points on a straight run, filled up to three."""
    moved = (ring != np.roll(ring, 1, axis=0)).any(axis=1)
    ring = ring[moved] if moved.any() else ring[:1]
    if len(ring) > 3:
        before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
        straight = (before[:, 0] * after[:, 1] == before[:, 1] * after[:, 0]) & ((before * after).sum(axis=1) > 0)
        ring = ring[~straight]
    return np.concatenate([ring, np.repeat(ring[-1:], max(0, 3 - len(ring)), axis=0)])


def vertex_count(shape: Shape, loops: list[IntArray]) -> int:
    """Vertices that loops have once joined: a hole repeats both ends of its bridge. Filled holes are empty."""
    return sum(len(loop) + 2 * hole for loop, hole in zip(loops, shape.hole, strict=True) if len(loop))


def iou_deficit(shape: Shape, loops: list[IntArray]) -> float:
    """How much loops miss the demand by, once joined: t B - I + t |M| in pixels, positive exactly where they do."""
    return raster_deficit(shape, join_holes(shape, loops))


def raster_deficit(shape: Shape, rings: list[IntArray]) -> float:
    """The same for joined rings."""
    raster = shape.rasterise(rings)
    both = raster & shape.mask
    inside, union = int(np.count_nonzero(both)), int(np.count_nonzero(raster | shape.mask))
    missed = shape.min_iou * union - inside
    if inside < shape.min_iou * union or inside / max(union, 1) < shape.min_iou:
        return max(missed, 1e-9)
    if shape.count > 1 and not np.bincount(shape.parts[both], minlength=shape.count + 1)[1:].all():
        return float("inf")
    return min(missed, 0.0)


def join_holes(shape: Shape, loops: list[IntArray]) -> list[IntArray]:
    """One ring per region: the holes nearest to it first, each hung on by a double line between two vertices."""
    rings: list[IntArray] = []
    waiting: list[IntArray] = []
    for loop, hole, closes in zip(loops, shape.hole, (*(not hole for hole in shape.hole[1:]), True), strict=True):
        if not hole:
            ring, waiting = loop, []
        elif len(loop):
            waiting.append(loop)
        if closes:
            if waiting:
                away = [int(squared_distances(ring, found[:1]).min()) for found in waiting]
                for number in np.argsort(away, kind="stable"):
                    ring = _hang(shape, ring, waiting[number])
            rings.append(ring)
    return rings


def squared_distances(one: IntArray, other: IntArray) -> IntArray:
    """Squared distances (N, K) between points (N, 2) and (K, 2)."""
    return np.asarray((one[:, None, 0] - other[:, 0]) ** 2 + (one[:, None, 1] - other[:, 1]) ** 2)


def _hang(shape: Shape, ring: IntArray, hole: IntArray) -> IntArray:
    """Bridge a hole to a ring between near vertices; a painted bridge over as little background as can be."""
    ends = hole[:1] if len(ring) > 4000 else hole  # the time for noise would grow with the square of its size
    squared = squared_distances(ring, ends).ravel()
    best = int(squared.argmin())
    if shape.paints and squared[best] > 2:  # a bridge of one step stays on its ends
        near = np.argpartition(squared, min(24, len(squared) - 1))[:24]
        near = near[np.lexsort((near, squared[near]))]
        start, stop = ring[near // len(ends)], ends[near % len(ends)]
        along = np.linspace(0, 1, int(np.abs(stop - start).max()) + 1)[:, None, None]
        x, y = np.moveaxis(np.rint(start + along * (stop - start)).astype(np.int64), 2, 0)
        best = int(near[(~shape.mask[y, x]).sum(axis=0).argmin()])
    here, there = divmod(best, len(ends))
    detour = np.concatenate([np.roll(hole, -there, axis=0), hole[there : there + 1], ring[here : here + 1]])
    if squared[best] == 0:  # the rings meet in the vertex itself
        detour = detour[1:-1]
    return np.concatenate([ring[: here + 1], detour, ring[here + 1 :]])


def side_weights(shape: Shape, start: IntArray, stop: IntArray) -> FloatArray:
    """Contribution of straight sides to the weight inside a ring that runs clockwise on the screen.

    A row's prefix sum is taken where the side crosses the row's centre line. Along pixel edges that is all. Painted
    sides run through pixel centres and cover half a pixel on their left as well: steep ones sideways, flat ones up or
    down (Bresenham's line), which moves the crossings, halves the end rows of steep sides, and adds half a row's
    piece between the ends of flat ones.

    Args:
        start, stop: int64 (N, 2), x, y.

    Returns:
        float64 (N,).
    """
    stride = shape.mask.shape[1] + 1
    dx, dy = stop[:, 0] - start[:, 0], stop[:, 1] - start[:, 1]
    rows, sign = np.abs(dy), np.sign(dy)
    top = np.minimum(start[:, 1], stop[:, 1])
    slope = dx * sign / np.maximum(rows, 1)
    first = np.where(dy > 0, start[:, 0], stop[:, 0]) + slope / 2 - 0.5
    steep = np.zeros(len(dx), np.bool_)
    if shape.paints:
        steep = (rows >= np.abs(dx)) & (rows > 0)
        first += np.where(steep, (dy > 0) - slope / 2, 0.5)
        top = top + (~steep & (dx < 0))
        rows = rows + steep
    ends = np.cumsum(rows)
    total = int(ends[-1]) if len(ends) else 0
    down = np.arange(total) - np.repeat(ends - rows, rows)
    # A hair decides about pixels whose centre lies right on a side: for pycocotools they belong to what is below it.
    first += -1e-9 if shape.paints else 1e-7 * slope
    x = np.ceil(np.repeat(first, rows) + np.repeat(slope, rows) * down).astype(np.int64)
    sums = np.concatenate([[0.0], np.cumsum(shape.prefix[np.repeat(top * stride, rows) + down * stride + x])])
    weight = sign * (sums[ends] - sums[ends - rows])
    if shape.paints:
        here, there = start[:, 1] * stride + start[:, 0], stop[:, 1] * stride + stop[:, 0]
        across = np.where(steep, dy > 0, 0)
        ends_of_steep = sign * (shape.prefix[here + across] + shape.prefix[there + across]) / 2
        middle = shape.prefix[there] + shape.prefix[there + 1] - shape.prefix[here] - shape.prefix[here + 1]
        weight += np.where(steep, -ends_of_steep, np.sign(dx) * middle / 4)
    return np.asarray(weight, np.float64)


def loop_weight(shape: Shape, loop: IntArray) -> float:
    """Weight inside one loop."""
    return float(side_weights(shape, loop, np.roll(loop, -1, axis=0)).sum())
