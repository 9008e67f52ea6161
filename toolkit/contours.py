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

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Outline", "Ring", "centre_rings", "edge_rings", "oriented_box", "trace", "uncut_rings"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

# A lattice point's code says which of the four pixels around it are in the mask.
_TL, _TR, _BL, _BR = 1, 2, 4, 8
_FALLING, _RISING = _TL | _BR, _TR | _BL  # two mask pixels that touch diagonally
_TURNS = np.zeros(16, np.uint8)  # code -> how many ring corners lie on the point
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


def trace(mask: BoolArray) -> Outline:
    """Find the corners of a mask and both ways of joining them into rings.

    Args:
        mask: bool (H, W); pixels outside it count as background.
    """
    height, width = mask.shape
    padded = np.zeros((height + 2, width + 2), np.uint8)
    padded[1:-1, 1:-1] = mask
    across = padded[:, :-1] | (padded[:, 1:] << 1)
    codes = (across[:-1] | (across[1:] << 2)).ravel()
    turns = _TURNS.take(codes)
    sites = np.flatnonzero(turns)
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


@dataclass(frozen=True)
class _Cut:
    """A straight cut up from the top left of a hole, at lattice row `bottom`, to the ring above it at row `top`."""

    hole: int
    x: int
    top: int
    bottom: int
    stretch: int  # left corner of the stretch that the cut ends on


def _cuts(outline: Outline, rings: tuple[Ring, ...]) -> list[_Cut]:
    """One cut for each hole, through mask pixels only.

    The stretch where a cut ends lies above its hole, so that following cuts upwards always reaches an outer ring.
    """
    stride = outline.mask.shape[1] + 1
    sites: list[int] = (outline.y * stride + outline.x).tolist()
    cuts = []
    for number, ring in enumerate(rings):
        if ring.hole:
            x, bottom = int(outline.x[ring.nodes[0]]), int(outline.y[ring.nodes[0]])
            background = np.flatnonzero(~outline.mask[:bottom, x])
            top = int(background[-1]) + 1 if len(background) else 0
            cuts.append(_Cut(number, x, top, bottom, bisect_right(sites, top * stride + x) - 1))
    return cuts


def _joined_walks(outline: Outline, rings: tuple[Ring, ...], cuts: list[_Cut]) -> list[IntArray]:
    """One closed walk for each outer ring, with every hole entered and left by its cut.

    A walk holds 2 * corner, plus 1 where the walk leaves the corner along a column; after those come, for the k-th
    cut, its upper end 2 * (N + k) and its lower end 2 * (N + k) + 1. Holes are walked against the sense of the outer
    rings, so that even-odd and non-zero filling agree.
    """
    walks = [_walk(ring) for ring in rings]
    if not cuts:
        return walks
    owner = np.empty(len(outline.x), np.int64)
    for number, ring in enumerate(rings):
        owner[ring.nodes] = number
    hanging: dict[int, list[tuple[int, _Cut]]] = {}
    for k, cut in enumerate(cuts):
        hanging.setdefault(int(owner[cut.stretch]), []).append((k, cut))
    for number in reversed(range(len(rings))):  # a hole lies below the ring it hangs on: holes first
        if number in hanging:
            walks[number] = _splice(walks[number], hanging[number], walks, len(outline.x))
    return [walk for walk, ring in zip(walks, rings, strict=True) if not ring.hole]


def _walk(ring: Ring) -> IntArray:
    """Corners of one ring in walking order, marked with the direction in which the walk leaves them."""
    if not ring.hole:
        return np.asarray(ring.nodes * 2 + (np.arange(len(ring.nodes)) & 1), np.int64)
    backwards = np.concatenate([ring.nodes[:1], ring.nodes[:0:-1]])
    return np.asarray(backwards * 2 + ((np.arange(len(backwards)) & 1) ^ 1), np.int64)


