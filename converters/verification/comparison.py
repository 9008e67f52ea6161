"""One image's labels against the truth: pixels, boxes, counts, and what an annotation says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from converters.formats.label_tree import Entry
from converters.formats.yolo.oriented_boxes import contains_instance
from converters.formats.yolo.reader import parse_rows
from toolkit.geometry.labels import Instance, LabelledImage

__all__ = [
    "ImageFidelity",
    "PixelDifference",
    "annotation_faults",
    "box_faults",
    "compare_pixels",
    "objects_wanted",
    "pixel_difference",
]

_TOLERANCE = 0.01  # pixels by which a side of a box may be off


class ImageFidelity(NamedTuple):
    """How well the labels of one image match: IoU with the source, pixels lost and pixels gained."""

    iou: float
    key: str
    lost: int
    gained: int


@dataclass(frozen=True, eq=False)
class PixelDifference:
    """Where the labels of one image and the truth differ.

    Attributes:
        offset: x, y of the arrays' first pixel in the image.
        lost: bool (H, W), true pixels that are not labelled, or labelled as another class.
        gained: bool (H, W), labelled pixels where the truth has none.
        renamed: pixels of `lost` that are labelled, as another class.
        iou: same pixels of the same class as a share of all.
    """

    offset: tuple[int, int]
    lost: npt.NDArray[np.bool_]
    gained: npt.NDArray[np.bool_]
    renamed: int
    iou: float


def compare_pixels(reading: LabelledImage, truth: LabelledImage) -> ImageFidelity:
    """Compare what is labelled with what is true; a pixel of the wrong class is lost."""
    found = pixel_difference(reading, truth)
    return ImageFidelity(found.iou, truth.key, int(np.count_nonzero(found.lost)), int(np.count_nonzero(found.gained)))


def pixel_difference(reading: LabelledImage, truth: LabelledImage) -> PixelDifference:
    """The pixels by which what is labelled differs from what is true."""
    boxes = [instance.bbox for instance in (*reading.instances, *truth.instances)]
    if not boxes:
        nothing = np.zeros((0, 0), np.bool_)
        return PixelDifference((0, 0), nothing, nothing, 0, 1.0)
    window = (min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes))
    ids = {
        label: number
        for number, label in enumerate(sorted({i.label for i in (*reading.instances, *truth.instances)}), 1)
    }
    shown, true = _class_map(reading.instances, window, ids), _class_map(truth.instances, window, ids)
    union = int(np.count_nonzero(shown | true))
    lost = (shown != true) & (true > 0)
    same = int(np.count_nonzero(true)) - int(np.count_nonzero(lost))
    renamed = int(np.count_nonzero(lost & (shown > 0)))
    return PixelDifference(window[:2], lost, (shown > 0) & (true == 0), renamed, same / union)


def _class_map(
    instances: Sequence[Instance], window: tuple[int, int, int, int], ids: Mapping[str, int]
) -> npt.NDArray[np.uint16]:
    """Map of class numbers in a window (x0, y0, x1, y1); where instances overlap, the later one shows."""
    left, top, right, bottom = window
    raster = np.zeros((bottom - top, right - left), np.uint16)
    for instance in instances:
        x0, y0, x1, y1 = instance.bbox
        raster[y0 - top : y1 - top, x0 - left : x1 - left][instance.mask] = ids[instance.label]
    return raster


def objects_wanted(kind: str, truth: LabelledImage, *, join_parts: bool) -> int | None:
    """How many objects a label file of some kind should hold; None where the format does not tell objects apart."""
    if kind == "coco" or (kind == "yolo-segment" and join_parts):
        return len(truth.instances)
    if kind == "yolo-segment":
        return sum(not ring.hole for instance in truth.instances for ring in instance.outline.rings8)
    if kind == "panoptic":
        owners = np.zeros((truth.height, truth.width), np.uint32)
        for number, instance in enumerate(truth.instances, 1):
            x0, y0, x1, y1 = instance.bbox
            owners[y0:y1, x0:x1][instance.mask] = number
        return len(np.unique(owners[owners > 0]))
    return None


def box_faults(kind: str, entry: Entry, truth: LabelledImage) -> list[str]:
    """What is wrong with an image's boxes, oriented boxes, or class."""
    key = truth.key
    if kind == "yolo-classify":
        label = entry.sample.defect
        return (
            [] if label == truth.image_label else [f"{key}: in class {label!r}, the source says {truth.image_label!r}"]
        )
    rows = parse_rows(Path(entry.payload), entry.names)
    if len(rows) != len(truth.instances):
        return [f"{key}: {len(rows)} boxes where the source has {len(truth.instances)}"]
    size = np.array([truth.width, truth.height], np.float64)
    if kind == "yolo-obb":
        turned = [
            (entry.names[label_id], values.reshape(-1, 2).astype(np.float64) * size) for label_id, values, _ in rows
        ]
        return _uncontained(turned, truth)
    found = []
    for label_id, values, _ in rows:
        centre, span = values[:2].astype(np.float64) * size, values[2:].astype(np.float64) * size
        found.append((entry.names[label_id], [*(centre - span / 2), *(centre + span / 2)]))
    wanted = [(instance.label, [float(side) for side in instance.bbox]) for instance in truth.instances]
    pairs = zip(sorted(found, key=_whole), sorted(wanted, key=_whole), strict=True)
    return [
        f"{key}: box {_shown(here)} of {label!r} where the source has {_shown(there)} of {true!r}"
        for (label, here), (true, there) in pairs
        if label != true or max(abs(a - b) for a, b in zip(here, there, strict=True)) > _TOLERANCE
    ]


