"""What COCO annotations say wrongly of their own segmentation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from converters.formats.boxes import TOLERANCE, shown_box
from converters.formats.coco.annotations import annotations_shown, given_box, is_crowd, rings_of, turn_of
from converters.formats.coco.document import shown
from converters.formats.label_tree import LabelRecord
from toolkit.aliases import JsonObject
from toolkit.geometry.labels import Instance

__all__ = ["self_faults"]

_BOX_SLACK = 1.0 + TOLERANCE
_AREA_SLACK = 0.01


def self_faults(record: LabelRecord, instances: Sequence[Instance]) -> list[str]:
    """What annotations say wrongly of their own segmentation: area, box, crowd.

    Ours must be right to the pixel. Other tools take boxes and areas of the vertices instead of the pixels, which is as
    sound: each side of a box may be a pixel off that of the mask, or of the vertices; an area may differ from the pixel
    count, or from the area within the polygons, by 1 % or by half a pixel for each pixel edge of the outline. What is
    not there (null, NaN) says nothing wrong; and they mark masks with holes as crowds.
    """
    faults = []
    annotations = annotations_shown(record, len(instances))
    for annotation, instance in zip(annotations, instances, strict=True):
        name = f"{record.sample.key}: annotation {shown(annotation.get('id'))}"
        found = _own_faults(annotation, instance) if record.ours else _foreign_faults(annotation, instance)
        faults += [f"{name}: {fault}" for fault in found]
    return faults


def _own_faults(annotation: JsonObject, instance: Instance) -> list[str]:
    faults = []
    tight, box = _tight(instance), given_box(annotation)
    if box is None:
        faults.append(f"bbox {shown(annotation.get('bbox'))} is no box")
    elif max(abs(a - b) for a, b in zip(box, tight, strict=True)) > TOLERANCE:
        faults.append(f"bbox {shown_box(box)} is not the tight box {shown_box(tight)}")
    area, given = float(instance.area) if instance.mask is not None else tight[2] * tight[3], annotation.get("area")
    if not isinstance(given, int | float) or abs(given - area) > (0 if instance.mask is not None else TOLERANCE * area):
        what = "pixel count" if instance.mask is not None else "area of the box,"
        faults.append(f"area {given} is not the {what} {area:g}")
    if is_crowd(annotation) and isinstance(annotation.get("segmentation"), list) and annotation["segmentation"]:
        faults.append("is marked as a crowd, which training and evaluation pass over, and is a polygon, as no crowd is")
    return faults


def _foreign_faults(annotation: JsonObject, instance: Instance) -> list[str]:
    faults = []
    box, area = given_box(annotation), annotation.get("area")
    boxes, areas = [_tight(instance)], [float(instance.area)]
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, list) and segmentation not in ([], [[]]):
        rings = rings_of(segmentation)
        points = np.concatenate(rings)
        (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        boxes.append((x0, y0, x1 - x0, y1 - y0))
        areas.append(sum(_shoelace(ring) for ring in rings))
    elif box is not None and (instance.mask is None or turn_of(annotation)):
        boxes.append((box[0], box[1], box[2], box[3]))
        areas.append(box[2] * box[3])
    if box is None and annotation.get("bbox"):
        faults.append(f"bbox {shown(annotation['bbox'])} is no box")
    elif box is not None and not any(_near(box, one) for one in boxes):
        faults.append(f"bbox {shown_box(box)} is not the tight box {shown_box(boxes[0])}")
    slack = max(_AREA_SLACK * max(areas), _outline(instance) / 2)
    if isinstance(area, bool) or not isinstance(area, int | float | None):
        faults.append(f"area {shown(area)} is no area")
    elif area is not None and not math.isnan(area) and not any(abs(area - one) <= slack for one in areas):
        faults.append(f"area {area:g} is not the pixel count {instance.area}")
    return faults


def _tight(instance: Instance) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = instance.bbox
    return x0, y0, x1 - x0, y1 - y0


def _near(box: Sequence[float], other: Sequence[float]) -> bool:
    """Whether the sides of two boxes (x, y, width, height) lie within a pixel of each other."""
    sides = [
        (box[0], other[0]),
        (box[1], other[1]),
        (box[0] + box[2], other[0] + other[2]),
        (box[1] + box[3], other[1] + other[3]),
    ]
    return all(abs(a - b) <= _BOX_SLACK for a, b in sides)


def _shoelace(ring: Any) -> float:
    """Area within a polygon, (K, 2)."""
    x, y = (ring - ring[0]).T
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)


def _outline(instance: Instance) -> int:
    """Pixel edges between an instance and what is not of it."""
    region = np.pad(instance.region, 1)
    return int(np.count_nonzero(region[1:] != region[:-1]) + np.count_nonzero(region[:, 1:] != region[:, :-1]))
