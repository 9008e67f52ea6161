"""Mask -> rings, exactly: rings along pixel edges, rings through pixel centres, holes joined by cuts.

The corners of a mask (`toolkit.geometry.tracing`) give both kinds of ring. An edge ring passes through the lattice
points themselves; a centre ring passes, at each corner, through the mask pixel inside the turn, so that it steps over
mask pixels only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

import numpy as np

from toolkit.geometry.tracing import BR, FALLING, RISING, IntArray, Outline, Ring, trace

__all__ = [
    "Outline",
    "Walks",
    "centre_rings",
    "edge_rings",
    "outer_rings",
    "trace",
    "uncut_rings",
    "walk_rings",
]

_TL, _TR, _BL = 1, 2, 4  # the pixels around a lattice point, as in its code
# (diagonal copy, code) -> the mask pixel that a ring runs through as it comes along the horizontal stretch of that
# corner, and along its vertical one; as an offset from the lattice point. Only at diagonal contacts do the two differ.
_LEFT = {_TL, _BL}
_UP = {_TL, _TR}
_ALONG_ROW = [{1: _TL, 2: _TR, 4: _BL, 8: BR, 7: _TL, 11: _TR, 13: _BL, 14: BR} for _ in range(2)]
_ALONG_COLUMN = [dict(pixels) for pixels in _ALONG_ROW]
_ALONG_ROW[0] |= {FALLING: _TL, RISING: _BL}
_ALONG_ROW[1] |= {FALLING: BR, RISING: _TR}
_ALONG_COLUMN[0] |= {FALLING: BR, RISING: _TR}
_ALONG_COLUMN[1] |= {FALLING: _TL, RISING: _BL}


def _offsets(pixels: list[dict[int, int]], side: set[int]) -> IntArray:
    """(2, 16) table of -1 where the pixel lies on `side` of the lattice point, else 0."""
    return np.array([[-1 if table.get(code) in side else 0 for code in range(16)] for table in pixels])


_ROW_DX, _ROW_DY = _offsets(_ALONG_ROW, _LEFT), _offsets(_ALONG_ROW, _UP)
_COLUMN_DX, _COLUMN_DY = _offsets(_ALONG_COLUMN, _LEFT), _offsets(_ALONG_COLUMN, _UP)


@dataclass(frozen=True, eq=False)
class _Cuts:
    """Straight cuts, each up from the top left of a hole to the ring above it, through mask pixels only.

    The stretch where a cut ends lies above its hole, so that following cuts upwards always reaches an outer ring.

    Attributes:
        hole: int64 (C,), numbers of the rings that are holes, rising.
        x, top, bottom: int64 (C,), lattice column of each cut, and the rows of its two ends.
        stretch: int64 (C,), left corner of the stretch that the cut ends on.
    """

    hole: IntArray
    x: IntArray
    top: IntArray
    bottom: IntArray
    stretch: IntArray

    def after(self, points: IntArray, short: int = 0) -> IntArray:
        """Points (N, 2), then each cut's upper and lower end in turn, the lower ones `short` rows above the hole."""
        if not len(self.hole):
            return points
        ends = np.stack([self.x, self.top, self.x, self.bottom - short], axis=1).reshape(-1, 2)
        return np.concatenate([points, ends])


_NO_CUTS = _Cuts(*[np.zeros(0, np.int64)] * 5)


def _cuts(outline: Outline, rings: tuple[Ring, ...]) -> _Cuts:
    """One cut for each hole."""
    holes = [number for number, ring in enumerate(rings) if ring.hole]
    if not holes:
        return _NO_CUTS
    first = np.array([rings[number].nodes[0] for number in holes])
    x, bottom = outline.x[first], outline.y[first]
    # Up a column from the top of a hole, the next piece of outline is the lower side of what lies above.
    pieces = _pieces(outline)
    column = x * (outline.mask.shape[0] + 1)
    top = pieces[np.searchsorted(pieces, column + bottom) - 1] - column
    stride = outline.mask.shape[1] + 1
    stretch = np.searchsorted(outline.y * stride + outline.x, top * stride + x, side="right") - 1
    return _Cuts(np.array(holes), x, top, bottom, stretch)


def _pieces(outline: Outline) -> IntArray:
    """The pixel-wide pieces of the horizontal stretches, sorted by column and row: column * (H + 1) + row."""
    left, right, row = outline.x[0::2], outline.x[1::2], outline.y[0::2]
    lengths = right - left
    before = np.cumsum(lengths) - lengths
    columns = np.arange(lengths.sum()) + np.repeat(left - before, lengths)
    return np.sort(columns * (outline.mask.shape[0] + 1) + np.repeat(row, lengths))


