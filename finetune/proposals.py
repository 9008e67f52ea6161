"""Where a model suspects defects: boxes found by words, or instances of an anomaly map, which needs none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from finetune.detections import Detections
from finetune.runs import Run
from toolkit.errors import ToolkitError

__all__ = ["Proposal", "Proposer", "open_proposer"]

_FLOOR = 0.2  # share of the confidence above which a box that is left out still counts as a near miss


@dataclass(frozen=True, eq=False)
class Proposal:
    """What is suspected in an image.

    Attributes:
        found: boxes whose score reaches the confidence; with masks where the model makes them.
        missed: best score below the confidence, 0 where there is none.
    """

    found: Detections
    missed: float


@dataclass(frozen=True)
class Proposer:
    """A model that suspects.

    Attributes:
        run: where it comes from.
        classes: labels that it gives.
        confidence: scores of this or more are found, in (0, 1).
        words: what a detector is asked for; None for the classes that it was trained on.
    """

    run: Run
    classes: tuple[str, ...]
    confidence: float
    words: tuple[str, ...] | None = None

    def propose(self, images: Sequence[Path]) -> Iterator[Proposal]:
        """Look at images, one after the other, in their order.

        Raises:
            ToolkitError: an image cannot be read, or the run is damaged.
        """
        yield from (_from_map if self.run.learner == "vae" else _from_words)(self, images)


def open_proposer(run: Run, words: Sequence[str] | None, confidence: float | None) -> Proposer:
    """Make a proposer of a run.

    Args:
        run: of yolo-world or of vae.
        words: for yolo-world, what to look for in place of its classes; for vae, one name for what it finds.
        confidence: None for .25 with yolo-world; with vae .5, which is the threshold that it learnt.

    Raises:
        ToolkitError: the run is of another learner, or words or confidence do not go with it.
    """
    if confidence is not None and not 0 < confidence < 1:
        raise ToolkitError("--confidence", f"{confidence:g} is not between 0 and 1", "try 0.25")
    if words is not None and (not words or not all(words) or len(set(words)) < len(words)):
        raise ToolkitError("--words", "names nothing, or a word twice", "write them as --words 'scratch,dent'")
    if run.learner == "vae":
        from finetune.anomaly_maps import DEFECT

        if words is not None and len(words) > 1:
            raise ToolkitError("--words", "an anomaly detector tells no kinds of defects apart", "give one name")
        return Proposer(run, tuple(words or (DEFECT,)), confidence or 0.5)
    if run.learner == "yolo-world":
        from finetune.yolo_world import load_detector

        classes = tuple(words) if words is not None else load_detector(run).classes
        return Proposer(run, classes, confidence or 0.25, None if words is None else tuple(words))
    raise ToolkitError(run.root, f"is a run of {run.learner}, which finds no places", "name one of yolo-world or vae")


def _from_words(proposer: Proposer, images: Sequence[Path]) -> Iterator[Proposal]:
    from finetune.yolo_world import load_detector

    limit = proposer.confidence
    detector = load_detector(proposer.run)
    for one in detector.detect(images, words=proposer.words, confidence=_FLOOR * limit):
        kept = np.flatnonzero(one.scores >= limit)
        masks = None if one.masks is None else tuple(one.masks[place] for place in kept)
        labels = tuple(one.labels[place] for place in kept)
        found = Detections(one.key, one.path, one.width, one.height, one.boxes[kept], one.scores[kept], labels, masks)
        yield Proposal(found, float(one.scores[one.scores < limit].max(initial=0.0)))


def _from_map(proposer: Proposer, images: Sequence[Path]) -> Iterator[Proposal]:
    """Instances of a thresholded map; an anomaly of r times the threshold scores r / (1 + r), so that 1 scores .5."""
    from finetune.anomaly_maps import label_map
    from finetune.vae import load_trained, score_files

    ready = load_trained(proposer.run)
    threshold = ready.threshold * proposer.confidence / (1 - proposer.confidence)
    (label,) = proposer.classes
    for image in score_files(ready, images):
        scores, peaks = image.enlarged(), []
        labelled = label_map(image, threshold, label=label)
        for one in labelled.instances:
            x0, y0, x1, y1 = one.bbox
            peaks.append(_odds(float(scores[y0:y1, x0:x1][one.mask].max()), ready.threshold))
        order = sorted(range(len(peaks)), key=lambda place: -peaks[place])
        instances = tuple(labelled.instances[place] for place in order)
        boxes = np.array([one.bbox for one in instances], np.float64).reshape(-1, 4)
        certain = np.array([peaks[place] for place in order], np.float64)
        labels = (label,) * len(instances)
        found = Detections(image.key, image.path, image.width, image.height, boxes, certain, labels, instances)
        yield Proposal(found, 0.0 if instances else _odds(image.score, ready.threshold))


def _odds(score: float, threshold: float) -> float:
    return score / (score + threshold) if score > 0 else 0.0
