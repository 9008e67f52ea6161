"""VIA's shapes -> pixels. VIA has no rasteriser of its own: what its users draw shapes with is scikit-image.

The rules of `skimage.draw` (0.26): a pixel is of a polygon if its centre, a point of whole coordinates, lies within it
by the even-odd rule, on an edge, or on a vertex; of a disk or an ellipse if it lies within, and not on its border.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from converters.formats.foreign.values import Points
from converters.rasterize import Crop

__all__ = ["fill_ellipse", "fill_polygon"]

_NOTHING: Crop = (np.zeros((0, 0), np.bool_), (0, 0))
_EXACT = 1e-9  # pixels within which a crossing lies on a centre, where coordinates have fractions
_LONGEST_OUTLINE = 1 << 24  # rows that the edges of a polygon cross, all edges together
_AT_ONCE = 1 << 20  # pixels whose distances from a centre are held at once

Size = tuple[int, int]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def fill_polygon(points: Points, size: Size) -> Crop:
    """The pixels of a polygon in an image of `size` (width, height).

    Args:
        points: (K, 2) x, y in pixels; pixel (0, 0) has its centre at (0, 0).
        size: width and height.

    Raises:
        ValueError: its outline is so long that filling it would take all memory.
    """
    left, top = (max(0, math.ceil(low)) for low in points.min(axis=0))
    right, bottom = (
        min(side, math.floor(high) + 1) for side, high in zip(size, points.max(axis=0).tolist(), strict=True)
    )
    if right <= left or bottom <= top:
        return _NOTHING
    rows, floors, ceils, upper, lower = _crossings(points, top, bottom)
    # Of crossings to its right and to its left a pixel within has odd numbers both; one on an edge has one of them.
    shape = bottom - top, right - left
    to_right = _parity(rows[upper] - top, np.full(int(upper.sum()), left), ceils[upper], left, shape)
    to_left = _parity(rows[lower] - top, floors[lower] + 1, np.full(int(lower.sum()), right), left, shape)
    filled = to_right | to_left
    whole = points[(points == np.rint(points)).all(axis=1)].astype(np.int64)
    inside = ((whole >= (left, top)) & (whole < (right, bottom))).all(axis=1)
    filled[whole[inside, 1] - top, whole[inside, 0] - left] = True
    return filled, (left, top)


def _crossings(points: Points, top: int, bottom: int) -> tuple[Ints, Ints, Ints, Bools, Bools]:
    """Where the edges of a polygon cross rows of pixel centres.

    Returns:
        of each crossing the row; the whole numbers at or below, and at or above, its x; whether it counts for pixels on
        its left, for which an edge has its upper end, and for those on its right, for which it has the lower one.
    """
    starts, ends = points, np.roll(points, -1, axis=0)
    lows, highs = np.minimum(starts[:, 1], ends[:, 1]), np.maximum(starts[:, 1], ends[:, 1])
    firsts = np.maximum(np.ceil(lows), top).astype(np.int64)
    counts = np.maximum(0, np.minimum(np.floor(highs) + 1, bottom).astype(np.int64) - firsts)
    counts[starts[:, 1] == ends[:, 1]] = 0
    if counts.sum() > _LONGEST_OUTLINE:
        raise ValueError(f"a polygon whose outline crosses {int(counts.sum())} rows")
    edges = np.repeat(np.arange(len(points)), counts)
    rows = firsts[edges] + np.arange(len(edges)) - np.repeat(np.cumsum(counts) - counts, counts)
    (xa, ya), (xb, yb) = starts[edges].T, ends[edges].T
    if (points == np.rint(points)).all():  # sums of whole numbers are exact
        along = (rows - ya.astype(np.int64)) * (xb - xa).astype(np.int64)
        height = (yb - ya).astype(np.int64)
        floors = xa.astype(np.int64) + along // height
        ceils = xa.astype(np.int64) - (-along) // height
    else:
        x = xa + (rows - ya) * (xb - xa) / (yb - ya)
        near = np.rint(x)
        x = np.where(np.abs(x - near) < _EXACT, near, x)
        floors, ceils = np.floor(x).astype(np.int64), np.ceil(x).astype(np.int64)
    upper = (ya > rows) != (yb > rows)
    lower = (ya < rows) != (yb < rows)
    return rows, floors, ceils, upper, lower


def _parity(rows: Ints, firsts: Ints, ends: Ints, left: int, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Pixels (h, w) that an odd number of spans cover, each of a row from its first column to before its end."""
    height, width = shape
    turns = np.zeros((height, width + 1), np.bool_)
    for columns in (firsts, ends):
        np.logical_xor.at(turns, (rows, np.clip(columns - left, 0, width)), True)
    return np.logical_xor.accumulate(turns, axis=1)[:, :width]


def fill_ellipse(centre: tuple[float, float], radii: tuple[float, float], turn: float, size: Size) -> Crop:
    """The pixels of an ellipse in an image of `size` (width, height).

    Args:
        centre: x, y.
        radii: along x and along y before it is turned; above 0.
        turn: angle in radians, clockwise as one sees it.
        size: width and height.
    """
    (x, y), reach = centre, max(radii)
    left, top = max(0, math.floor(x - reach)), max(0, math.floor(y - reach))
    right, bottom = min(size[0], math.ceil(x + reach) + 1), min(size[1], math.ceil(y + reach) + 1)
    if right <= left or bottom <= top:
        return _NOTHING
    dx, sine, cosine = np.arange(left, right)[None, :] - x, math.sin(turn), math.cos(turn)
    filled = np.zeros((bottom - top, right - left), np.bool_)
    step = max(1, _AT_ONCE // (right - left))
    for first in range(top, bottom, step):
        dy = np.arange(first, min(first + step, bottom))[:, None] - y
        distances = ((dx * cosine + dy * sine) / radii[0]) ** 2 + ((dy * cosine - dx * sine) / radii[1]) ** 2
        filled[first - top : first - top + step] = distances < 1
    return filled, (left, top)
