"""YOLO boxes: rows of class, centre and size of the tight box, as shares of the image's width and height."""

from __future__ import annotations

import numpy as np

from converters.formats.base import AsWritten, Encoded, Pixels, Settings
from converters.formats.format import Format
from converters.formats.label_tree import LabelRecord
from converters.formats.yolo.indexing import index_yolo
from converters.formats.yolo.polygons import decimals
from converters.formats.yolo.reader import read_rows
from converters.formats.yolo.writer import encoded_rows, yolo_shape
from toolkit.geometry.labels import Instance, LabelledImage

__all__ = ["FORMAT"]


def _encode(image: LabelledImage, settings: Settings) -> Encoded:
    """The tight half-open box of each instance. Equal boxes of one class are told apart in the last decimal."""
    lines: list[str] = []
    seen: set[str] = set()
    digits = decimals(image)
    right = 0
    for instance in image.instances:
        x0, y0, x1, y1 = instance.bbox
        centre = f"{(x0 + x1) / 2 / image.width:.{digits}f} {(y0 + y1) / 2 / image.height:.{digits}f}"
        width = (x1 - x0) / image.width
        step = 0
        while True:  # ultralytics drops a row that stands twice
            shown = f"{width - step * 10**-digits:.{digits}f} {(y1 - y0) / image.height:.{digits}f}"
            line = f"{settings.class_id(instance.label)} {centre} {shown}"
            if line not in seen:
                break
            step += 1
        seen.add(line)
        lines.append(line)
        right += _box_is_right(line, instance, image)
    return encoded_rows(image, lines, settings, Pixels(right, len(lines)))


def _box_is_right(line: str, instance: Instance, image: LabelledImage) -> bool:
    """Whether a row gives the tight box to a hundredth of a pixel."""
    cx, cy, w, h = (float(value) for value in line.split()[1:])
    sides = ((cx - w / 2) * image.width, (cy - h / 2) * image.height)
    far = ((cx + w / 2) * image.width, (cy + h / 2) * image.height)
    return all(abs(a - b) <= 0.01 for a, b in zip((*sides, *far), instance.bbox, strict=True))


def _as_written(record: LabelRecord, shown: LabelledImage) -> AsWritten:
    """The boxes of a label file, in double precision; of a polygon row the tight box."""
    size = np.array([shown.width, shown.height], np.float64)
    boxes: list[tuple[float, float, float, float]] = []
    for values, one in ((row.values, found) for row, found in read_rows(record, "truncate") if found is not None):
        if len(values) == 4:
            centre, span = values[:2] * size, values[2:] * size
            (x0, y0), (x1, y1) = (centre - span / 2).tolist(), (centre + span / 2).tolist()
            boxes.append((x0, y0, x1, y1))
        else:
            boxes.append(one.bbox)
    return AsWritten(boxes=tuple(boxes))


FORMAT = Format(
    name="yolo-detect",
    holds="boxes",
    encode=_encode,
    shape=yolo_shape,
    index=index_yolo,
    label_files=("labels/*/*.txt",),
    rank=60,
    takes_boxes=True,
    as_written=_as_written,
)
