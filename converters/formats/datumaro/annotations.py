"""Datumaro's annotations -> instances: polygons as pycocotools fills them, run lengths, boxes; groups are objects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from converters.formats.coco.annotations import CROWD, turn_of
from converters.formats.coco.document import shown, whole_number
from converters.formats.datumaro.document import label_of
from converters.formats.foreign.values import Points, attributes_of, coordinate, members
from converters.formats.label_tree import InstanceList, LabelRecord
from converters.rasterize import Crop, Rounding, fill_edges_crop, paint_rle_crop
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError
from toolkit.geometry.instances import crop_to_bbox
from toolkit.geometry.labels import Instance
from toolkit.geometry.oriented import turned_box, turned_corners

__all__ = ["AREAS", "FLAT", "is_upright_box", "load_datumaro"]

AREAS = ("bbox", "polygon", "mask", "ellipse")
"""Types of annotations that mark pixels."""
FLAT = ("points", "polyline", "caption", "cuboid_2d", "cuboid_3d", "skeleton", "feature_vector", "hash_key", "tabular")
"""Those that mark none, or that stand for what is no part of a picture."""
_REMEDY = "correct or remove it"
_CORNERS = 720  # of the polygon that Datumaro takes for an ellipse

Size = tuple[int, int]


class _Mark(NamedTuple):
    """An annotation that marks something: pixels, or a box.

    Attributes:
        number: its place in the list.
        label: class.
        group: annotations of one group are of one object; 0 for none.
        layer: what has a higher one lies on top.
        crop: its pixels; None for a box.
        box: sides; None for pixels.
        attributes: what else is said.
    """

    number: int
    label: str
    group: int
    layer: int
    crop: Crop | None
    box: tuple[float, float, float, float] | None
    attributes: dict[str, str]


def load_datumaro(entry: LabelRecord, rounding: Rounding) -> InstanceList:
    """Instances of an image. What has no area, and what marks no pixel of the image, is left out and named.

    Raises:
        ToolkitError: an annotation is malformed, or of an unknown label or type.
    """
    if entry.payload is None or entry.sample.kind == "class":
        return InstanceList()
    place, annotations = entry.payload[1]
    size = entry.image_size()
    marks: list[_Mark] = []
    left_out: list[str] = []
    for number, annotation in enumerate(annotations):
        kind = annotation.get("type")
        if kind == "label":
            continue  # of the image as a whole
        where = f"{place}: annotations[{number}]"
        if kind in FLAT:
            left_out.append(f"annotations[{number}] is of the type {kind}, which has no area")
            continue
        if kind not in AREAS:
            remedy = "turn it into a polygon or a mask, or remove it"
            raise ToolkitError(where, f"is of the type {shown(kind)}, which is not read", remedy)
        mark = _marked(where, number, annotation, entry.names, size)
        if mark.crop is not None and not mark.crop[0].any():
            left_out.append(f"annotations[{number}] marks no pixel of the image")
        else:
            marks.append(mark)
    found = []
    for mark, one in ((own[-1], _instance(own, size)) for own in _objects(marks)):
        if one is None:
            left_out.append(f"annotations[{mark.number}] marks no pixel of the image")
        else:
            found.append((mark.layer, mark.number, one))
    found.sort(key=lambda one: one[:2])
    return InstanceList((one for _, _, one in found), left_out, settled=True)


def _objects(marks: Sequence[_Mark]) -> list[list[_Mark]]:
    """The annotations of each object: those of one group and label that have pixels are one, whose box says no more."""
    drawn: dict[tuple[int, str], list[_Mark]] = {}
    for mark in marks:
        if mark.group and mark.crop is not None:
            drawn.setdefault((mark.group, mark.label), []).append(mark)
    alone = [
        [mark] for mark in marks if not mark.group or (mark.crop is None and (mark.group, mark.label) not in drawn)
    ]
    return [*alone, *drawn.values()]


def _instance(own: Sequence[_Mark], size: Size) -> Instance | None:
    """The object that some annotations make up."""
    label = own[0].label
    attributes = attributes_of([pair for mark in own for pair in mark.attributes.items()])
    if own[0].box is not None:
        return Instance.of_box(label, own[0].box, size, attributes)
    mask, offset = _joined([mark.crop for mark in own if mark.crop is not None])
    found = crop_to_bbox(mask, label, offset)
    return None if found is None else Instance(label, found.bbox, found.mask, found.area, attributes)


def _joined(crops: Sequence[Crop]) -> Crop:
    """The pixels that any of some crops marks."""
    if len(crops) == 1:
        return crops[0]
    left, top = (min(offset[side] for _, offset in crops) for side in (0, 1))
    right = max(offset[0] + mask.shape[1] for mask, offset in crops)
    bottom = max(offset[1] + mask.shape[0] for mask, offset in crops)
    canvas = np.zeros((bottom - top, right - left), np.bool_)
    for mask, (x, y) in crops:
        canvas[y - top : y - top + mask.shape[0], x - left : x - left + mask.shape[1]] |= mask
    return canvas, (left, top)


def _marked(place: str, number: int, annotation: JsonObject, names: dict[int, str], size: Size) -> _Mark:
    """What an annotation marks.

    Raises:
        ToolkitError: it is malformed, or of no known label.
    """
    label = label_of(place, annotation, names)
    group, layer = (_number(place, annotation, name) for name in ("group", "z_order"))
    crop = box = None
    if annotation["type"] == "bbox":
        x, y, width, height = _numbers(place, annotation.get("bbox"), 4)
        if width < 0 or height < 0:
            raise ToolkitError(place, f"is {width:g} wide and {height:g} high", _REMEDY)
        told, angle = (x, y, x + width, y + height), turn_of(annotation)
        box = turned_box(told, angle)
        if box is None:
            crop = fill_edges_crop([turned_corners(told, angle)], size[1], size[0])
    else:
        try:
            crop = _pixels(place, annotation, size)
        except (ValueError, TypeError, OverflowError) as error:
            raise ToolkitError(place, f"has malformed pixels ({error})", _REMEDY) from error
    return _Mark(number, label, group, layer, crop, box, _attributes(place, annotation))


def is_upright_box(annotation: JsonObject) -> bool:
    """Whether an annotation is a box, and stands upright: CVAT's export says among its attributes how it is turned."""
    return annotation.get("type") == "bbox" and turned_box((0, 0, 1, 1), turn_of(annotation)) is not None