@dataclass(frozen=True, eq=False)
class Walks:
    """Closed walks over the corners of a mask, one for each of its parts, and the cuts that they take.

    A walk holds 2 * corner, plus 1 where the walk leaves the corner along a column; after those come, for the k-th
    cut, its upper end 2 * (N + k) and its lower end 2 * (N + k) + 1. Holes are walked against the sense of the outer
    rings, so that even-odd and non-zero filling agree.
    """

    each: list[IntArray]
    cuts: _Cuts


def walk_rings(outline: Outline, rings: tuple[Ring, ...]) -> Walks:
    """One closed walk for each outer ring, with every hole entered and left by its cut.

    Args:
        outline: of a mask.
        rings: either kind of its rings.
    """
    cuts = _cuts(outline, rings)
    if not len(cuts.hole):
        return Walks([_walk(ring) for ring in rings], cuts)
    return Walks(_joined_walks(outline, rings, cuts), cuts)


def _joined_walks(outline: Outline, rings: tuple[Ring, ...], cuts: _Cuts) -> list[IntArray]:
    """The walks where there are holes."""
    steps, following, first = _chained(rings)
    stops, order = _stops(steps, cuts)
    # A cut adds four steps: down it and, after the hole, up again. They are hung in behind the cut's stop, those that
    # are met last first, so that cuts that share a stop come in the order in which they are met.
    number = np.arange(len(cuts.hole))
    upper, down, inner = 2 * (len(steps) + number), len(steps) + 4 * number, first[cuts.hole]
    following[inner + 1] = down + 2  # where a hole's walk ends
    steps = np.concatenate([steps, np.stack([upper, upper + 1, upper + 1, upper], axis=1).ravel()])
    detours = np.stack([down + 1, inner, down + 3, down], axis=1).ravel()
    chain: list[int] = np.concatenate([following, detours]).tolist()
    for stop, detour in zip(stops[order[::-1]].tolist(), down[order[::-1]].tolist(), strict=True):
        chain[detour + 3], chain[stop] = chain[stop], detour
    outer = _outer_of(outline, rings, cuts)
    pierced = {outer[hole] for hole in cuts.hole.tolist()}
    return [
        steps[_round(chain, first[number])] if number in pierced else _walk(ring)
        for number, ring in enumerate(rings)
        if not ring.hole
    ]


def outer_rings(outline: Outline, rings: tuple[Ring, ...]) -> list[int]:
    """Number of the ring round the part that each of `rings`, all of one kind, belongs to; of an outer ring its own."""
    return _outer_of(outline, rings, _cuts(outline, rings))


def _outer_of(outline: Outline, rings: tuple[Ring, ...], cuts: _Cuts) -> list[int]:
    outer = list(range(len(rings)))
    if len(cuts.hole):
        owner = np.empty(len(outline.x), np.int64)
        owner[np.concatenate([ring.nodes for ring in rings])] = np.repeat(outer, [len(ring.nodes) for ring in rings])
        for hole, above in zip(cuts.hole.tolist(), owner[cuts.stretch].tolist(), strict=True):
            outer[hole] = outer[above]  # known by now: rings are numbered from the top
    return outer


def _walk(ring: Ring) -> IntArray:
    """Corners of one ring in walking order, marked with the direction in which the walk leaves them."""
    if not ring.hole:
        return np.asarray(ring.nodes * 2 + (np.arange(len(ring.nodes)) & 1), np.int64)
    backwards = np.concatenate([ring.nodes[:1], ring.nodes[:0:-1]])
    return np.asarray(backwards * 2 + ((np.arange(len(backwards)) & 1) ^ 1), np.int64)


def _chained(rings: tuple[Ring, ...]) -> tuple[IntArray, IntArray, IntArray]:
    """All rings in one array of steps, the step that follows each in its ring's walk, and the first step of each."""
    sizes, hole = np.array([len(ring.nodes) for ring in rings]), np.array([ring.hole for ring in rings])
    last = np.cumsum(sizes) - 1
    first = last + 1 - sizes
    backwards, index = np.repeat(hole, sizes), np.arange(sizes.sum())
    steps = np.concatenate([ring.nodes for ring in rings]) * 2 + ((index & 1) ^ backwards)
    following = np.where(backwards, index - 1, index + 1)
    following[np.where(hole, first, last)] = np.where(hole, last, first)
    return steps, following, first


def _stops(steps: IntArray, cuts: _Cuts) -> tuple[IntArray, IntArray]:
    """The step behind which each cut is taken, and the order in which cuts are met.

    Walks have the mask on their right, so that a stretch with mask below it, as at a cut, is walked from its left end.
    """
    place = np.empty_like(steps)
    place[steps >> 1] = np.arange(len(steps))
    stops = place[cuts.stretch]
    return stops, np.lexsort((cuts.x, stops))


def _round(following: list[int], start: int) -> list[int]:
    """The closed walk from `start` on."""
    walk = [start]
    step = following[start]
    while step != start:
        walk.append(step)
        step = following[step]
    return walk