def _splice(walk: IntArray, hanging: list[tuple[int, _Cut]], walks: list[IntArray], corners: int) -> IntArray:
    """Insert the holes that hang on a ring into its walk, each behind the first end of the stretch it hangs on."""
    place = {int(step) >> 1: index for index, step in enumerate(walk)}
    stops = []
    for k, cut in hanging:
        left, right = place[cut.stretch], place[cut.stretch ^ 1]
        forwards = (right - left) % len(walk) == 1
        stops.append((left if forwards else right, cut.x if forwards else -cut.x, k, cut))
    pieces, done = [], 0
    for index, _, k, cut in sorted(stops, key=lambda stop: stop[:2]):
        upper, lower = 2 * (corners + k), 2 * (corners + k) + 1
        pieces += [walk[done : index + 1], [upper, lower], walks[cut.hole], [lower, upper]]
        done = index + 1
    return np.concatenate([*pieces, walk[done:]])


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
    cuts = _cuts(outline, rings) if any(ring.hole for ring in rings) else []
    ends = np.array([[(cut.x, cut.top), (cut.x, cut.bottom)] for cut in cuts], np.int64).reshape(-1, 2)
    points = np.concatenate([np.repeat(np.stack([outline.x, outline.y], axis=1), 2, axis=0), ends])
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
    cuts = _cuts(outline, rings) if any(ring.hole for ring in rings) else []
    ends = np.array([[(cut.x, cut.top), (cut.x, cut.bottom - 1)] for cut in cuts], np.int64).reshape(-1, 2)
    row, column = _inner_pixels(outline)
    leaving = np.concatenate([np.stack([row, column], axis=1).reshape(-1, 2), ends])
    walks = _joined_walks(outline, rings, cuts)
    if not outline.diagonal:
        return [_without_repeats(leaving[walk]) for walk in walks]
    arriving = np.concatenate([np.stack([column, row], axis=1).reshape(-1, 2), ends])
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
    for cut in _cuts(outline, rings):  # in the order of the rings, so that the ring above is known
        part[cut.hole] = part[int(owner[cut.stretch])]
    points = []
    for ring in rings:
        walk = _walk(ring)
        points.append(_without_repeats(np.stack([arriving[walk], leaving[walk]], axis=1).reshape(-1, 2)))
    holes: dict[int, list[IntArray]] = {number: [] for number, ring in enumerate(rings) if not ring.hole}
    for number, ring in enumerate(rings):
        if ring.hole:
            holes[part[number]].append(points[number])
    return [(points[number], found) for number, found in holes.items()]


def oriented_box(mask: BoolArray) -> FloatArray:
    """Smallest-area rectangle, at any angle, that contains every pixel square of a mask.

    Returns:
        float64 (4, 2), x, y corners in order round the rectangle.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask.argmax(axis=1)[rows]
    last = mask.shape[1] - mask[:, ::-1].argmax(axis=1)[rows]
    # Only the ends of each row can be corners of the hull of the pixel squares.
    xs = np.concatenate([first, first, last, last])
    ys = np.concatenate([rows, rows + 1, rows, rows + 1])
    hull = cv2.convexHull(np.stack([xs, ys], axis=1).astype(np.int32)).reshape(-1, 2).astype(np.float64)
    # A smallest rectangle has a side along a side of the hull (Freeman and Shapira 1975, doi:10.1145/360881.360919).
    sides = np.roll(hull, -1, axis=0) - hull
    axes = sides / np.hypot(sides[:, 0], sides[:, 1])[:, None]
    normals = np.stack([-axes[:, 1], axes[:, 0]], axis=1)
    along, across = hull @ axes.T, hull @ normals.T
    areas = np.ptp(along, axis=0) * np.ptp(across, axis=0)
    best = int(areas.argmin())
    low, high = along[:, best].min(), along[:, best].max()
    near, far = across[:, best].min(), across[:, best].max()
    corners = np.array([(low, near), (high, near), (high, far), (low, far)])
    return np.asarray(corners @ np.stack([axes[best], normals[best]]), np.float64)
