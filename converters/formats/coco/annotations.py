"""COCO annotations -> instances: polygons, run lengths, crowds, and boxes alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from converters.formats.coco.document import shown, whole_number
from converters.formats.label_tree import InstanceList, LabelRecord
from converters.rasterize import Crop, Rounding, fill_edges_crop, fill_pixels, paint_rle_crop, to_pixels
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError
from toolkit.geometry.instances import crop_to_bbox
from toolkit.geometry.labels import Instance
from toolkit.geometry.oriented import turned_box, turned_corners

__all__ = [
    "CROWD",
    "annotations_shown",
    "crowds_note",
    "given_box",
    "is_crowd",
    "load_coco",
    "load_filled",
    "rings_of",
    "turn_of",
]

CROWD = "iscrowd"
"""Attribute of an instance that stands for many objects; its value is "1"."""

_FARTHEST = 1e6
"""Pixels that a coordinate may lie from the image's corner: filling takes memory by the length of an outline."""

Size = tuple[int, int]
Rings = list[npt.NDArray[np.float64]]


def load_coco(entry: LabelRecord, rounding: Rounding) -> InstanceList:
    """Instances of an image, as pycocotools rasterises them. Crowds are instances too: tools mark holes so.

    An annotation that marks no pixel of the image is left out and named.

    Raises:
        ToolkitError: an annotation is malformed or of an unknown category.
    """
    read = [(annotation, _instance(annotation, entry)) for annotation in entry.payload[1]]
    nothing = (f"annotation {shown(one.get('id'))} marks no pixel of the image" for one, found in read if found is None)
    return InstanceList((found for _, found in read if found is not None), nothing)


def load_filled(entry: LabelRecord, rounding: Rounding) -> InstanceList:
    """Instances of an image as supervision sees them: polygons are rounded to pixels and filled, outline included.

    Source: `coco_annotations_to_masks` of supervision 0.31. What has a box alone has no pixel there.
    """
    width, height = entry.image_size()
    found = []
    for annotation in entry.payload[1]:
        one, segmentation = _instance(annotation, entry), annotation.get("segmentation")
        if isinstance(segmentation, list) and segmentation not in ([], [[]]):
            rings = [to_pixels(ring, "round") for ring in rings_of(segmentation)]
            label = entry.names[int(annotation["category_id"])]
            one = crop_to_bbox(fill_pixels(rings, height, width), label, (0, 0))
        found += [one] if one is not None else []
    return InstanceList(found, settled=True)


def annotations_shown(entry: LabelRecord, count: int) -> list[JsonObject]:
    """The annotations that the `count` instances of an image are of: those that mark nothing are not among them."""
    annotations: list[JsonObject] = entry.payload[1]
    if len(annotations) == count:
        return annotations
    return [annotation for annotation in annotations if _instance(annotation, entry) is not None]


def _instance(annotation: JsonObject, entry: LabelRecord) -> Instance | None:
    """The instance of an annotation; None where it marks no pixel of the image."""
    place = f"{entry.payload[0]}: annotation {shown(annotation.get('id'))} of {entry.sample.image.name}"
    category = annotation.get("category_id")
    number = whole_number(category)
    if number is None:
        problem = f"has the category {shown(category)}, which is no id" if category is not None else "has no category"
        raise ToolkitError(place, problem, "write the id of one of the categories")
    if number not in entry.names:
        known = ", ".join(map(str, sorted(entry.names)[:10]))
        raise ToolkitError(place, f"has an unknown category {shown(category)}", f"correct it; known are {known}")
    try:
        found = _pixels(annotation, entry.image_size(), entry.names[number])
    except (ValueError, TypeError, OverflowError) as error:
        raise ToolkitError(place, f"has a malformed segmentation ({error})", "correct or remove it") from error
    return replace(found, attributes={CROWD: "1"}) if found is not None and is_crowd(annotation) else found


def is_crowd(annotation: JsonObject) -> bool:
    """Whether an annotation, or a panoptic segment, stands for many objects: `iscrowd` 1, however it is written."""
    value = annotation.get(CROWD)
    return value is True or bool(whole_number(value))


