"""YOLO oriented boxes: rows of class and the four corners of the smallest rectangle, at any angle."""

from __future__ import annotations

import numpy as np

from converters.formats.base import AsWritten, Encoded, Pixels, Settings
from converters.formats.boxes import contains_instance
from converters.formats.format import Format
from converters.formats.label_tree import LabelRecord
from converters.formats.yolo.indexing import index_yolo
from converters.formats.yolo.polygons import FloatArray, decimals
from converters.formats.yolo.reader import read_corners
from converters.formats.yolo.rows import parse_rows
from converters.formats.yolo.writer import encoded_rows, yolo_shape
from toolkit.geometry.contours import oriented_box
from toolkit.geometry.labels import Instance, LabelledImage

__all__ = ["FORMAT"]


def _corners_of(instance: Instance, image: LabelledImage, digits: int) -> FloatArray:
    """Corners (4, 2) in pixels, with a margin so that rounding cuts nothing off.

    Of the upright box where the turned one reaches so far out that readers refuse it.
    """
    x0, y0, x1, y1 = instance.window
    corners = oriented_box(instance.region) + np.array([x0, y0])
    size = np.array([image.width, image.height])
    span, middle = np.ptp(corners, axis=0) / size, (corners.max(axis=0) + corners.min(axis=0)) / 2 / size
    if (span > 1).any() or (middle < 0).any() or (middle > 1).any():
        corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float64)
    outward = corners - corners.mean(axis=0)
    margin = 2 * max(image.width, image.height) * 10.0**-digits
    sides = np.stack([corners[1] - corners[0], corners[3] - corners[0]])
    units = sides / np.linalg.norm(sides, axis=1, keepdims=True)
    return np.asarray(corners + np.sign(np.round(outward @ units.T, 9)) @ units * margin, np.float64)


def _encode(image: LabelledImage, settings: Settings) -> Encoded:
    """The smallest rectangle of each instance, widened by a few millionths so that rounding cuts nothing off.

    Equal rectangles of one class begin at different corners: ultralytics drops a row that stands twice.
    """
    digits = decimals(image)
    lines: list[str] = []
    seen: set[str] = set()
    right = 0
    for instance in image.instances:
        shares = _corners_of(instance, image, digits) / (image.width, image.height)
        for turn in range(len(shares)):
            shown = " ".join(f"{value:.{digits}f}" for value in np.roll(shares, -turn, axis=0).ravel())
            line = f"{settings.class_id(instance.label)} {shown}"
            if line not in seen:
                break
        seen.add(line)
        lines.append(line)
        written = np.array(shown.split(), np.float64).reshape(4, 2) * (image.width, image.height)
        right += contains_instance(written, instance)
    return encoded_rows(image, lines, settings, Pixels(right, len(lines)))


def _as_written(record: LabelRecord, shown: LabelledImage) -> AsWritten:
    """The corners of a label file, in double precision."""
    size = np.array([shown.width, shown.height], np.float64)
    rows = parse_rows(record.payload, record.names)
    if len(rows) != len(shown.instances):  # some mark nothing
        rows = [row for row, found in read_corners(record) if found is not None]
    return AsWritten(corners=tuple(row.values.reshape(-1, 2) * size for row in rows))


FORMAT = Format(
    name="yolo-obb",
    holds="oriented boxes",
    encode=_encode,
    shape=yolo_shape,
    index=index_yolo,
    label_files=("labels/*/*.txt",),
    rank=50,
    as_written=_as_written,
)
