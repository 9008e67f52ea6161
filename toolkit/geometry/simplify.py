"""Fewest-vertex polygons under a proven IoU.

Let M be a mask, P a polygon and t the IoU to keep. With I = |P and M| and B = |P minus M| the demand
I / (|M| + B) >= t reads t B - I + t |M| <= 0: give every background pixel the weight t and every mask pixel -1, then
the weight inside P has to be at most -t |M|. By Green's theorem the weight inside a closed ring is a sum over its
sides, each of which adds up row prefix sums of the weights along itself. "Fewest vertices" is thus a shortest path with
a bounded number of links over candidate vertices, solved by dynamic programming (Perez and Vidal 1994,
doi:10.1016/0167-8655(94)90002-7, with this weight in place of their squared distance). The vertices are then set free:
all move at once to the best choice among their lattice neighbours, by the dynamic programme for closed active contours
(Amini, Weymouth and Jain 1990, doi:10.1109/34.57681). At last vertices are dropped one by one, the others making up
for each, as long as the rasterised result keeps the IoU.

The weight is a model of what the rasteriser does (it ignores rings that cross themselves or each other, and how ties
are rounded), so it only steers the search: whatever is returned has been rasterised and measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from toolkit.aliases import BoolArray, FloatArray
from toolkit.geometry.coverage import (
    Rasteriser,
    Region,
    Shape,
    iou_deficit,
    join_holes,
    loop_weight,
    raster_deficit,
    ring_corners,
    shape_of,
    side_weights,
    squared_distances,
    vertex_count,
)

__all__ = ["Region", "simplify_regions"]

IntArray = npt.NDArray[np.int64]

_CANDIDATES = 112  # vertices per ring between which the shortest path chooses; its time grows with their square
_LONG, _MANY = 6000, 40  # more vertices or rings than this are decimated only: noise has no shape to be fitted
_FEW, _SLOW = 24, 1500  # vertices of the result, of the input, between which the search is started twice
_WORTH = 0.05  # share of the missing weight that a move of all vertices has to make up for
_TRIED = 400  # vertices of joined rings up to which each is tried at last
_TRIES = 4  # cheapest drops of a vertex that are tried before rings count as minimal
_NEIGHBOURS = np.array([(0, 0), (0, -1), (-1, 0), (1, 0), (0, 1), (-1, -1), (1, -1), (-1, 1), (1, 1)])


def simplify_regions(
    regions: Sequence[Region], mask: BoolArray, rasterise: Rasteriser, min_iou: float
) -> list[IntArray]:
    """Polygons with few vertices whose raster has at least the given IoU with a mask.

    Rings are told apart by their area: rings along pixel edges (for pycocotools) enclose exactly the mask's area,
    rings through pixel centres (for `cv2.fillPoly`) less. Vertices of the result stay integers, in [0, W] x [0, H] or
    in [0, W - 1] x [0, H - 1]; they need not be vertices of the input. Every region keeps a ring and every connected
    (8-connected) part of the mask a painted pixel; holes may be filled where the IoU allows it.

    Args:
        regions: the parts of one instance; integer x, y in the crop.
        mask: bool (H, W), the crop.
        rasterise: (K, 2) rings -> bool (H, W), as the reader of the rings will fill them.
        min_iou: in [0, 1].

    Returns:
        int64 (K, 2) rings, K >= 3, one per region and in their order, save that regions along pixel edges whose outer
        rings share a vertex come as one ring. Holes are joined to their outer ring by double lines of no width. Where
        nothing shorter holds the IoU, the input's own rings, joined so. An empty list if even those miss it, because
        a line painted between a hole and its outer ring leaves the mask: the caller then has to use its own rings.
    """
    if not regions:
        return []
    shape, loops = shape_of(regions, mask, rasterise, min_iou)
    best = loops if iou_deficit(shape, loops) <= 0 else []
    for found in _searches(shape, loops):
        if not best or vertex_count(shape, found) < vertex_count(shape, best):
            best = found
    return _drop_bridges(shape, join_holes(shape, best)) if best else []


def _searches(shape: Shape, loops: list[IntArray]) -> Iterator[list[IntArray]]:
    """Simpler loops by several methods, each only if it holds the IoU."""
    peucker, decimated, fitted = _peucker(shape, loops), _decimate(shape, loops), []
    if len(loops) <= _MANY and sum(map(len, loops)) <= _LONG:
        fitted = _fit(shape, loops)
        seeds = sorted(
            (seed for seed in (fitted, decimated, peucker) if seed), key=lambda seed: vertex_count(shape, seed)
        )
        # Few vertices settle so well that every start leads to much the same end; many are slow to move.
        starts = 1 + (bool(seeds) and vertex_count(shape, seeds[0]) > _FEW and sum(map(len, loops)) < _SLOW)
        yield from (_eliminate(shape, _relax(shape, seed)) for seed in seeds[:starts])
    yield from (seed for seed in (peucker, decimated) if seed)


def _peucker(shape: Shape, loops: list[IntArray]) -> list[IntArray]:
    """Ramer-Douglas-Peucker (`cv2.approxPolyDP`) with the largest tolerance that holds the IoU, or no loops."""
    best: list[IntArray] = []
    low, high = 0.0, float(max(shape.mask.shape))
    for _ in range(12 if len(loops) <= _MANY else 5):
        tolerance = (low * high) ** 0.5 if low else high / 8
        thin = [cv2.approxPolyDP(loop.astype(np.int32)[:, None], tolerance, True)[:, 0] for loop in loops]
        found = [ring_corners(np.asarray(loop, np.int64)) for loop in thin]
        if iou_deficit(shape, found) <= 0:
            low = tolerance
            best = found if not best or vertex_count(shape, found) < vertex_count(shape, best) else best
        elif low or tolerance > 0.25:
            high = tolerance
        else:
            break
    return best


def _drops(shape: Shape, loops: list[IntArray]) -> tuple[FloatArray, IntArray, IntArray, IntArray]:
    """What each drop of a vertex adds to the weight, or each drop of a whole hole, and how many vertices it saves.

    Returns:
        weight, vertices saved, loop number and vertex number (-1: the whole hole) of each drop, best bargain first.
    """
    lengths = np.array([len(loop) for loop in loops])
    which = np.repeat(np.arange(len(loops)), lengths)
    vertex = np.arange(len(which)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    here = np.concatenate(loops)
    there = np.concatenate([np.roll(loop, -1, axis=0) for loop in loops])
    before = np.concatenate([np.roll(loop, 1, axis=0) for loop in loops])
    sides = side_weights(shape, here, there)
    arriving = side_weights(shape, before, here)
    added = side_weights(shape, before, there) - sides - arriving
    keep = lengths[which] > 3
    holes = np.flatnonzero(np.array(shape.hole) & (lengths > 0))
    whole = -np.bincount(which, sides, len(loops))[holes]
    weight = np.concatenate([added[keep], whole])
    saved = np.concatenate([np.ones(int(keep.sum()), np.int64), lengths[holes] + 2])
    order = np.argsort(weight / saved, kind="stable")
    loop_number = np.concatenate([which[keep], holes])
    vertex_number = np.concatenate([vertex[keep], np.full(len(holes), -1)])
    return weight[order], saved[order], loop_number[order], vertex_number[order]


def _without(loops: list[IntArray], which: IntArray, vertex: IntArray) -> list[IntArray]:
    """Loops after some drops; of two neighbours only the first goes, and three vertices always stay."""
    gone: dict[int, set[int]] = {}
    for number, index in zip(which.tolist(), vertex.tolist(), strict=True):
        taken, length = gone.setdefault(number, set()), len(loops[number])
        if index < 0:
            gone[number] = set(range(length))
        elif len(taken) < length - 3 and not taken & {(index - 1) % length, (index + 1) % length}:
            taken.add(index)
    found = list(loops)
    for number, taken in gone.items():
        found[number] = np.delete(found[number], sorted(taken), axis=0)
    return found


def _decimate(shape: Shape, loops: list[IntArray]) -> list[IntArray]:
    """Drop vertices and holes, a batch of the best bargains at a time, until the IoU is used up; or no loops.

    Visvalingam and Whyatt (1993, doi:10.1179/000870493786962263) with the weight in place of the triangle's area.
    """
    deficit = iou_deficit(shape, loops)
    if deficit > 0:
        return []
    share = 1.0
    while share > 0.01:
        weight, _, which, vertex = _drops(shape, loops)
        used = np.searchsorted(np.maximum.accumulate(np.cumsum(weight)), -share * deficit, side="right")
        batch = min(int(used), 1 + int(share * len(weight) / 4))
        found = _without(loops, which[:batch], vertex[:batch]) if batch else loops
        missed = iou_deficit(shape, found) if batch else 1.0
        if missed <= 0:
            loops, deficit = found, missed
        else:
            share /= 2 if batch else 200
    return loops


def _thin(shape: Shape, loop: IntArray, most: int) -> IntArray:
    """The loop with at most so many vertices, by dropping those that matter least."""
    alone = replace(shape, hole=(False,))
    while len(loop) > most:
        _, _, which, vertex = _drops(alone, [loop])
        batch = min(len(loop) - most, 1 + len(vertex) // 4)
        loop = _without([loop], which[:batch], vertex[:batch])[0]
    return loop


def _shortest(shape: Shape, loop: IntArray, enough: float) -> list[tuple[float, IntArray]]:
    """For each number of vertices from 3 on, the weight and the loop of least weight through vertices of a loop.

    The loop's vertex farthest from its middle stays in all of them. The last has at most the weight `enough`, if any.
    """
    size = len(loop)
    loop = np.roll(
        loop, -int(squared_distances(loop, np.rint(loop.mean(axis=0, keepdims=True)))[:, 0].argmax()), axis=0
    )
    closed = np.concatenate([loop, loop[:1]])
    start, stop = np.triu_indices(size + 1, 1)
    sides = np.full((size + 1, size + 1), np.inf)
    sides[start, stop] = side_weights(shape, closed[start], closed[stop])
    reached, parents, found = sides[0], list[IntArray](), []
    for links in range(2, size + 1):
        total = reached[:, None] + sides
        parents.append(total.argmin(axis=0))
        reached = total.min(axis=0)
        if links > 2:
            node, path = size, []
            for parent in reversed(parents):
                node = int(parent[node])
                path.append(node)
            found.append((float(reached[size]), closed[[0, *path[::-1]]]))
            if reached[size] <= enough:
                break
    return found


def _goal(shape: Shape) -> float:
    """Weight that loops may have in all, less a little for what the model ignores."""
    return -shape.min_iou * float(np.count_nonzero(shape.mask)) - 4


def _bargains(shape: Shape, curves: list[list[tuple[float, IntArray]]]) -> list[tuple[float, int, int]]:
    """Steps (weight per vertex, loop, place in its curve) along the lower hulls of all curves, best bargain first.

    Taken in this order they split a number of vertices among the loops, each step at the going price.
    """
    steps: list[tuple[float, int, int]] = []
    for number, curve in enumerate(curves):
        sizes = [3 + place + 2 * shape.hole[number] for place in range(len(curve))]
        weight, size, place = (0.0, 0, -1) if shape.hole[number] else (curve[0][0], sizes[0], 0)
        while place + 1 < len(curve):
            price, ahead = min(((curve[k][0] - weight) / (sizes[k] - size), k) for k in range(place + 1, len(curve)))
            if price >= 0:
                break
            steps.append((price, number, ahead))
            weight, size, place = curve[ahead][0], sizes[ahead], ahead
    return sorted(steps, key=lambda step: step[0])


def _fit(shape: Shape, loops: list[IntArray]) -> list[IntArray]:
    """Few vertices by shortest paths that share one budget, moved to their best places; or no loops."""
    most = max(24, int(_CANDIDATES / len(loops) ** 0.5))
    slack = (1 - shape.min_iou) * float(np.count_nonzero(shape.mask)) / len(loops) / 2
    curves = [_shortest(shape, _thin(shape, loop, most), loop_weight(shape, loop) + slack) for loop in loops]
    steps = _bargains(shape, curves)

    def taken(count: int) -> list[IntArray]:
        places = [-1 if hole else 0 for hole in shape.hole]
        for _, number, place in steps[:count]:
            places[number] = place
        empty = np.zeros((0, 2), np.int64)
        return [curve[place][1] if place >= 0 else empty for curve, place in zip(curves, places, strict=True)]

    best: list[IntArray] = []
    low, high = 0, len(steps) + 1
    while low < high:
        count = (low + high) // 2
        found = _settle(shape, taken(count), range(len(loops)))
        if found:
            best, high = found, count
        else:
            low = count + 1
    return best


def _refine(shape: Shape, loop: IntArray, goal: float) -> IntArray:
    """The loop of locally least weight with the same number of vertices, or the first with no more than `goal`."""
    sides = np.abs(loop - np.roll(loop, 1, axis=0)).max(axis=1)
    step = 1 << max(0, int(sides.mean() / 8).bit_length() - 1)
    highest = np.array(shape.mask.shape[::-1]) - shape.paints
    weight, ahead = loop_weight(shape, loop), np.roll(loop, -1, axis=0) - loop
    for _ in range(24):
        if weight <= goal:
            break
        places = np.clip(loop[:, None] + step * _NEIGHBOURS, 0, highest)
        least, moved = _best_places(shape, places, ahead)
        worth = max(1e-6, _WORTH * (weight - goal)) if goal > -np.inf else 1e-6  # too slow to get there is no use
        if least < weight - worth:
            weight, loop = least, moved
        elif step == 1:
            break
        else:
            step //= 2
    return loop


def _best_places(shape: Shape, places: IntArray, ahead: IntArray) -> tuple[float, IntArray]:
    """The loop of least weight through one of the places (K, M, 2) of each of K vertices; `ahead` are its old sides."""
    size, choices = places.shape[:2]
    after = np.roll(places, -1, axis=0)
    start = np.broadcast_to(places[:, :, None], (size, choices, choices, 2)).reshape(-1, 2)
    stop = np.broadcast_to(after[:, None], (size, choices, choices, 2)).reshape(-1, 2)
    sides = side_weights(shape, start, stop).reshape(size, choices, choices)
    # No side turns by more than 60 degrees: rings that wind twice round a pixel would count it twice.
    moved = after[:, None] - places[:, :, None]
    along = (moved * ahead[:, None, None]).sum(axis=3)
    sides[(along < 0) | (4 * along**2 < (moved**2).sum(axis=3) * (ahead**2).sum(axis=1)[:, None, None])] = np.inf
    sides[np.asarray((ahead == 0).all(axis=1))[:, None, None] & moved.any(axis=3)] = np.inf
    reached, parents = sides[0], list[IntArray]()
    for side in sides[1:]:
        total = reached[:, :, None] + side  # (first vertex's place, this one's, the next one's)
        parents.append(total.argmin(axis=1))
        reached = total.min(axis=1)
    closing = reached.diagonal()
    first = place = int(closing.argmin())
    chosen = []
    for parent in reversed(parents):
        place = int(parent[first, place])
        chosen.append(place)
    return float(closing[first]), places[np.arange(size), [first, *chosen[::-1]]]


def _settle(shape: Shape, loops: list[IntArray], changed: Sequence[int]) -> list[IntArray]:
    """Move the vertices of the changed loops to their best places; no loops if they miss the IoU even there."""
    loops = list(loops)
    weights = [loop_weight(shape, loop) if len(loop) else 0.0 for loop in loops]
    for number in changed:
        if len(loops[number]):
            others = sum(weights) - weights[number]
            loops[number] = _refine(shape, loops[number], _goal(shape) - others)
            weights[number] = loop_weight(shape, loops[number])
    return loops if iou_deficit(shape, loops) <= 0 else []


def _relax(shape: Shape, loops: list[IntArray]) -> list[IntArray]:
    """Move all vertices to their best places and decimate, in turns, as long as there are many and that helps."""
    size = np.inf
    while _FEW < vertex_count(shape, loops) < size:
        size = vertex_count(shape, loops)
        moved = [_refine(shape, loop, -np.inf) if len(loop) else loop for loop in loops]
        loops = _decimate(shape, moved if iou_deficit(shape, moved) <= 0 else loops)
    return loops


def _eliminate(shape: Shape, loops: list[IntArray]) -> list[IntArray]:
    """Drop a vertex, or a hole, and move the others to make up for it, until no drop can be made up for."""
    while True:
        _, _, which, vertex = _drops(shape, loops)
        for number, index in zip(which[:_TRIES], vertex[:_TRIES], strict=True):
            found = _settle(shape, _without(loops, np.array([number]), np.array([index])), [int(number)])
            if found:
                loops = found
                break
        else:
            return loops


def _drop_bridges(shape: Shape, rings: list[IntArray]) -> list[IntArray]:
    """Drop single vertices of joined rings, those of bridges among them, where the IoU allows it."""
    for number in range(len(rings) if sum(map(len, rings)) <= _TRIED else 0):
        index = 0
        while len(rings[number]) > 3 and index < len(rings[number]):
            found = [*rings[:number], np.delete(rings[number], index, axis=0), *rings[number + 1 :]]
            if raster_deficit(shape, found) <= 0:
                rings = found
            else:
                index += 1
    return rings