def crowds_note(annotations: Iterable[JsonObject]) -> list[str]:
    """What to say of annotations, or panoptic segments, that stand for many objects; and of boxes that are turned."""
    crowds = turned = 0
    for one in annotations:
        crowds += is_crowd(one)
        turned += bool(turn_of(one))
    told = "each is read as one object, and is a crowd again where a format has crowds"
    notes = [f"{crowds} annotation(s) are of crowds (iscrowd 1): {told}"] if crowds else []
    said = "box(es) are turned (attributes.rotation, as CVAT has it), and are read as they stand"
    return [*notes, f"{turned} {said}"] if turned else notes


def turn_of(annotation: JsonObject) -> float:
    """Degrees by which the box of an annotation is turned about its middle, clockwise; 0 for an upright one.

    CVAT's COCO export says it among the attributes that it gives each annotation, and leaves the box as it was before.
    """
    attributes = annotation.get("attributes")
    if annotation.get("segmentation") not in (None, [], [[]]) or not isinstance(attributes, dict):
        return 0.0
    angle = attributes.get("rotation")
    if "occluded" not in attributes or isinstance(angle, bool) or not isinstance(angle, int | float):
        return 0.0
    return angle % 360.0 if math.isfinite(angle) else 0.0


def _pixels(annotation: JsonObject, size: Size, label: str) -> Instance | None:
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        return _cropped(paint_rle_crop(segmentation, size[1], size[0]), label)
    if segmentation and segmentation != [[]]:
        return _cropped(fill_edges_crop(rings_of(segmentation), size[1], size[0]), label)
    box = annotation.get("bbox")
    if not box:
        return None
    x, y, w, h = _numbers(box, "the box", 4)
    if w < 0 or h < 0:
        raise ValueError(f"a box {w:g} wide and {h:g} high")
    told, angle = (x, y, x + w, y + h), turn_of(annotation)
    upright = turned_box(told, angle)
    if upright is None:
        return _cropped(fill_edges_crop([turned_corners(told, angle)], size[1], size[0]), label)
    return Instance.of_box(label, upright, size)


def rings_of(segmentation: object) -> Rings:
    """The polygons of a segmentation, each (K, 2) x, y in pixels.

    One of fewer than three points beside a whole one covers nothing, as pycocotools has it, and is left out.

    Raises:
        ValueError: it is no list of lists of numbers, or none of them is a polygon.
    """
    if not isinstance(segmentation, list):
        raise ValueError(f"{_kind(segmentation)} instead of a list of lists of numbers")
    if all(isinstance(one, int | float) for one in segmentation):
        raise ValueError("one list of numbers instead of a list of such lists: write [[x1, y1, x2, y2, ...]]")
    rings = [np.asarray(_numbers(ring, "a polygon"), np.float64).reshape(-1, 2) for ring in segmentation]
    whole = [ring for ring in rings if len(ring) >= 3]
    if not whole:
        raise ValueError("a polygon of fewer than three points")
    return whole


def given_box(annotation: JsonObject) -> list[float] | None:
    """The box x, y, width, height of an annotation as it stands; None where it has none of four numbers."""
    try:
        return _numbers(annotation.get("bbox"), "the box", 4)
    except ValueError:
        return None


def _numbers(values: object, what: str, count: int | None = None) -> list[float]:
    """Checked coordinates.

    Raises:
        ValueError: they are none, of another number than `count`, odd in number, or beyond all images.
    """
    if not isinstance(values, list):
        raise ValueError(f"{what} is {_kind(values)} instead of a list of numbers")
    if len(values) % 2 or (count is not None and len(values) != count):
        raise ValueError(f"{what} of {len(values)} numbers" + (f" instead of {count}" if count is not None else ""))
    if set(map(type, values)) == {int} and min(values) >= -_FARTHEST and max(values) <= _FARTHEST:
        return values  # as ours are
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{what} holds {shown(value)}, which is no number")
        if not math.isfinite(value) or abs(value) > _FARTHEST:
            raise ValueError(f"{what} holds the coordinate {shown(value)}")
    return values


def _kind(value: object) -> str:
    if isinstance(value, str):
        return "text"
    return "an object" if isinstance(value, dict) else shown(value)


def _cropped(crop: Crop, label: str) -> Instance | None:
    mask, offset = crop
    return crop_to_bbox(mask, label, offset)
