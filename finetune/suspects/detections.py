"""What a detector finds beside what is labelled in images: objects without a label, and those of another class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from finetune.suspects.evidence import Evidence
from toolkit.geometry.labels import Box

__all__ = ["FoundObject", "detection_doubts"]

_SAME, _OTHER = 0.3, 0.5  # IoU from which a box is that of a label of its class; of another class
_LEAST = 0.05  # score of a detection below which nothing is said of it


@dataclass(frozen=True)
class FoundObject:
    """A detection: the image's key, class, box x0 y0 x1 y1 in pixels, and score 0 to 1."""

    key: str
    label: str
    box: Box
    score: float


def detection_doubts(
    found: Sequence[FoundObject], labelled: Mapping[str, Sequence[tuple[str, Box]]], learner: str
) -> list[Evidence]:
    """How much detections speak against labels: as often as such sure ones are right where there is a label.

    Args:
        found: in images that the detector was not trained on.
        labelled: key -> class and box of each object that is labelled, of all these images.
        learner: name of the detector's learner.

    Returns:
        For each image the strongest; a score of 0 where nothing is found that is not labelled so.
    """
    told = [(one, _beside(one, labelled[one.key])) for one in found if one.key in labelled and one.score >= _LEAST]
    best = {key: Evidence(key, "found", 0.0, "", "") for key in sorted(labelled)}
    for one, beside in told:
        if beside == one.label:
            continue
        sure = [right == other.label for other, right in told if other.score >= one.score]
        doubt = sum(sure) / (len(sure) + 1)
        if doubt > best[one.key].score:
            what = f"where a {beside} is labelled" if beside else "where nothing is labelled"
            x0, y0, x1, y1 = (round(side) for side in one.box)
            why = f"{learner} finds a {one.label} {what} ({one.score:.2f}; x {x0} to {x1}, y {y0} to {y1})"
            best[one.key] = Evidence(one.key, "found", doubt, one.label, why)
    return list(best.values())


def _beside(one: FoundObject, objects: Sequence[tuple[str, Box]]) -> str:
    """Class of the label that a detection is of; "" for none."""
    own = [_iou(one.box, box) for label, box in objects if label == one.label]
    if max(own, default=0.0) >= _SAME:
        return one.label
    others = [(_iou(one.box, box), label) for label, box in objects]
    overlap, label = max(others, default=(0.0, ""))
    return label if overlap >= _OTHER else ""


def _iou(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)
