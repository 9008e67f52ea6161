"""A trained detector at work."""

from __future__ import annotations

from collections.abc import Callable

from finetune.detection.predictor import DetectorFacts, TrainedDetector, confidence_of, predict_one
from finetune.engine.prediction import Prediction
from finetune.engine.runs import Run, read_config
from finetune.yolo.config import NAME, YoloConfig
from toolkit.errors import ToolkitError

__all__ = ["load_detector", "load_predictor"]


def load_detector(run: Run) -> TrainedDetector:
    """The detector of a run, with the weights of its best epoch.

    Raises:
        ToolkitError: the run is none of a detector, did not go to its end, or its files are damaged.
    """
    if run.learner != NAME:
        raise ToolkitError(run.root, f"is a run of {run.learner}, not of {NAME}", "name a run of a detector")
    facts = run.facts(DetectorFacts)
    return TrainedDetector(run, read_config(run, YoloConfig), facts.classes, masks=facts.masks)


def load_predictor(run: Run) -> Callable[..., Prediction]:
    """The detector of a run, ready for one image file after the other.

    Raises:
        ToolkitError: as `load_detector`.
    """
    return predict_one(load_detector(run), confidence_of(run, read_config(run, YoloConfig)))
