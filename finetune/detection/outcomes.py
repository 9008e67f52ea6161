"""How the detections of a run match the truth, and the figure made of that."""

from __future__ import annotations

from finetune.engine.learner import Figure
from finetune.engine.runs import Run
from finetune.metrics.evidence import Precisions, matched_detections
from toolkit.errors import ToolkitError
from toolkit.files.typed import parse_json

__all__ = ["MAP50", "read_detections"]

_REMEDY = "train again"


def read_detections(run: Run) -> Precisions:
    """The detections in the test images of a run, matched to the objects there.

    Raises:
        ToolkitError: the run has none, or they are damaged.
    """
    path = run.root / "predictions.json"
    truth, results = parse_json(run.root / "truth.json", _REMEDY), parse_json(path, _REMEDY)
    try:
        return matched_detections(truth, results)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = "is not in COCO's results form, or truth.json is no COCO dictionary"
        raise ToolkitError(path, problem, _REMEDY) from error


MAP50 = Figure("map50", "mAP50", read_detections, "defects")
