"""One image's labels against the truth: pixels, boxes, counts, and what an annotation says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from converters.formats.boxes import uncontained, wrong_boxes
from converters.formats.format import Format
from converters.formats.label_tree import LabelRecord
from toolkit.geometry.labels import LabelledImage, paint, window_of

__all__ = ["ImageFidelity", "PixelDifference", "box_faults", "compare_pixels", "pixel_difference"]


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
    every = (*reading.instances, *truth.instances)
    if not every:
        nothing = np.zeros((0, 0), np.bool_)
        return PixelDifference((0, 0), nothing, nothing, 0, 1.0)
    window = window_of(every)
    ids = {label: number for number, label in enumerate(sorted({one.label for one in every}), 1)}
    shown, true = (
        paint(image.instances, [ids[one.label] for one in image.instances], window, np.uint16)
        for image in (reading, truth)
    )
    union = int(np.count_nonzero(shown | true))
    lost = (shown != true) & (true > 0)
    same = int(np.count_nonzero(true)) - int(np.count_nonzero(lost))
    renamed = int(np.count_nonzero(lost & (shown > 0)))
    return PixelDifference(window[:2], lost, (shown > 0) & (true == 0), renamed, same / union)


def box_faults(found: Format, record: LabelRecord, shown: LabelledImage, truth: LabelledImage) -> list[str]:
    """What is wrong with an image's boxes, oriented boxes, or class; nothing where the labels are pixels."""
    key, labels = truth.key, [instance.label for instance in shown.instances]
    if found.holds == "classes":
        label, wanted = record.sample.defect, truth.image_label
        return [] if label == wanted else [f"{key}: in class {label!r}, the source says {wanted!r}"]
    written = found.as_written(record, shown)
    if found.holds == "oriented boxes" and written.corners is not None:
        return uncontained(list(zip(labels, written.corners, strict=True)), truth.instances, key)
    if found.holds == "boxes" and written.boxes is not None:
        return wrong_boxes(list(zip(labels, written.boxes, strict=True)), truth.instances, key)
    return []