def _number(place: str, annotation: JsonObject, name: str) -> int:
    value = annotation.get(name)
    number = 0 if value is None else whole_number(value)
    if number is None:
        raise ToolkitError(place, f"has the {name} {shown(value)}, no whole number", "correct it")
    return number


def _attributes(place: str, annotation: JsonObject) -> dict[str, str]:
    """What else is said of an annotation; what COCO calls a crowd is one again where a format has crowds."""
    told = dict(members(place, annotation.get("attributes") or {}, "its attributes"))
    crowd = told.pop("is_crowd", False)
    return attributes_of(told) | ({CROWD: "1"} if crowd is True or whole_number(crowd) == 1 else {})


def _pixels(place: str, annotation: JsonObject, size: Size) -> Crop:
    """The pixels of a polygon, an ellipse or a mask; none for a polygon of fewer than three points."""
    if annotation["type"] == "mask":
        return paint_rle_crop(members(place, annotation.get("rle"), "its rle"), size[1], size[0])
    points = _numbers(place, annotation.get("points"), 4 if annotation["type"] == "ellipse" else None)
    ring = _ellipse(points) if annotation["type"] == "ellipse" else np.array(points, np.float64).reshape(-1, 2)
    if len(ring) < 3:
        return np.zeros((0, 0), np.bool_), (0, 0)
    return fill_edges_crop([ring], size[1], size[0])


def _ellipse(box: Sequence[float]) -> Points:
    """The polygon that Datumaro takes for the ellipse in a box: `Ellipse.as_polygon` of 1.13."""
    x0, y0, x1, y1 = box
    turns = np.linspace(0, 2 * math.pi, num=_CORNERS)
    centre = x0 + 0.5 * (x1 - x0), y0 + 0.5 * (y1 - y0)
    return np.stack([centre[0] + 0.5 * (x1 - x0) * np.cos(turns), centre[1] + 0.5 * (y1 - y0) * np.sin(turns)], axis=1)


def _numbers(place: str, values: object, count: int | None) -> list[float]:
    """Coordinates, x and y by turns.

    Raises:
        ToolkitError: they are none, or of another number.
    """
    if not isinstance(values, list) or len(values) % 2 or (count is not None and len(values) != count):
        wanted = f"{count} numbers" if count is not None else "x and y by turns"
        raise ToolkitError(place, f"has the coordinates {shown(values)}, not {wanted}", _REMEDY)
    return [coordinate(place, "coordinate", value) for value in values]
