"""The learners that find places of given classes, and what opens a run of any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finetune.engine.runs import Run
from toolkit.errors import ToolkitError

if TYPE_CHECKING:
    from finetune.detection.predictor import TrainedDetector

__all__ = ["DETECTORS", "check_detector", "open_detector"]

DETECTORS = ("yolo", "yolo-world")
"""Names of the learners."""


def check_detector(run: Run) -> None:
    """Refuse a run of another learner.

    Raises:
        ToolkitError: it is none of a detector.
    """
    if run.learner not in DETECTORS:
        known = " or ".join(DETECTORS)
        raise ToolkitError(run.root, f"is a run of {run.learner}, not of {known}", "name a run of a detector")


def open_detector(run: Run) -> TrainedDetector:
    """The detector of a run, with the weights of its best epoch.

    Raises:
        ToolkitError: the run is none of a detector, did not go to its end, or its files are damaged.
    """
    check_detector(run)
    if run.learner == "yolo":
        from finetune.yolo.predictor import load_detector as load_yolo

        return load_yolo(run)
    from finetune.yolo_world.predictor import load_detector as load_words

    return load_words(run)
