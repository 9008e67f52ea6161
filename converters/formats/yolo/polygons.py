"""YOLO polygons: rings through pixel centres, and the text that gives them back.

Polygons go through pixel centres, as their reader fills them (see `converters.rasterize`). Coordinates are those of the
pixel's corner plus a quarter, so that truncating and rounding give the same pixel. The training loader of ultralytics
puts further points on the straight lines between vertices before it truncates. On rows, columns and falling diagonals
these land on the pixels of the line; on a rising diagonal step they cross a row and a column at different places, and
touch a third pixel, unless both crossings lie half-way: there the offset is just under a half.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from converters.formats.base import Settings
from converters.formats.yolo.rows import pixel_points, row_values
from converters.rasterize import fill_pixels
from toolkit.aliases import FloatArray
from toolkit.geometry.contours import uncut_rings
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.geometry.simplify import Region, simplify_regions

__all__ = ["FloatArray", "IntArray", "decimals", "pixel_rings", "polygon_row"]


_QUARTER = 0.25


_LOADER_POINTS, _MOST_PADDING = 1000, 64


_LARGE = 4096  # pixels: beyond, six decimals of a normalised coordinate are too coarse


_CELL = "S11"  # a coordinate of 8 decimals, and a space


IntArray = npt.NDArray[np.int64]


def decimals(image: LabelledImage) -> int:
    """Decimals that tell the pixels of an image apart."""
    return 6 if max(image.width, image.height) <= _LARGE else 8


def pixel_rings(instance: Instance, settings: Settings) -> tuple[list[IntArray], int]:
    """Rings through the pixels of an instance, (K, 2) x, y in its crop, and how many pixels bridges add to it."""
    rings = instance.centre_rings
    if settings.min_iou < 1:
        regions = [Region(outer, tuple(holes)) for outer, holes in uncut_rings(instance.outline, "centre")]
        height, width = instance.region.shape
        fewer = simplify_regions(
            regions, instance.region, lambda found: fill_pixels(found, height, width), settings.min_iou
        )
        rings = fewer or rings
    if not settings.join_parts or len(rings) == 1:
        return rings, 0
    before = fill_pixels(rings, *instance.region.shape)
    joined = _bridge(rings)
    added = np.count_nonzero(fill_pixels([joined], *instance.region.shape)) - np.count_nonzero(before)
    return [joined], int(added)


def _bridge(rings: list[IntArray]) -> IntArray:
    """One ring out of several: each in turn is hung on by a double line between the two nearest vertices."""
    joined, waiting = rings[0], rings[1:]
    while waiting:
        distances = [_nearest(joined, ring) for ring in waiting]
        number = min(range(len(waiting)), key=lambda k: distances[k][0])
        _, here, there = distances[number]
        ring = waiting.pop(number)
        detour = np.concatenate([np.roll(ring, -there, axis=0), ring[there : there + 1], joined[here : here + 1]])
        joined = np.concatenate([joined[: here + 1], detour, joined[here + 1 :]])
    return joined


def _nearest(one: IntArray, other: IntArray) -> tuple[int, int, int]:
    """Squared distance and indices of the nearest two vertices of two rings."""
    best = (2**62, 0, 0)
    for start in range(0, len(one), 512):  # in blocks, so that long rings stay small in memory
        block = one[start : start + 512]
        squared = ((block[:, None, :] - other[None, :, :]) ** 2).sum(axis=2)
        place = int(squared.argmin())
        i, j = divmod(place, len(other))
        best = min(best, (int(squared[i, j]), start + i, j))
    return best


def polygon_row(ring: IntArray, instance: Instance, image: LabelledImage) -> tuple[str, IntArray]:
    """A ring as text, normalised x and y in turn, at least three points; and the ring that a reader makes of it."""
    points = ring + instance.window[:2]
    x, y = points[:, 0], points[:, 1]
    digits, size = decimals(image), max(image.width, image.height)
    across, down = _axis(image.width, digits, _QUARTER), _axis(image.height, digits, _QUARTER)
    cells = np.empty(points.shape, _CELL)
    cells[:, 0], cells[:, 1] = across.shown[x], down.shown[y]
    read_back = np.empty_like(points)
    read_back[:, 0], read_back[:, 1] = across.pixels[x], down.pixels[y]
    steps = points - np.concatenate([points[-1:], points[:-1]])  # steps[k] leads to vertex k
    diagonal = np.flatnonzero(steps[:, 0] * steps[:, 1])
    offsets = np.full(len(points), _QUARTER)
    rising = diagonal[steps[diagonal, 0] != steps[diagonal, 1]]
    fine_across, fine_down = (_axis(side, 8, _near_half(size)) for side in (image.width, image.height))
    if len(rising):
        ends = np.concatenate([rising - 1, rising])
        offsets[ends] = _near_half(size)
        cells[ends, 0], cells[ends, 1] = fine_across.shown[x[ends]], fine_down.shown[y[ends]]
        read_back[ends, 0], read_back[ends, 1] = fine_across.pixels[x[ends]], fine_down.pixels[y[ends]]
    if (x == x[0]).all() or (y == y[0]).all():
        # A ring without width has a box without area, which loaders throw away: two more corners in the last pixel.
        right, low = fine_across.shown[x[-1]], fine_down.shown[y[-1]]
        cells = np.concatenate([cells, np.array([(right, low), (right, down.shown[y[-1]])], _CELL)])
    padding = _padding(len(cells), diagonal, steps, offsets, size) if len(diagonal) else 0
    cells = np.concatenate([cells, np.repeat(cells[-1:], max(3 - len(cells), padding, 0), axis=0)])
    return cells.tobytes().replace(b"\0", b"")[:-1].decode(), read_back - instance.window[:2]


def _near_half(size: int) -> float:
    """The offset nearest to a half that, in single precision, still rounds down up to `size` pixels."""
    return 0.5 - max(5e-4, size * 1.2e-7)


_SHORT = 40  # vertices: where an image has thousands of parts, their rings are short, and many alike


def _padding(length: int, diagonal: IntArray, steps: IntArray, offsets: FloatArray, size: int) -> int:
    """`_least_padding`, which is found once for short rings that are alike."""
    if len(steps) > _SHORT:
        return _least_padding(length, diagonal, steps, offsets, size)
    return _short_padding(length, diagonal.tobytes(), steps.tobytes(), offsets.tobytes(), size)


@lru_cache(maxsize=4096)
def _short_padding(length: int, diagonal: bytes, steps: bytes, offsets: bytes, size: int) -> int:
    whole = np.frombuffer(diagonal, np.int64), np.frombuffer(steps, np.int64).reshape(-1, 2)
    return _least_padding(length, *whole, np.frombuffer(offsets, np.float64), size)


def _least_padding(length: int, diagonal: IntArray, steps: IntArray, offsets: FloatArray, size: int) -> int:
    """How often to repeat the last vertex so that the training loader samples no diagonal step where it crosses.

    A diagonal step passes from pixel to pixel through a corner. Where it crosses the row and where it crosses the
    column agree but for rounding; a sample in between falls on a third pixel. The loader's samples stand at even
    distances over the ring, so a vertex more or less moves them all.

    Args:
        length: vertices of the row.
        diagonal: numbers of the vertices that diagonal steps lead to.
        steps: (K, 2), the way to each vertex from the one before.
        offsets: (K,), place of each vertex in its pixel, the same along x and y.
        size: longer side of the image in pixels, which the error of a written coordinate goes with.
    """
    before, after = offsets[diagonal - 1][:, None], offsets[diagonal][:, None]
    forwards = steps[diagonal] > 0
    # From n + before to n + 1 + after, or back: the share of the way at which the whole number between is crossed.
    crossing = np.where(forwards, (1 - before) / (1 + after - before), before / (1 + before - after))
    slack = 2e-6 * size + 1e-5
    low, high = crossing.min(axis=1) - slack, crossing.max(axis=1) + slack
    fewest, best = len(diagonal) + 1, 0
    for extra in range(_MOST_PADDING):
        total = length + extra
        samples = _LOADER_POINTS - (total + 1)  # as `ultralytics.utils.ops.resample_segments` counts them
        if samples < 2:
            break
        step, share = np.divmod(np.linspace(0, total, samples), 1)
        leads_to = np.searchsorted(diagonal, (step + 1) % total)
        leads_to[leads_to == len(diagonal)] = 0
        met = (diagonal[leads_to] == (step + 1) % total) & (share > low[leads_to]) & (share < high[leads_to])
        if met.sum() < fewest:
            fewest, best = int(met.sum()), extra
        if not fewest:
            break
    return best


class _Axis(NamedTuple):
    """Text of the normalised coordinate of every pixel along a side, and the pixels that readers make of the text.

    A space follows each text, and zero bytes fill it up to the width of a cell.
    """

    shown: npt.NDArray[np.bytes_]
    pixels: IntArray


@lru_cache(maxsize=32)
def _axis(size: int, digits: int, offset: float) -> _Axis:
    """The coordinates of a side of `size` pixels, read back in single precision as ultralytics does.

    Where truncating and rounding would not agree, the pixel read back is -1, which no mask holds.
    """
    shown = [f"{(pixel + offset) / size:.{digits}f}" for pixel in range(size)]
    values = pixel_points(row_values(shown), size)
    pixels = values.astype(np.int64)
    return _Axis(np.array([f"{text} " for text in shown], _CELL), np.where(pixels == np.rint(values), pixels, -1))