def _without_repeats(walks: Sequence[IntArray], *points: IntArray) -> list[IntArray]:
    """The points (N, 2) that walks pass, of several at each step in turn, without those equal to the one before them.

    The first point of a walk follows its last. Of a walk on the spot one point is left.
    """
    if not walks:
        return []
    walk = walks[0] if len(walks) == 1 else np.concatenate(walks)
    lengths = [len(one) * len(points) for one in walks]
    passed = points[0][walk] if len(points) == 1 else np.stack([one[walk] for one in points], axis=1).reshape(-1, 2)
    ends = np.array(list(accumulate(lengths)), np.int64)
    starts = ends - lengths
    moved = np.empty(passed.shape, np.bool_)
    moved[1:] = passed[1:] != passed[:-1]
    moved[starts] = passed[starts] != passed[ends - 1]
    keep = moved[:, 0] | moved[:, 1]
    counts = np.add.reduceat(keep, starts, dtype=np.int64)
    if not counts.all():
        keep[starts[counts == 0]] = True
        counts = np.maximum(counts, 1)
    left = passed[keep]
    bounds = [0, *accumulate(counts.tolist())]
    return [left[low:high] for low, high in pairwise(bounds)]


def edge_rings(outline: Outline, walks: Walks | None = None) -> list[IntArray]:
    """Rings along the pixels' edges, one for each 4-connected part, holes joined by zero-width keyholes.

    Filled by the even-odd or the non-zero rule in continuous coordinates they cover exactly the mask's pixel squares.

    Args:
        outline: of the mask.
        walks: of `outline.rings4`, if they are known.

    Returns:
        int64 (K, 2) arrays of x, y lattice points, x in [0, W], y in [0, H]; closed implicitly.
    """
    walks = walks or walk_rings(outline, outline.rings4)
    corners = np.stack([outline.x, outline.y], axis=1)
    if not len(walks.cuts.hole):  # then no corner is passed twice in turn
        return [corners[ring.nodes] for ring in outline.rings4]
    return _without_repeats(walks.each, walks.cuts.after(np.repeat(corners, 2, axis=0)))


def centre_rings(outline: Outline, walks: Walks | None = None) -> list[IntArray]:
    """Rings from pixel to pixel through the mask's own pixels, one for each 8-connected part, holes joined by cuts.

    Every stretch is horizontal, vertical or, across a diagonal contact, one diagonal step. Painting the pixels that a
    ring passes and those that it encloses gives exactly the mask.

    Args:
        outline: of the mask.
        walks: of `outline.rings8`, if they are known.

    Returns:
        int64 (K, 2) arrays of x, y pixel indices, x in [0, W - 1], y in [0, H - 1]; closed implicitly. A part of one
        or two pixels gives a ring of one or two points.
    """
    walks = walks or walk_rings(outline, outline.rings8)
    row, column = _inner_pixels(outline)
    leaving = walks.cuts.after(np.stack([row, column], axis=1).reshape(-1, 2), short=1)
    if not outline.diagonal:
        return _without_repeats(walks.each, leaving)
    arriving = walks.cuts.after(np.stack([column, row], axis=1).reshape(-1, 2), short=1)
    return _without_repeats(walks.each, arriving, leaving)


def _inner_pixels(outline: Outline) -> tuple[IntArray, IntArray]:
    """For each corner the pixel inside the turn, as met along its horizontal and along its vertical stretch: (N, 2)."""
    at = (outline.copy, outline.code)
    row = np.stack([outline.x + _ROW_DX[at], outline.y + _ROW_DY[at]], axis=1)
    if not outline.diagonal:
        return row, row
    return row, np.stack([outline.x + _COLUMN_DX[at], outline.y + _COLUMN_DY[at]], axis=1)


def uncut_rings(outline: Outline, kind: Literal["edge", "centre"]) -> list[tuple[IntArray, list[IntArray]]]:
    """The rings of `edge_rings` or `centre_rings` before the holes are joined: (outer ring, its holes) for each part.

    Returns:
        for each part, its outer ring and its holes, each int64 (K, 2) of x, y.
    """
    rings = outline.rings4 if kind == "edge" else outline.rings8
    if kind == "edge":
        arriving = leaving = np.repeat(np.stack([outline.x, outline.y], axis=1), 2, axis=0)
    else:
        row, column = _inner_pixels(outline)
        leaving = np.stack([row, column], axis=1).reshape(-1, 2)
        arriving = np.stack([column, row], axis=1).reshape(-1, 2)
    outer = outer_rings(outline, rings)
    points = _without_repeats([_walk(ring) for ring in rings], arriving, leaving)
    holes: dict[int, list[IntArray]] = {number: [] for number, ring in enumerate(rings) if not ring.hole}
    for number, ring in enumerate(rings):
        if ring.hole:
            holes[outer[number]].append(points[number])
    return [(points[number], found) for number, found in holes.items()]
