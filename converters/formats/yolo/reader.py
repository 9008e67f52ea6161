"""Rows of YOLO label files -> instances: boxes as boxes, polygons filled as ultralytics fills them, oriented boxes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from converters.formats.boxes import TOLERANCE
from converters.formats.label_tree import InstanceList, LabelRecord
from converters.formats.yolo.rows import Row, parse_rows, pixel_box, pixel_corners, pixel_points
from converters.rasterize import ROUNDINGS, Rounding, fill_edges_crop, fill_pixels, to_pixels
from toolkit.errors import ToolkitError
from toolkit.geometry.instances import crop_to_bbox
from toolkit.geometry.labels import Instance

__all__ = ["load_edges", "load_obb", "load_rounded", "load_truncated", "load_yolo", "read_corners", "read_rows"]


def load_yolo(entry: LabelRecord, rounding: Rounding) -> InstanceList:
    """Instances of an image: boxes as boxes, polygons filled as ultralytics fills them.

    Raises:
        ToolkitError: a row is at fault.
    """
    read = list(_read_rows(entry, rounding))
    return _taken(entry, ((row, found) for row, found, _ in read), settled=all(same for _, _, same in read))


def load_truncated(entry: LabelRecord, rounding: Rounding) -> InstanceList:
    """Instances of an image as ultralytics sees them, which truncates: `polygon2mask` of ultralytics 8.4."""
    return _taken(entry, read_rows(entry, "truncate"), settled=True)


def load_rounded(entry: LabelRecord, rounding: Rounding) -> InstanceList:
    """Instances of an image as supervision sees them, which rounds: `yolo_annotations_to_detections` of 0.31."""
    return _taken(entry, read_rows(entry, "round"), settled=True)


def load_edges(entry: LabelRecord, rounding: Rounding) -> InstanceList:
    """Instances of an image as CVAT sees them: polygons in continuous coordinates, filled by pycocotools.

    Source: datumaro's YOLO reader, and its `polygons_to_masks`.
    """
    width, height = size = entry.image_size()
    found = []
    for row, one in read_rows(entry, rounding):
        if len(row.values) > 4 and one is not None:
            filled, offset = fill_edges_crop([pixel_corners(row.values, size)], height, width)
            one = crop_to_bbox(filled, one.label, offset)
        found += [one] if one is not None else []
    return InstanceList(found, settled=True)


def load_obb(entry: LabelRecord, rounding: Rounding) -> InstanceList:
    """Instances of an image: the pixels whose centres lie in each oriented box.

    Raises:
        ToolkitError: a row is at fault.
    """
    return _taken(entry, read_corners(entry), settled=True)


def _taken(entry: LabelRecord, rows: Iterable[tuple[Row, Instance | None]], *, settled: bool) -> InstanceList:
    """What the rows mark. In trees of ours each marks something; other tools' rows that do not are left out.

    Raises:
        ToolkitError: a row of ours marks nothing.
    """
    found, nothing = [], []
    for row, instance in rows:
        if instance is not None:
            found.append(instance)
        elif entry.ours:
            raise ToolkitError(f"{entry.payload.path}:{row.line}", "covers no pixel of the image", "remove the row")
        else:
            nothing.append(f"line {row.line} marks no pixel of the image")
    return InstanceList(found, nothing, settled=settled)


def read_rows(entry: LabelRecord, rounding: Rounding) -> Iterator[tuple[Row, Instance | None]]:
    """Each row of boxes and polygons, and what it marks; None if that is no pixel."""
    return ((row, found) for row, found, _ in _read_rows(entry, rounding))


def _read_rows(entry: LabelRecord, rounding: Rounding) -> Iterator[tuple[Row, Instance | None, bool]]:
    """As `read_rows`, and whether each row marks the same with any rounding."""
    width, height = entry.image_size()
    for row in parse_rows(entry.payload, entry.names):
        label = entry.names[row.class_id]
        if len(row.values) == 4:
            yield row, box_instance(row.values, (width, height), label), True
        else:
            points = pixel_points(row.values.reshape(-1, 2), (width, height))
            pixels = to_pixels(points, rounding)
            same = all(np.array_equal(to_pixels(points, other), pixels) for other in ROUNDINGS if other != rounding)
            yield row, polygon_instance(pixels, (width, height), label), same


def read_corners(entry: LabelRecord) -> Iterator[tuple[Row, Instance | None]]:
    """Each row of oriented boxes, and what it marks; None if that is no pixel.

    Raises:
        ToolkitError: a row has not four corners.
    """
    width, height = entry.image_size()
    for row in parse_rows(entry.payload, entry.names):
        if len(row.values) != 8:
            problem = f"has {len(row.values) + 1} columns, where a class and four corners are 9"
            raise ToolkitError(f"{entry.payload.path}:{row.line}", problem, "correct the row")
        corners = pixel_corners(row.values, (width, height))
        filled, offset = fill_edges_crop([corners], height, width)
        yield row, crop_to_bbox(filled, entry.names[row.class_id], offset)


def box_instance(xywh: npt.NDArray[np.float64], size: tuple[int, int], label: str) -> Instance | None:
    """A normalised box (centre x, y, width, height) in pixels; None if none of it lies in the image.

    A side that lies within a hundredth of a whole pixel lies on it: rows have few decimals.
    """
    sides = np.array(pixel_box(xywh, size))
    whole = np.rint(sides)
    x0, y0, x1, y1 = np.where(np.abs(sides - whole) < TOLERANCE, whole, sides).tolist()
    return Instance.of_box(label, (x0, y0, x1, y1), size)


def polygon_instance(pixels: npt.NDArray[np.int32], size: tuple[int, int], label: str) -> Instance | None:
    """The pixels that `cv2.fillPoly` paints inside an image of `size` (width, height); None if there are none."""
    low = np.clip(pixels.min(axis=0), 0, np.array(size) - 1)
    high = np.clip(pixels.max(axis=0), 0, np.array(size) - 1)
    span = (int(high[1] - low[1]) + 1, int(high[0] - low[0]) + 1)
    filled = fill_pixels([pixels - low.astype(np.int32)], *span)
    return crop_to_bbox(filled, label, (int(low[0]), int(low[1])))
