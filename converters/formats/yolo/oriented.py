"""YOLO oriented boxes: rows of class and the four corners of the smallest rectangle, at any angle."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from converters.formats.base import AsWritten, Encoded, Pixels, Settings
from converters.formats.boxes import fits_instance
from converters.formats.format import Format
from converters.formats.label_tree import LabelRecord
from converters.formats.yolo.indexing import index_yolo
from converters.formats.yolo.polygons import FloatArray, decimals
from converters.formats.yolo.reader import read_corners
from converters.formats.yolo.rows import out_of_bounds, parse_rows, pixel_corners, row_values
from converters.formats.yolo.writer import encoded_rows, yolo_shape
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.geometry.oriented import oriented_box

__all__ = ["FORMAT"]


_FINE = 8  # decimals where six are too coarse


def _encode(image: LabelledImage, settings: Settings) -> Encoded:
    """The smallest rectangle of each instance, widened by a few millionths so that rounding cuts nothing off.

    Equal rectangles of one class begin at different corners: ultralytics drops a row that stands twice.
    """
    lines: list[str] = []
    seen: set[str] = set()
    right = 0
    for instance in image.instances:
        corners, fits = _written(instance, image)
        for turn in range(len(corners)):
            line = f"{settings.class_id(instance.label)} {' '.join(corners[turn:] + corners[:turn])}"
            if line not in seen:
                break
        seen.add(line)
        lines.append(line)
        right += fits
    return encoded_rows(image, lines, settings, Pixels(right, len(lines)))


def _written(instance: Instance, image: LabelledImage) -> tuple[list[str], bool]:
    """The four corners of an instance's box as text; and whether they are right, and readers take them."""
    size = image.width, image.height
    corners: list[str] = []
    for box, digits in _boxes(instance, image):
        corners = [f"{x:.{digits}f} {y:.{digits}f}" for x, y in (box / size).tolist()]
        values = row_values(" ".join(corners).split())
        if out_of_bounds(values) is None and fits_instance(pixel_corners(values, size), instance):
            return corners, True
    return corners, False


_OUTWARD = np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])  # along the sides that meet in corner 0


def _boxes(instance: Instance, image: LabelledImage) -> Iterator[tuple[FloatArray, int]]:
    """Corners (4, 2) in pixels, with a margin so that rounding cuts nothing off, and the decimals to write them with.

    First of the smallest rectangle; of the upright one where that reaches so far out that readers refuse it. At last of
    the upright one with as little margin as can be: in an image of one row and thousands of columns even millionths of
    its width are much of its height.
    """
    x0, y0, x1, y1 = instance.window
    digits = decimals(image)
    corners = oriented_box(instance.region) + np.array([x0, y0])
    upright = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float64)
    size = np.array([image.width, image.height])
    low, high = corners.min(axis=0), corners.max(axis=0)
    middle = (high + low) / 2 / size
    if ((high - low) / size > 1).any() or (middle < 0).any() or (middle > 1).any():
        corners = upright
    margin = 2 * max(image.width, image.height) * 10.0**-digits
    sides = corners[[1, 3]] - corners[0]
    units = sides / np.sqrt((sides * sides).sum(axis=1, keepdims=True))
    yield np.asarray(corners + _OUTWARD @ units * margin, np.float64), digits
    yield upright + _OUTWARD * size * 2 * 10.0**-_FINE, _FINE


def _as_written(record: LabelRecord, shown: LabelledImage) -> AsWritten:
    """The corners of a label file."""
    size = shown.width, shown.height
    rows = parse_rows(record.payload, record.names)
    if len(rows) != len(shown.instances):  # some mark nothing
        rows = [row for row, found in read_corners(record) if found is not None]
    return AsWritten(corners=tuple(pixel_corners(row.values, size) for row in rows))


FORMAT = Format(
    name="yolo-obb",
    holds="oriented boxes",
    encode=_encode,
    shape=yolo_shape,
    index=index_yolo,
    told_family="yolo",
    label_files=("labels/*/*.txt",),
    rank=50,
    as_written=_as_written,
    seen_by={"ultralytics": None},
)
