"""How well a detector does: mAP, what its best score tells of good images and defects, and what to think of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from converters.sources import Source
from finetune.detection.config import DetectorConfig
from finetune.detection.data import labelled_images
from finetune.detection.predictor import TrainedDetector
from finetune.detection.remarks import about_most
from finetune.engine.runs import Run
from finetune.metrics.detection import Detections, average_precision, coco_results, coco_truth
from finetune.metrics.rejection import rejection_metrics
from toolkit.dataset.samples import GOOD
from toolkit.geometry.labels import Instance

__all__ = [
    "LOWEST_SCORE",
    "MeasuredDetections",
    "cut_detections",
    "figures",
    "measure_detector",
    "rejection_figures",
    "run_figures",
]

LOWEST_SCORE = 0.001
"""From which on detections count for mAP; what scores lower is as if nothing had been found."""

_WORTH = 0.01  # score below which what is cut is not worth a word
_MOST_DRAWN = 24


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
        full: of images that reached the number of detections that is kept, the score up to which some may be missing.
    """

    truth: dict[str, Any]
    results: list[dict[str, Any]]
    best: dict[str, float]
    defective: dict[str, bool]
    shown: list[Detections]
    labelled: list[tuple[Instance, ...]]
    full: list[float] = field(default_factory=list)


def measure_detector(
    detector: TrainedDetector, source: Source, chosen: Mapping[str, str], config: DetectorConfig
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
    full: list[float] = []
    for image, found in zip(labelled, detector.detect(paths, confidence=LOWEST_SCORE), strict=True):
        named = replace(found, key=image.key)
        results += coco_results([named], truth)
        best[image.key] = float(found.scores.max(initial=0))
        full += [found.cut] if found.cut else []
        if len(shown) < _MOST_DRAWN:
            shown.append(named)
    marked = [image.instances for image in labelled[: len(shown)]]
    return MeasuredDetections(truth, results, best, {key: defects[key] for key in best}, shown, marked, full)


def cut_detections(found: MeasuredDetections, detector: TrainedDetector, run: Run) -> list[str]:
    """What to say where more was found in images than is kept; nothing where all of it is good for nothing.

    Figures look at detections from a score of .001 on, of which a model may make any number; those from .01 on count.
    """
    full = [score for score in found.full if score >= _WORTH]
    return about_most(len(full), detector.most, run, max(full, default=None))


def rejection_figures(found: MeasuredDetections, confidence: float) -> dict[str, float]:
    """As `rejection_metrics`, of images that are rejected where a detection scores higher than `confidence`."""
    scores = np.array(list(found.best.values()))
    rejected = rejection_metrics(list(found.defective.values()), scores > confidence, scores)
    return {**rejected, "threshold": confidence}


def figures(truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], *, masks: bool) -> dict[str, Any]:
    """The figures of where defects are: mAP of boxes, of masks where there are some, of each class, of each size."""
    told: dict[str, Any] = {}
    details: dict[str, Any] = {}
    for start, kind in (("", "bbox"), *((("mask_", "segm"),) if masks else ())):
        found = average_precision(truth, results, kind)
        told |= {f"{start}map50": found.map50, f"{start}map50_95": found.map50_95}
        for group, parts in (("class", found.per_class), ("size", found.per_size)):
            for name, (wide, half) in parts.items():
                details |= {f"{start}map50_{group}_{name}": half, f"{start}map50_95_{group}_{name}": wide}
    return {**told, "images": len(truth["images"]), "instances": len(truth["annotations"]), **details}


def run_figures(found: MeasuredDetections, detector: TrainedDetector, confidence: float) -> dict[str, Any]:
    """As metrics.json."""
    told = figures(found.truth, found.results, masks=detector.masks)
    return {**told, **rejection_figures(found, confidence)}
