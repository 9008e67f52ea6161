"""Label Studio's regions -> instances: percentages become pixels, and areas those that its exports are read as.

Polygons and rotated rectangles are filled as pycocotools does, which its COCO export goes to; of an ellipse the pixels
are marked whose centres lie in it. Upright rectangles are boxes, and stay that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from converters.formats.label_studio.brush import decode_brush
from converters.formats.label_studio.regions import Region, is_box
from converters.formats.label_tree import InstanceList, LabelRecord
from converters.rasterize import Crop, Rounding, fill_edges_crop
from toolkit.errors import ToolkitError
from toolkit.geometry.instances import crop_to_bbox
from toolkit.geometry.labels import Box, Instance

__all__ = ["box_of", "corners_of", "load_label_studio"]

Size = tuple[int, int]
Points = npt.NDArray[np.float64]

_DIGITS = 9  # of a pixel: what percentages of whole numbers are off by is less
_FARTHEST = 1e6  # pixels that a coordinate may lie from the image's corner
_NOTHING: Crop = (np.zeros((0, 0), np.bool_), (0, 0))


def load_label_studio(entry: LabelRecord, rounding: Rounding) -> InstanceList:
    """Instances of an image, in the order of its regions. What marks no pixel of the image is left out and named.

    Raises:
        ToolkitError: a region cannot be drawn.
    """
    regions: Iterable[Region] = entry.payload[1] if entry.payload is not None else ()
    found: list[Instance] = []
    left_out: list[str] = []
    for region in regions:
        try:
            one = _instance(region, entry.image_size())
        except ValueError as error:
            place = f"{entry.payload[0]}: region {region.name} of {entry.sample.image.name}"
            raise ToolkitError(place, f"has {error}", "correct or remove it") from error
        found += [one] if one is not None else []
        left_out += [f"region {region.name} marks no pixel of the image"] if one is None else []
    return InstanceList(found, left_out, settled=True)


def _instance(region: Region, size: Size) -> Instance | None:
    """The object that a region marks; None where that is nothing of the image."""
    attributes = dict(region.attributes)
    if is_box(region):
        return Instance.of_box(region.label, box_of(region, size), size, attributes)
    mask, offset = _drawn(region, size)
    found = crop_to_bbox(mask, region.label, offset)
    return replace(found, attributes=attributes) if found is not None and attributes else found


def _drawn(region: Region, size: Size) -> Crop:
    if region.shape == "brush":
        return decode_brush(region.rle, *size)
    if region.shape == "ellipse":
        return _ellipse(region, size)
    points = corners_of(region, size) if region.shape == "rectangle" else _pixels(region, size)
    if len(points) < 3:
        return _NOTHING
    return fill_edges_crop([points], size[1], size[0])


def _pixels(region: Region, size: Size) -> Points:
    """The numbers of a region in pixels, (K, 2).

    Raises:
        ValueError: they lie beyond all images.
    """
    points = np.array(region.numbers, np.float64).reshape(-1, 2) / 100 * np.array(size, np.float64)
    if points.size and np.abs(points).max() > _FARTHEST:
        raise ValueError("a coordinate beyond all images")
    return points


def corners_of(region: Region, size: Size) -> Points:
    """Corners (4, 2) of a rectangle in pixels, turned about the first of them."""
    (x, y), (width, height) = _pixels(region, size).tolist()
    cos, sin = _turn(region.rotation)
    across, down = (width * cos, width * sin), (-height * sin, height * cos)
    sides = [(0.0, 0.0), across, (across[0] + down[0], across[1] + down[1]), down]
    return np.round(np.array([(x + dx, y + dy) for dx, dy in sides]), _DIGITS)


def _turn(degrees: float) -> tuple[float, float]:
    """Cosine and sine."""
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


def box_of(region: Region, size: Size) -> Box:
    """Sides of an upright rectangle in pixels."""
    corners = corners_of(region, size)
    (x0, y0), (x1, y1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return x0, y0, x1, y1


def _ellipse(region: Region, size: Size) -> Crop:
    """The pixels whose centres lie in an ellipse: for each row between the two ends that the equation gives."""
    (cx, cy), (rx, ry) = _pixels(region, size).tolist()
    if min(rx, ry) <= 0:
        return _NOTHING
    cos, sin = _turn(region.rotation)
    reach = math.hypot(rx * sin, ry * cos)
    top, bottom = max(0, math.floor(cy - reach)), min(size[1], math.ceil(cy + reach))
    if bottom <= top:
        return _NOTHING
    dy = np.arange(top, bottom) + 0.5 - cy
    a = (cos / rx) ** 2 + (sin / ry) ** 2
    b = 2 * dy * cos * sin * (1 / rx**2 - 1 / ry**2)
    c = dy**2 * ((sin / rx) ** 2 + (cos / ry) ** 2) - 1
    inner = b**2 - 4 * a * c
    half = np.sqrt(np.maximum(inner, 0)) / (2 * a)
    middle = cx - b / (2 * a) - 0.5
    first = np.clip(np.ceil(middle - half - 1e-9), 0, size[0]).astype(np.int64)
    last = np.clip(np.floor(middle + half + 1e-9) + 1, 0, size[0]).astype(np.int64)
    last[inner < 0] = first[inner < 0]
    if not (last > first).any():
        return _NOTHING
    left, right = int(first[last > first].min()), int(last.max())
    columns = np.arange(left, right)
    return (columns >= first[:, None]) & (columns < last[:, None]), (left, top)
