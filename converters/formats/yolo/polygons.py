"""YOLO polygons: rings through pixel centres, and the text that gives them back.

Polygons go through pixel centres, as their reader fills them (see `converters.rasterize`). Coordinates are those of the
pixel's corner plus a quarter, so that truncating and rounding give the same pixel. The training loader of ultralytics
puts further points on the straight lines between vertices before it truncates. On rows, columns and falling diagonals
these land on the pixels of the line; on a rising diagonal step they cross a row and a column at different places, and
touch a third pixel, unless both crossings lie half-way: there the offset is just under a half.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from converters.formats.base import Settings
from converters.formats.yolo.rows import pixel_points, row_values
from converters.rasterize import fill_pixels
from toolkit.aliases import BoolArray, FloatArray
from toolkit.geometry.bridges import join_rings
from toolkit.geometry.contours import uncut_rings
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.geometry.simplify import Region, simplify_regions

__all__ = ["FloatArray", "IntArray", "Row", "decimals", "pixel_rings", "polygon_rows"]


_QUARTER = 0.25


_LOADER_POINTS, _MOST_PADDING = 1000, 64


_LARGE = 4096  # pixels: beyond, six decimals of a normalised coordinate are too coarse


_CELL, _PAIR = "S11", 22  # bytes: a coordinate of 8 decimals, and a space; two of them


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
    joined = join_rings(rings)
    added = np.count_nonzero(fill_pixels([joined], *instance.region.shape)) - np.count_nonzero(before)
    return [joined], int(added)


class Row(NamedTuple):
    """A ring as text, normalised x and y in turn, at least three points; and the ring that a reader makes of it."""

    text: str
    read_back: IntArray


def polygon_rows(rings: Sequence[IntArray], image: LabelledImage) -> list[Row]:
    """The rows of rings, (K, 2) x, y in pixels of the image; all of an image's at once, since most are short."""
    if not rings:
        return []
    points, bounds = np.concatenate(rings), [0, *accumulate(map(len, rings))]
    starts = np.array(bounds[:-1])
    before = np.arange(-1, len(points) - 1)  # the vertex before each in its ring
    before[starts] = np.array(bounds[1:]) - 1
    steps = points - points[before]
    diagonal = steps[:, 0] * steps[:, 1] != 0
    rising = np.flatnonzero(diagonal & (steps[:, 0] != steps[:, 1]))
    near_half = np.zeros(len(points), np.bool_)
    near_half[before[rising]] = near_half[rising] = True
    cells, read_back = _written(points, near_half, image)
    text = cells.tobytes()
    flat = np.minimum.reduceat(points, starts) == np.maximum.reduceat(points, starts)
    special = (flat.any(axis=1) | np.logical_or.reduceat(diagonal, starts)).tolist()
    rows = []
    for low, high, by_itself in zip(bounds[:-1], bounds[1:], special, strict=True):
        own = text[low * _PAIR : high * _PAIR]
        if by_itself:
            part = slice(low, high)
            own = _lengthened(cells[part], points[part], diagonal[part], steps[part], near_half[part], image).tobytes()
        rows.append(Row(own.replace(b"\0", b"")[:-1].decode(), read_back[low:high]))
    return rows


def _written(points: IntArray, near_half: BoolArray, image: LabelledImage) -> tuple[npt.NDArray[np.bytes_], IntArray]:
    """Points (N, 2) as cells (N, 2) of text, some of them just under half-way in their pixel; and as they are read."""
    cells, read_back = np.empty(points.shape, _CELL), np.empty_like(points)
    for axis, (normal, fine) in enumerate(_axes(image)):
        along = points[:, axis]
        cells[:, axis], read_back[:, axis] = normal.shown[along], normal.pixels[along]
        cells[near_half, axis], read_back[near_half, axis] = fine.shown[along[near_half]], fine.pixels[along[near_half]]
    return cells, read_back


def _lengthened(
    cells: npt.NDArray[np.bytes_],
    points: IntArray,
    diagonal: BoolArray,
    steps: IntArray,
    near_half: BoolArray,
    image: LabelledImage,
) -> npt.NDArray[np.bytes_]:
    """The cells (K, 2) of a ring with what loaders need where it has no width, or steps diagonally."""
    size = max(image.width, image.height)
    if (points == points[0]).all(axis=0).any():
        # A ring without width has a box without area, which loaders throw away: two more corners in the last pixel.
        (_, fine_across), (down, fine_down) = _axes(image)
        x, y = points[-1]
        right = fine_across.shown[x]
        cells = np.concatenate([cells, np.array([(right, fine_down.shown[y]), (right, down.shown[y])], _CELL)])
    padding = 0
    if diagonal.any():
        offsets = np.where(near_half, _near_half(size), _QUARTER)
        padding = _padding(len(cells), np.flatnonzero(diagonal), steps, offsets, size)
    return np.concatenate([cells, np.repeat(cells[-1:], max(3 - len(cells), padding, 0), axis=0)])


def _axes(image: LabelledImage) -> list[tuple[_Axis, _Axis]]:
    """Along x and along y, the coordinates in the usual place of a pixel, and those just under half-way in it."""
    half = _near_half(max(image.width, image.height))
    return [(_axis(side, decimals(image), _QUARTER), _axis(side, 8, half)) for side in (image.width, image.height)]


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
