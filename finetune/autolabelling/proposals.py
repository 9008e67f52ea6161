"""Where a model suspects defects: boxes found by words, or instances of an anomaly map, which needs none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from finetune.detectors import DETECTORS, open_detector
from finetune.engine.runs import Run
from finetune.metrics.detection import Detections
from toolkit.errors import ToolkitError

if TYPE_CHECKING:
    from finetune.anomaly.detector import Detector

__all__ = ["Proposal", "Proposer", "open_proposer"]

_FLOOR = 0.2  # share of the confidence above which a box that is left out still counts as a near miss


@dataclass(frozen=True, eq=False)
class Proposal:
    """What is suspected in an image.

    Attributes:
        found: boxes whose score is higher than the confidence; with masks where the model makes them.
        missed: best score that is not, 0 where there is none.
        cut: whether there may be more than the model keeps of an image.
    """

    found: Detections
    missed: float
    cut: bool = False


@dataclass(frozen=True)
class Proposer:
    """A model that suspects.

    Attributes:
        run: where it comes from.
        classes: labels that it gives.
        confidence: scores above it are found, in (0, 1).
        look: (images, confidence) -> proposals.
        most: boxes in an image, or in a tile of it, that the model keeps; 0 where it keeps all.
    """

    run: Run
    classes: tuple[str, ...]
    confidence: float
    look: Callable[[Sequence[Path], float], Iterator[Proposal]]
    most: int = 0

    def propose(self, images: Sequence[Path]) -> Iterator[Proposal]:
        """Look at images, one after the other, in their order.

        Raises:
            ToolkitError: an image cannot be read.
        """
        return self.look(images, self.confidence)


def open_proposer(run: Run, words: Sequence[str] | None, confidence: float | None) -> Proposer:
    """Make a proposer of a run.

    Args:
        run: of yolo or yolo-world, or of an anomaly detector: patchcore or vae.
        words: for yolo-world, what to look for in place of its classes; for the others, one name for what they find.
        confidence: None for .25 with yolo and yolo-world; else .5, which is the threshold that was learnt.

    Raises:
        ToolkitError: the run is of another learner or damaged, or words or confidence do not go with it.
    """
    if confidence is not None and not 0 < confidence < 1:
        raise ToolkitError("--confidence", f"{confidence:g} is not between 0 and 1", "try 0.25")
    if words is not None and (not words or not all(words) or len(set(words)) < len(words)):
        raise ToolkitError("--words", "names nothing, or a word twice", "write them as --words 'scratch,dent'")
    if run.learner in ("patchcore", "vae"):
        return _anomaly_proposer(run, words, confidence or 0.5)
    if run.learner in DETECTORS:
        return _detector_proposer(run, words, confidence or 0.25)
    raise ToolkitError(
        run.root,
        f"is a run of {run.learner}, which finds no places",
        f"name one of {', '.join(DETECTORS)}, patchcore or vae",
    )


def _detector_proposer(run: Run, words: Sequence[str] | None, confidence: float) -> Proposer:
    detector = open_detector(run)
    if words is not None and run.learner != "yolo-world":
        problem = f"{run.root} is a run of {run.learner}, which knows its own classes alone"
        raise ToolkitError("--words", problem, "leave it out, or use a run of yolo-world")

    def look(images: Sequence[Path], limit: float) -> Iterator[Proposal]:
        for one in detector.detect(images, words=words, confidence=_FLOOR * limit):
            found = one.above(limit)
            missed = float(one.scores[one.scores <= limit].max(initial=0.0))
            yield Proposal(found, missed, one.cut > limit)

    return Proposer(run, detector.classes if words is None else tuple(words), confidence, look, detector.most)


def _anomaly_proposer(run: Run, words: Sequence[str] | None, confidence: float) -> Proposer:
    """Instances of a thresholded map; an anomaly of r times the threshold scores r / (1 + r), so that 1 scores .5."""
    from finetune.anomaly.detector import score_files
    from finetune.anomaly.maps import DEFECT, ScoredImage, label_map

    if words is not None and len(words) > 1:
        raise ToolkitError("--words", "an anomaly detector tells no kinds of defects apart", "give one name")
    if run.learner == "patchcore":
        from finetune.patchcore.predictor import load_trained as load_patchcore

        ready: Detector = load_patchcore(run)
    else:
        from finetune.vae.predictor import load_trained as load_vae

        ready = load_vae(run)
    label = words[0] if words else DEFECT

    def certainty(score: float) -> float:
        return score / (score + ready.threshold) if score > 0 else 0.0

    def suspected(image: ScoredImage, limit: float) -> Proposal:
        scores = image.enlarged()
        labelled = label_map(image, ready.threshold * limit / (1 - limit), label=label)
        peaks = []
        for one in labelled.instances:
            x0, y0, x1, y1 = one.window
            peaks.append(certainty(float(scores[y0:y1, x0:x1][one.region].max())))
        order = sorted(range(len(peaks)), key=lambda place: -peaks[place])
        instances = tuple(labelled.instances[place] for place in order)
        boxes = np.array([one.bbox for one in instances], np.float64).reshape(-1, 4)
        certain = np.array([peaks[place] for place in order], np.float64)
        labels = (label,) * len(instances)
        found = Detections(image.key, image.path, image.width, image.height, boxes, certain, labels, instances)
        return Proposal(found, 0.0 if instances else certainty(image.score))

    def look(images: Sequence[Path], limit: float) -> Iterator[Proposal]:
        return (suspected(image, limit) for image in score_files(ready, images))

    return Proposer(run, (label,), confidence, look)
