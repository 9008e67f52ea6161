"""One image's labels against the truth: pixels, boxes, or the class of the whole image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from converters.formats.base import Holds
from converters.formats.boxes import uncontained, wrong_boxes
from converters.formats.format import Format
from converters.formats.label_tree import LabelRecord
from toolkit.geometry.labels import Instance, LabelledImage, paint, plain_attributes, window_of

__all__ = [
    "Comparison",
    "ImageFidelity",
    "PixelDifference",
    "box_faults",
    "compare_image",
    "drawn_as_masks",
    "masked",
    "pixel_difference",
]


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
        lost: bool (H, W), true pixels that are not labelled; empty where nothing differs.
        gained: labelled pixels where the truth has none, of the same shape.
        renamed: by the true class, pixels that are labelled as another one; of the same shape.
        iou: same pixels of the same class as a share of all.
    """

    offset: tuple[int, int]
    lost: npt.NDArray[np.bool_]
    gained: npt.NDArray[np.bool_]
    renamed: Mapping[str, npt.NDArray[np.bool_]]
    iou: float


class Comparison(NamedTuple):
    """What came of comparing one image's labels with the truth.

    Attributes:
        fidelity: of its masks; None where there are none to compare.
        right: whether all that can be exact is; None where nothing can, or nothing is there.
        rectangles: objects of which the truth has a box alone, drawn as rectangles: they are compared, but exact to
            nothing.
        faults: what is wrong, one line each, beyond what `fidelity` says.
    """

    fidelity: ImageFidelity | None
    right: bool | None
    rectangles: int
    faults: list[str]


def compare_image(
    found: Format,
    holds: Holds,
    record: LabelRecord,
    readings: Sequence[LabelledImage],
    truth: LabelledImage,
    least: float,
) -> Comparison:
    """Compare the labels of one image with what they should be.

    Args:
        found: their format.
        holds: what the labels of their tree consist of.
        record: where they stand.
        readings: what its readers make of them, each once; they count as good as the worst.
        truth: what they should be.
        least: IoU that rectangles must reach.
    """
    shown = readings[0]
    faults = [*box_faults(found, record, shown, truth, holds), *_attribute_faults(found, record, shown, truth)]
    rectangles = drawn_as_masks(found, truth)
    if rectangles:
        if holds == "pixels" and (worst := min(_compare_pixels(one, truth) for one in readings)).iou < least:
            told = f"IoU {worst.iou:.4f}, {worst.lost} px lost, {worst.gained} gained"
            faults.append(f"{truth.key}: is not what masks and the rectangles of boxes give ({told})")
        return Comparison(None, None, rectangles, faults)
    fidelity = None
    if holds == "pixels" and (masked(truth).instances or any(masked(one).instances for one in readings)):
        fidelity = min(_compare_pixels(masked(one), masked(truth)) for one in readings)
    if holds == "classes" or truth.instances or shown.instances:
        return Comparison(fidelity, not faults and (fidelity is None or fidelity.iou == 1), 0, faults)
    return Comparison(fidelity, None, 0, faults)


def _attribute_faults(found: Format, record: LabelRecord, shown: LabelledImage, truth: LabelledImage) -> list[str]:
    """Attributes that a tree of ours should have kept, and that it gives to other objects than the truth."""
    if not record.ours or len(shown.instances) != len(truth.instances):
        return []
    told = {name for one in truth.instances for name in one.attributes}
    names = told if found.keeps is None else {*found.keeps}
    here, there = (_attributes(image.instances, names) for image in (shown, truth))
    return [
        f"{truth.key}: {here[pair]} object(s) have the {pair[0]} {pair[1]}, the source has it of {there[pair]}"
        for pair in sorted(here | there)
        if here[pair] != there[pair]
    ]


def _attributes(instances: Sequence[Instance], names: Collection[str] | None) -> Counter[tuple[str, str]]:
    """How many of some objects have each value of the attributes of these names, None for any."""
    every = (pair for one in instances for pair in plain_attributes(one.attributes).items())
    return Counter(pair for pair in every if names is None or pair[0] in names)


def drawn_as_masks(found: Format, truth: LabelledImage) -> int:
    """Objects that the truth has as a box alone and a format cannot show as one."""
    if found.takes_boxes or found.holds == "classes":
        return 0
    return sum(one.mask is None for one in truth.instances)


def masked(image: LabelledImage) -> LabelledImage:
    """The image with the objects alone that have a mask."""
    if all(one.mask is not None for one in image.instances):
        return image
    return replace(image, instances=tuple(one for one in image.instances if one.mask is not None))


def _compare_pixels(reading: LabelledImage, truth: LabelledImage) -> ImageFidelity:
    """Compare what is labelled with what is true; a pixel of the wrong class is lost."""
    found = pixel_difference(reading, truth)
    return ImageFidelity(found.iou, truth.key, int(np.count_nonzero(found.lost)), int(np.count_nonzero(found.gained)))


def _same_masks(ones: Sequence[Instance], others: Sequence[Instance]) -> bool:
    """Whether instances mark the same pixels as the same classes, one by one in their order."""
    return len(ones) == len(others) and all(
        one.label == other.label and one.window == other.window and np.array_equal(one.region, other.region)
        for one, other in zip(ones, others, strict=True)
    )


def pixel_difference(reading: LabelledImage, truth: LabelledImage) -> PixelDifference:
    """The pixels by which what is labelled differs from what is true."""
    every = (*reading.instances, *truth.instances)
    if _same_masks(reading.instances, truth.instances):  # then they are painted alike
        nothing = np.zeros((0, 0), np.bool_)
        return PixelDifference((0, 0), nothing, nothing, {}, 1.0)
    window = window_of(every)
    ids = {label: number for number, label in enumerate(sorted({one.label for one in every}), 1)}
    shown, true = (
        paint(image.instances, [ids[one.label] for one in image.instances], window, np.uint16)
        for image in (reading, truth)
    )
    union = int(np.count_nonzero(shown | true))
    same = int(np.count_nonzero((shown == true) & (true > 0)))
    other = (shown != true) & (true > 0) & (shown > 0)
    renamed = {label: mask for label, number in ids.items() if (mask := other & (true == number)).any()}
    return PixelDifference(window[:2], (true > 0) & (shown == 0), (shown > 0) & (true == 0), renamed, same / union)


def box_faults(
    found: Format, record: LabelRecord, shown: LabelledImage, truth: LabelledImage, holds: Holds | None = None
) -> list[str]:
    """What is wrong with an image's boxes, oriented boxes, or class; nothing where its labels are masks.

    Args:
        found: the format.
        record: where the labels stand.
        shown: what a reader makes of them.
        truth: what they should be.
        holds: what the labels of the tree consist of; by default what those of the format do.
    """
    key, holds = truth.key, holds or found.holds
    if holds == "classes":
        label, wanted = record.sample.defect, truth.image_label
        return [] if label == wanted else [f"{key}: in class {label!r}, the source says {wanted!r}"]
    if holds == "pixels":
        here, there = ([one for one in image.instances if one.mask is None] for image in (shown, truth))
        if not found.takes_boxes or not (here or there):
            return []
        return wrong_boxes([(one.label, one.bbox) for one in here], there, key)
    labels = [instance.label for instance in shown.instances]
    written = found.as_written(record, shown)
    if holds == "oriented boxes":
        corners = written.corners or ()
        return uncontained(list(zip(labels, corners, strict=True)), truth.instances, key)
    boxes = written.boxes or tuple(one.bbox for one in shown.instances)
    return wrong_boxes(list(zip(labels, boxes, strict=True)), truth.instances, key)
