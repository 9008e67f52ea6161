"""Mask -> rings, exactly: rings along pixel edges, rings through pixel centres, holes joined by cuts.

A mask pixel (x, y) is the square [x, x+1) x [y, y+1). Corners of the mask's outline are the lattice points where it
turns. They pair up twice: sorted by row, neighbours are the two ends of a horizontal stretch of outline; sorted by
column, of a vertical one. Following the two pairings in turn walks a ring, so a whole mask is traced with a few sorts
and one short loop over its corners. Where two mask pixels touch only diagonally, four stretches meet in one lattice
point; which two belong together decides whether the rings part the pixels (4-connected) or join them (8-connected).

The same corners give both kinds of ring. An edge ring passes through the lattice points themselves; a centre ring
passes, at each corner, through the mask pixel inside the turn, so that it steps over mask pixels only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from toolkit.aliases import BoolArray

__all__ = ["Outline", "centre_rings", "edge_rings", "trace", "uncut_rings"]

IntArray = npt.NDArray[np.int64]

# A lattice point's code says which of the four pixels around it are in the mask.
_TL, _TR, _BL, _BR = 1, 2, 4, 8
_FALLING, _RISING = _TL | _BR, _TR | _BL  # two mask pixels that touch diagonally
_TURNS = np.zeros(256, np.uint8)  # code -> how many ring corners lie on the point; OpenCV wants a value for any byte
_TURNS[[1, 2, 4, 8, 7, 11, 13, 14]] = 1
_TURNS[[_FALLING, _RISING]] = 2
# (diagonal copy, code) -> the mask pixel that a ring runs through as it comes along the horizontal stretch of that
# corner, and along its vertical one; as an offset from the lattice point. Only at diagonal contacts do the two differ.
_LEFT = {_TL, _BL}
_UP = {_TL, _TR}
_ALONG_ROW = [{1: _TL, 2: _TR, 4: _BL, 8: _BR, 7: _TL, 11: _TR, 13: _BL, 14: _BR} for _ in range(2)]
_ALONG_COLUMN = [dict(pixels) for pixels in _ALONG_ROW]
_ALONG_ROW[0] |= {_FALLING: _TL, _RISING: _BL}
_ALONG_ROW[1] |= {_FALLING: _BR, _RISING: _TR}
_ALONG_COLUMN[0] |= {_FALLING: _BR, _RISING: _TR}
_ALONG_COLUMN[1] |= {_FALLING: _TL, _RISING: _BL}


def _offsets(pixels: list[dict[int, int]], side: set[int]) -> IntArray:
    """(2, 16) table of -1 where the pixel lies on `side` of the lattice point, else 0."""
    return np.array([[-1 if table.get(code) in side else 0 for code in range(16)] for table in pixels])


_ROW_DX, _ROW_DY = _offsets(_ALONG_ROW, _LEFT), _offsets(_ALONG_ROW, _UP)
_COLUMN_DX, _COLUMN_DY = _offsets(_ALONG_COLUMN, _LEFT), _offsets(_ALONG_COLUMN, _UP)


@dataclass(frozen=True, eq=False)
class Ring:
    """A closed walk over the corners of an `Outline`.

    Attributes:
        nodes: int64 (K,), corner numbers, clockwise on the screen from the left end of the ring's topmost stretch;
            nodes[2k] and nodes[2k + 1] are the two ends of one horizontal stretch.
        hole: whether the ring bounds a hole of a part, or else its outside.
    """

    nodes: IntArray
    hole: bool


@dataclass(frozen=True, eq=False)
class Outline:
    """The corners of a mask and the rings through them.

    Attributes:
        mask: bool (H, W).
        x, y: int64 (N,), lattice coordinates of the corners, in [0, W] and [0, H], row by row. A diagonal contact
            stands twice: as the end of the stretch on its left, then as the start of the one on its right.
        code: int64 (N,), which of the four pixels around the corner are in the mask.
        copy: int64 (N,), 1 for the second standing of a diagonal contact, else 0.
        rings4, rings8: rings of the 4-connected and of the 8-connected parts, by their topmost stretch. They are the
            same object where nothing touches diagonally.
    """

    mask: BoolArray
    x: IntArray
    y: IntArray
    code: IntArray
    copy: IntArray
    rings4: tuple[Ring, ...]
    rings8: tuple[Ring, ...]

    @property
    def diagonal(self) -> bool:
        """Whether two pixels of the mask touch only diagonally, anywhere."""
        return self.rings4 is not self.rings8


_SMALL = 64  # pixels: where an image has thousands of parts, most are smaller, and many alike


def trace(mask: BoolArray) -> Outline:
    """Find the corners of a mask and both ways of joining them into rings. Small masks that are alike share theirs.

    Args:
        mask: bool (H, W); pixels outside it count as background.
    """
    return _trace_small(mask.shape, mask.tobytes()) if mask.size <= _SMALL else _trace(mask)


@lru_cache(maxsize=4096)
def _trace_small(shape: tuple[int, ...], pixels: bytes) -> Outline:
    return _trace(np.frombuffer(pixels, np.bool_).reshape(shape))


def _trace(mask: BoolArray) -> Outline:
    height, width = mask.shape
    padded = np.zeros((height + 2, width + 2), np.uint8)
    padded[1:-1, 1:-1] = mask
    across = padded[:, :-1] | (padded[:, 1:] << 1)
    codes = across[:-1] | (across[1:] << 2)
    turns = np.asarray(cv2.LUT(codes, _TURNS), np.uint8).ravel()
    codes = codes.ravel()
    sites = np.flatnonzero(turns != 0)
    repeats = turns[sites]
    diagonal = len(sites) > 0 and int(repeats.max()) == 2
    if diagonal:
        sites = np.repeat(sites, repeats)
    copy = np.zeros(len(sites), np.int64)
    if diagonal:
        copy[1:] = sites[1:] == sites[:-1]
    y, x = np.divmod(sites, width + 1)
    code = codes[sites].astype(np.int64)
    # Down a column, the copy of a diagonal contact that ends the upper stretch has to come first.
    column_rank = (x * (height + 1) + y) * 2
    rings4 = _join(column_rank + (copy ^ (code == _RISING)), code)
    rings8 = _join(column_rank + (copy ^ (code == _FALLING)), code) if diagonal else rings4
    return Outline(mask, x, y, code, copy, rings4, rings8)


def _join(column_rank: IntArray, code: IntArray) -> tuple[Ring, ...]:
    """Walk all rings. Corners 2k and 2k + 1 end a horizontal stretch; `column_rank` pairs the ends of vertical ones."""
    order = np.argsort(column_rank)
    partner = np.empty(len(order), np.int64)
    partner[order[0::2]] = order[1::2]
    partner[order[1::2]] = order[0::2]
    vertical: list[int] = partner.tolist()
    seen = bytearray(len(vertical))
    rings = []
    for start in range(0, len(vertical), 2):
        if seen[start]:
            continue
        nodes: list[int] = []
        node = start
        while True:
            other = node ^ 1
            seen[node] = 1
            seen[other] = 1
            nodes += (node, other)
            node = vertical[other]
            if node == start:
                break
        # The first stretch that is met is the ring's topmost: mask under it is a part, mask over it only a hole.
        rings.append(Ring(np.array(nodes), not code[start] & _BR))
    return tuple(rings)


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
    width = outline.mask.shape[1]
    columns, column = (x, np.arange(len(x))) if len(x) < width else (np.arange(width), x)
    below = np.arange(1, bottom.max() + 1)[:, None]
    ends = np.maximum.accumulate(np.where(outline.mask[: len(below), columns], 0, below), axis=0)
    top = ends[bottom - 1, column]
    stride = width + 1
    stretch = np.searchsorted(outline.y * stride + outline.x, top * stride + x, side="right") - 1
    return _Cuts(np.array(holes), x, top, bottom, stretch)


def _joined_walks(outline: Outline, rings: tuple[Ring, ...], cuts: _Cuts) -> list[IntArray]:
    """One closed walk for each outer ring, with every hole entered and left by its cut.

    A walk holds 2 * corner, plus 1 where the walk leaves the corner along a column; after those come, for the k-th
    cut, its upper end 2 * (N + k) and its lower end 2 * (N + k) + 1. Holes are walked against the sense of the outer
    rings, so that even-odd and non-zero filling agree.
    """
    if not len(cuts.hole):
        return [_walk(ring) for ring in rings]
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
    starts = [start for start, ring in zip(first.tolist(), rings, strict=True) if not ring.hole]
    return [steps[_round(chain, start)] for start in starts]


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


def _without_repeats(points: IntArray) -> IntArray:
    """Drop points equal to the one before them (the first follows the last)."""
    keep = np.empty(len(points), np.bool_)
    keep[0] = (points[0] != points[-1]).any()
    keep[1:] = (points[1:] != points[:-1]).any(axis=1)
    return points if keep.all() else points[keep] if keep.any() else points[:1]


def edge_rings(outline: Outline) -> list[IntArray]:
    """Rings along the pixels' edges, one for each 4-connected part, holes joined by zero-width keyholes.

    Filled by the even-odd or the non-zero rule in continuous coordinates they cover exactly the mask's pixel squares.

    Returns:
        int64 (K, 2) arrays of x, y lattice points, x in [0, W], y in [0, H]; closed implicitly.
    """
    rings = outline.rings4
    cuts = _cuts(outline, rings)
    points = cuts.after(np.repeat(np.stack([outline.x, outline.y], axis=1), 2, axis=0))
    return [_without_repeats(points[walk]) for walk in _joined_walks(outline, rings, cuts)]


def centre_rings(outline: Outline) -> list[IntArray]:
    """Rings from pixel to pixel through the mask's own pixels, one for each 8-connected part, holes joined by cuts.

    Every stretch is horizontal, vertical or, across a diagonal contact, one diagonal step. Painting the pixels that a
    ring passes and those that it encloses gives exactly the mask.

    Returns:
        int64 (K, 2) arrays of x, y pixel indices, x in [0, W - 1], y in [0, H - 1]; closed implicitly. A part of one
        or two pixels gives a ring of one or two points.
    """
    rings = outline.rings8
    cuts = _cuts(outline, rings)
    row, column = _inner_pixels(outline)
    leaving = cuts.after(np.stack([row, column], axis=1).reshape(-1, 2), short=1)
    walks = _joined_walks(outline, rings, cuts)
    if not outline.diagonal:
        return [_without_repeats(leaving[walk]) for walk in walks]
    arriving = cuts.after(np.stack([column, row], axis=1).reshape(-1, 2), short=1)
    return [_without_repeats(np.stack([arriving[walk], leaving[walk]], axis=1).reshape(-1, 2)) for walk in walks]


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
    owner = np.empty(len(outline.x), np.int64)
    for number, ring in enumerate(rings):
        owner[ring.nodes] = number
    part = {number: number for number, ring in enumerate(rings) if not ring.hole}
    cuts = _cuts(outline, rings)
    for hole, above in zip(cuts.hole.tolist(), owner[cuts.stretch].tolist(), strict=True):  # the ring above is known
        part[hole] = part[above]
    points = []
    for ring in rings:
        walk = _walk(ring)
        points.append(_without_repeats(np.stack([arriving[walk], leaving[walk]], axis=1).reshape(-1, 2)))
    holes: dict[int, list[IntArray]] = {number: [] for number, ring in enumerate(rings) if not ring.hole}
    for number, ring in enumerate(rings):
        if ring.hole:
            holes[part[number]].append(points[number])
    return [(points[number], found) for number, found in holes.items()]
