"""How well a detector does: mAP, what its best score tells of good images and defects, and what to think of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from converters.sources import Source
from finetune.metrics.detection import Detections, average_precision, coco_results, coco_truth
from finetune.metrics.rejection import rejection_metrics
from finetune.yolo_world.config import YoloWorldConfig
from finetune.yolo_world.data import labelled_images
from finetune.yolo_world.predictor import Detector
from toolkit.dataset.samples import GOOD
from toolkit.geometry.labels import Instance

__all__ = [
    "LOWEST_SCORE",
    "MeasuredDetections",
    "about_specks",
    "about_zero",
    "figures",
    "measure_detector",
    "rejection_figures",
]

LOWEST_SCORE = 0.001
"""From which on detections count for mAP; what scores lower is as if nothing had been found."""

_MOST_DRAWN = 24
_SPECK = 2  # px; ultralytics drops narrower boxes when it trains


@dataclass(frozen=True, eq=False)
class MeasuredDetections:
    """Truth and results of some images.

    Attributes:
        truth: in COCO's form.
        results: in COCO's form, from a score of .001 on.
        best: key -> the highest score in the image; 0 where nothing was found.
        defective: key -> whether the image shows a defect.
        shown: the detections of the first images.
        labelled: what is labelled in these.
    """

    truth: dict[str, Any]
    results: list[dict[str, Any]]
    best: dict[str, float]
    defective: dict[str, bool]
    shown: list[Detections]
    labelled: list[tuple[Instance, ...]]


def measure_detector(
    detector: Detector, source: Source, chosen: Mapping[str, str], config: YoloWorldConfig
) -> MeasuredDetections:
    """Look for defects in some images whose labels are known.

    Args:
        detector: what looks.
        source: a dataset or a label tree.
        chosen: key -> subset of the images in question.
        config: how classes and instances are made.

    Raises:
        ToolkitError: a file is at fault.
    """
    labelled = list(labelled_images(source, chosen, config, detector.classes))
    defects = {sample.key: sample.defect != GOOD for sample in source.dataset if sample.key in chosen}
    truth = coco_truth(labelled, detector.classes)
    paths = [image.path for image in labelled if image.path is not None]
    results: list[dict[str, Any]] = []
    best: dict[str, float] = {}
    shown: list[Detections] = []
    for image, found in zip(labelled, detector.detect(paths, confidence=LOWEST_SCORE), strict=True):
        named = replace(found, key=image.key)
        results += coco_results([named], truth)
        best[image.key] = float(found.scores.max(initial=0))
        if len(shown) < _MOST_DRAWN:
            shown.append(named)
    marked = [image.instances for image in labelled[: len(shown)]]
    return MeasuredDetections(truth, results, best, {key: defects[key] for key in best}, shown, marked)


def rejection_figures(found: MeasuredDetections, confidence: float) -> dict[str, float]:
    """As `rejection_metrics`, of images that are rejected where a detection scores higher than `confidence`."""
    scores = np.array(list(found.best.values()))
    rejected = rejection_metrics(list(found.defective.values()), scores > confidence, scores)
    return {**rejected, "threshold": confidence}


def figures(truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], *, masks: bool) -> dict[str, Any]:
    """The figures of where defects are: mAP of boxes, of masks where there are some, and of each class."""
    boxes = average_precision(truth, results)
    told: dict[str, Any] = {"map50": boxes.map50, "map50_95": boxes.map50_95}
    if masks:
        planes = average_precision(truth, results, "segm")
        told |= {"mask_map50": planes.map50, "mask_map50_95": planes.map50_95}
    told |= {"images": len(truth["images"]), "instances": len(truth["annotations"])}
    for name, (wide, half) in boxes.per_class.items():
        told |= {f"map50_class_{name}": half, f"map50_95_class_{name}": wide}
    return told


def about_specks(truth: Mapping[str, Any], config: YoloWorldConfig) -> list[str]:
    """What to think of instances that vanish when images are resized."""
    sides = {image["id"]: max(image["width"], image["height"]) for image in truth["images"]}
    boxes = [(min(one["bbox"][2:]), sides[one["image_id"]]) for one in truth["annotations"]]
    specks = sum(short * config.image_size < _SPECK * side for short, side in boxes)
    if not specks:
        return []
    return [
        f"{specks} of {len(boxes)} instances are narrower than {_SPECK} px once images are resized to "
        f"{config.image_size}: a detector cannot learn them, and they count as missed; raise image_size, join them "
        "(instances=merge:8), or leave them out (min_area=PX)"
    ]


def about_zero(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """What to think of a validation mAP that stays 0 while the loss falls.

    In training a batch is normalised by its own mean and variance, in validation by running averages, of which each
    step renews 3 % (ultralytics' BatchNorm momentum): after n steps (0.97)^n of the random start is left, in every
    layer. Weights that were trained bring theirs along.
    """
    figures = [float(row["map50"]) for row in rows if row.get("map50")]
    zeros = next((place for place, value in enumerate(figures) if value > 0), len(figures))
    if zeros < 2:
        return []
    losses = [float(row.get("train_loss") or "nan") for row in (rows[0], rows[-1])]
    fall = f"the train loss went from {losses[0]:.2f} to {losses[1]:.2f}"
    why = (
        "validation uses running averages (BatchNorm), which from random weights need some hundred steps to follow; "
        "more epochs, a smaller batch_size or trained weights give them"
    )
    when = f"is 0 after {zeros} epochs" if zeros == len(figures) else f"was 0 for the first {zeros} epochs"
    return [f"validation mAP {when} while {fall}: {why}"]