def _whole(box: tuple[str, list[float]]) -> tuple[str, list[int]]:
    return box[0], [round(side) for side in box[1]]


def _shown(box: Sequence[float]) -> str:
    return "(" + ", ".join(f"{side:.2f}" for side in box) + ")"


def _uncontained(boxes: Sequence[tuple[str, npt.NDArray[np.float64]]], truth: LabelledImage) -> list[str]:
    """Instances that no oriented box of their class contains, of those no larger than the upright box."""
    return [
        f"{truth.key}: no oriented box of {instance.label!r} contains the instance at {_shown(instance.bbox)}"
        for instance in truth.instances
        if not any(
            label == instance.label and _area(corners) <= _most_area(instance) and contains_instance(corners, instance)
            for label, corners in boxes
        )
    ]


def _area(corners: npt.NDArray[np.float64]) -> float:
    """Area of a rectangle, corners (4, 2) in order."""
    return float(np.prod(np.linalg.norm(corners[1:3] - corners[:2], axis=1)))


def _most_area(instance: Instance) -> float:
    """Area of the tight upright box, with the tolerance on each side."""
    x0, y0, x1, y1 = instance.bbox
    return (x1 - x0 + 2 * _TOLERANCE) * (y1 - y0 + 2 * _TOLERANCE)


def annotation_faults(annotations: Sequence[Mapping[str, Any]], instances: Sequence[Instance], key: str) -> list[str]:
    """What COCO annotations say wrongly of their own segmentation: area, box, crowd."""
    faults = []
    for annotation, instance in zip(annotations, instances, strict=True):
        name = f"{key}: annotation {annotation.get('id')}"
        x0, y0, x1, y1 = instance.bbox
        box = annotation.get("bbox", ())
        if len(box) != 4 or max(abs(a - b) for a, b in zip(box, (x0, y0, x1 - x0, y1 - y0), strict=True)) > _TOLERANCE:
            faults.append(f"{name}: bbox {_shown(box)} is not the tight box {_shown((x0, y0, x1 - x0, y1 - y0))}")
        if annotation.get("area") != instance.area:
            faults.append(f"{name}: area {annotation.get('area')} is not the pixel count {instance.area}")
        if annotation.get("iscrowd"):
            faults.append(f"{name}: is marked as a crowd, which training and evaluation pass over")
    return faults
