"""Polygons and run lengths -> pixels, as the programs that read the labels do it.

Two conventions are in use, and they differ:
- pycocotools takes polygons as continuous coordinates: the pixel (x, y) is the square [x, x+1) x [y, y+1).
- ultralytics makes coordinates integers (by truncation; others round) and hands them to `cv2.fillPoly`, for which the
  integer (x, y) is the pixel itself, and which paints the outline too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from toolkit.aliases import BoolArray, JsonObject

__all__ = [
    "ROUNDINGS",
    "Crop",
    "Rounding",
    "compare_edges",
    "compare_pixels",
    "compress_rle",
    "fill_edges",
    "fill_edges_crop",
    "fill_pixels",
    "paint_rle",
    "paint_rle_crop",
    "to_pixels",
    "uncompressed_rle",
]

Rounding = Literal["truncate", "round"]
_SHORT_OUTLINE, _LONGEST_OUTLINE = 1 << 22, 1 << 25  # pixels; tracing takes 40 bytes and 0.2 microseconds for each
ROUNDINGS: tuple[Rounding, ...] = ("truncate", "round")


Crop = tuple[BoolArray, tuple[int, int]]
"""Part of an image, bool (h, w), in which all is that is marked; and x, y of its first pixel. Empty if nothing is."""


def fill_edges(rings: Sequence[npt.NDArray[np.generic]], height: int, width: int) -> BoolArray:
    """Union of polygons in continuous pixel coordinates, as pycocotools rasterises it.

    Args:
        rings: (K, 2) arrays of x, y in pixels.
        height, width: size of the raster in pixels.

    Returns:
        bool (height, width).

    Raises:
        ValueError: an outline is so long that tracing it would take all memory.
    """
    if not len(rings):
        return np.zeros((height, width), np.bool_)
    return np.asarray(coco_mask.decode(_traced(rings, height, width)), np.bool_)


def compare_edges(rings: Sequence[npt.NDArray[np.generic]], mask: BoolArray) -> tuple[int, int]:
    """What `fill_edges` makes of polygons beside the mask that they are of.

    Args:
        rings: (K, 2) arrays of x, y in pixels; one at least.
        mask: bool (H, W).

    Returns:
        how many pixels both have, and how many at least one of them has.
    """
    runs = _traced(rings, *mask.shape)
    # pycocotools wants columns, and OpenCV turns rows into them many times faster than numpy.
    true = coco_mask.encode(np.asarray(cv2.transpose(mask.view(np.uint8))).T)
    if runs["counts"] == true["counts"]:
        return (int(coco_mask.area(true)),) * 2
    return _compared(np.asarray(coco_mask.decode(runs), np.bool_), mask)


def compare_pixels(rings: Sequence[npt.NDArray[np.integer]], mask: BoolArray) -> tuple[int, int]:
    """What `fill_pixels` makes of polygons beside the mask that they are of: as `compare_edges`."""
    return _compared(fill_pixels(rings, *mask.shape), mask)


def _compared(filled: BoolArray, mask: BoolArray) -> tuple[int, int]:
    if np.array_equal(filled, mask):
        return (int(np.count_nonzero(mask)),) * 2
    return int(np.count_nonzero(filled & mask)), int(np.count_nonzero(filled | mask))


def fill_edges_crop(rings: Sequence[npt.NDArray[np.generic]], height: int, width: int) -> Crop:
    """The same pixels as those of `fill_edges`, and no raster of the whole image; there is a ring at least."""
    return _crop(_unpacked(_traced(rings, height, width)["counts"]), height)


def _traced(rings: Sequence[npt.NDArray[np.generic]], height: int, width: int) -> Any:
    """The compressed run lengths of polygons, one of them at least."""
    for ring in rings:
        _check_outline(ring, max(height, width))
    objects = coco_mask.frPyObjects([ring.ravel().tolist() for ring in rings], height, width)
    return objects[0] if len(objects) == 1 else coco_mask.merge(objects)


def _check_outline(ring: npt.NDArray[np.generic], longest: int) -> None:
    """Raise where an outline is too long: pycocotools keeps five points for each pixel of it, in the image or not.

    One that stays in an image is as long as each of its sides may be, times their number.
    """
    points = ring.astype(np.float64)
    if points.size and len(points) * 2 * np.abs(points).max() <= _SHORT_OUTLINE:
        return
    length = float(np.abs(np.diff(points, axis=0, append=points[:1])).max(axis=1, initial=0).sum())
    if not length <= min(_LONGEST_OUTLINE, max(_SHORT_OUTLINE, len(points) * longest)):
        raise ValueError(f"a polygon whose outline is {length:.0f} pixels long")


def to_pixels(points: npt.NDArray[np.floating], rounding: Rounding) -> npt.NDArray[np.int32]:
    """Make pixel coordinates (K, 2) integers: "truncate" as ultralytics does, or "round"."""
    return (points if rounding == "truncate" else np.rint(points)).astype(np.int32)


def fill_pixels(rings: Sequence[npt.NDArray[np.integer]], height: int, width: int) -> BoolArray:
    """Union of polygons through pixels, outline included, as `cv2.fillPoly` paints it.

    Args:
        rings: (K, 2) integer arrays of x, y pixel indices.
        height, width: size of the raster in pixels.

    Returns:
        bool (height, width).
    """
    raster = np.zeros((height, width), np.uint8)
    for ring in rings:
        cv2.fillPoly(raster, [np.asarray(ring, np.int32)], (1,))
    return raster.view(np.bool_)


def uncompressed_rle(mask: BoolArray, offset: tuple[int, int], height: int, width: int) -> list[int]:
    """COCO run lengths of an instance: column by column, beginning with background.

    Args:
        mask: bool (h, w) crop.
        offset: x, y of the crop's first pixel in the image.
        height, width: size of the image in pixels.
    """
    columns = np.zeros((mask.shape[1], height), np.int8)
    columns[:, offset[1] : offset[1] + mask.shape[0]] = mask.T
    turns = np.flatnonzero(np.diff(columns.ravel(), prepend=np.int8(0), append=np.int8(0)))
    ends = np.concatenate([[0], turns + offset[0] * height, [height * width]])
    runs: list[int] = np.diff(ends).tolist()
    return runs if runs[-1] else runs[:-1]


def compress_rle(counts: Sequence[int], height: int, width: int) -> str:
    """The compact text form of COCO run lengths."""
    packed = coco_mask.frPyObjects({"counts": list(counts), "size": [height, width]}, height, width)
    return str(packed["counts"].decode("ascii"))


def paint_rle(segmentation: JsonObject, height: int, width: int) -> BoolArray:
    """Pixels of a compressed or uncompressed COCO run-length object: bool (height, width).

    Raises:
        ValueError: the object is malformed or of another size.
    """
    mask, (x, y) = paint_rle_crop(segmentation, height, width)
    whole = np.zeros((height, width), np.bool_)
    whole[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
    return whole


def paint_rle_crop(segmentation: JsonObject, height: int, width: int) -> Crop:
    """The same pixels as those of `paint_rle`, and no raster of the whole image.

    Raises:
        ValueError: the object is malformed or of another size.
    """
    counts, size = segmentation.get("counts"), segmentation.get("size", [height, width])
    if not isinstance(size, list) or len(size) != 2:
        raise ValueError("run lengths whose size is not [height, width]")
    if size != [height, width]:
        raise ValueError(f"run lengths for {size[1]} x {size[0]} pixels in an image of {width} x {height}")
    if isinstance(counts, str | bytes):
        runs = _unpacked(counts.encode() if isinstance(counts, str) else counts)
    elif isinstance(counts, list):
        for run in counts:
            if isinstance(run, bool) or not isinstance(run, int | float) or run != run // 1:
                raise ValueError(f"a run length {run!r}, which is no whole number")
        runs = [int(run) for run in counts]
    else:
        raise ValueError("run lengths without counts")
    _check_runs(runs, height * width)
    return _crop(runs, height)


def _crop(runs: Sequence[int], height: int) -> Crop:
    """The part of an image that run lengths mark, which go down one column after the other."""
    if len(runs) <= _FEW:
        return _crop_few(runs, height)
    ends = np.cumsum(np.asarray(runs, np.int64))
    stops = ends[1::2]
    starts = ends[0::2][: len(stops)]
    marks = stops > starts
    starts, stops = starts[marks], stops[marks]
    if not len(starts):
        return np.zeros((0, 0), np.bool_), (0, 0)
    columns, rows = np.divmod(starts, height)
    lasts, below = np.divmod(stops - 1, height)
    x, y, bottom = int(columns[0]), 0, height  # a run over the end of a column takes the whole height
    if (columns == lasts).all():
        y, bottom = int(rows.min()), int(below.max()) + 1
    span = bottom - y
    first = (columns - x) * span + rows - y
    turns = np.zeros((int(lasts[-1]) - x + 1) * span + 1, np.int8)
    turns[first] += 1  # runs that touch end and begin in one place
    turns[first + stops - starts] -= 1
    marked = np.cumsum(turns[:-1], dtype=np.int8).view(np.bool_).reshape(-1, span)
    return np.ascontiguousarray(marked.T), (x, y)


_FEW = 40  # runs, or letters of them, up to which a plain loop is faster than arrays


def _crop_few(runs: Sequence[int], height: int) -> Crop:
    """`_crop` of a speck."""
    spans, place = [], 0
    for number, run in enumerate(runs):
        if number % 2 and run:
            spans.append((*divmod(place, height), run))
        place += run
    if not spans:
        return np.zeros((0, 0), np.bool_), (0, 0)
    x, y, bottom = spans[0][0], 0, height
    if all(row + run <= height for _, row, run in spans):
        y, bottom = min(row for _, row, _ in spans), max(row + run for _, row, run in spans)
    span = bottom - y
    column, row, run = spans[-1]
    marked = np.zeros((column - x + 1 + (row + run - 1) // height) * span, np.bool_)
    for column, row, run in spans:
        first = (column - x) * span + row - y
        marked[first : first + run] = True
    return np.ascontiguousarray(marked.reshape(-1, span).T), (x, y)


def _check_runs(runs: Sequence[int], pixels: int) -> None:
    """Raise where run lengths do not cover an image: pycocotools would read or leave what is not theirs."""
    if any(run < 0 for run in runs):
        raise ValueError("run lengths that do not fit the image: some are below zero")
    if sum(runs) != pixels:
        raise ValueError(f"run lengths that do not fit the image: they cover {sum(runs)} pixels of {pixels}")


_CUT_SHORT = "run lengths in a text that is cut short or holds other characters"
_TOO_LARGE = "run lengths in a text that holds too large a number"


def _unpacked(text: bytes) -> list[int]:
    """The run lengths in pycocotools' compact text (rleFrString of maskApi.c).

    A character holds 5 bits, and a 6th that says whether more follow. From the fourth run on, the difference to the one
    before the last is told.

    Raises:
        ValueError: it is no such text.
    """
    if len(text) <= _FEW:
        return _unpacked_few(text)
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if len(codes) and (codes.min() < 0 or codes.max() > 63 or codes[-1] & 32):
        raise ValueError(_CUT_SHORT)
    ends = np.flatnonzero(codes & 32 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if len(ends) and lengths.max() > 7:
        raise ValueError(_TOO_LARGE)
    if not len(ends):
        return []
    places = np.arange(len(codes)) - np.repeat(starts, lengths)
    values = np.add.reduceat((codes & 31) << (5 * places), starts)
    values -= np.where(codes[ends] & 16, np.int64(1) << (5 * lengths), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    runs: list[int] = values.tolist()
    return runs


def _unpacked_few(text: bytes) -> list[int]:
    """`_unpacked` of a speck."""
    runs: list[int] = []
    value = bits = 0
    for code in (letter - 48 for letter in text):
        if not 0 <= code <= 63:
            raise ValueError(_CUT_SHORT)
        value |= (code & 31) << bits
        bits += 5
        if not code & 32:
            if bits > 35:
                raise ValueError(_TOO_LARGE)
            value -= (1 << bits) if code & 16 else 0
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = bits = 0
    if bits:
        raise ValueError(_CUT_SHORT)
    return runs
