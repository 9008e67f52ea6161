"""YOLO boxes: rows of class, centre and size of the tight box, as shares of the image's width and height."""

from __future__ import annotations

from collections import Counter

from converters.formats.base import AsWritten, Encoded, Pixels, Settings
from converters.formats.boxes import is_same_box
from converters.formats.format import Format
from converters.formats.label_tree import LabelRecord
from converters.formats.yolo.indexing import index_yolo
from converters.formats.yolo.polygons import decimals
from converters.formats.yolo.reader import read_rows
from converters.formats.yolo.rows import pixel_box, row_values
from converters.formats.yolo.writer import encoded_rows, yolo_shape
from toolkit.geometry.labels import LabelledImage

__all__ = ["FORMAT"]


def _encode(image: LabelledImage, settings: Settings) -> Encoded:
    """The tight half-open box of each instance. Equal boxes of one class are told apart in the last decimal."""
    lines: list[str] = []
    seen: set[str] = set()
    steps: Counter[str] = Counter()  # of boxes that are equal
    digits = decimals(image)
    right = 0
    for instance in image.instances:
        x0, y0, x1, y1 = instance.bbox
        place = f"{(x0 + x1) / 2 / image.width:.{digits}f} {(y0 + y1) / 2 / image.height:.{digits}f}"
        width, height = (x1 - x0) / image.width, f"{(y1 - y0) / image.height:.{digits}f}"
        box = f"{settings.class_id(instance.label)} {place} {width:.{digits}f} {height}"
        while True:  # ultralytics drops a row that stands twice
            shown = f"{place} {width - steps[box] * 10**-digits:.{digits}f} {height}"
            line = f"{settings.class_id(instance.label)} {shown}"
            steps[box] += 1
            if line not in seen:
                break
        seen.add(line)
        lines.append(line)
        written = pixel_box(row_values(shown.split()), (image.width, image.height))
        right += is_same_box((instance.label, written), (instance.label, instance.bbox))
    return encoded_rows(image, lines, settings, Pixels(right, len(lines)))


def _as_written(record: LabelRecord, shown: LabelledImage) -> AsWritten:
    """The boxes of a label file; of a polygon row the tight box."""
    size = shown.width, shown.height
    rows = ((row.values, found) for row, found in read_rows(record, "truncate") if found is not None)
    return AsWritten(tuple(pixel_box(values, size) if len(values) == 4 else one.bbox for values, one in rows))


FORMAT = Format(
    name="yolo-detect",
    holds="boxes",
    encode=_encode,
    shape=yolo_shape,
    index=index_yolo,
    told_family="yolo",
    label_files=("labels/*/*.txt",),
    rank=60,
    takes_boxes=True,
    as_written=_as_written,
    seen_by=dict.fromkeys(("ultralytics", "supervision", "cvat")),
)
