"""The detector of given classes: ultralytics' plain models, which make boxes, or boxes and masks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.detection.data import DetectionData
from finetune.detection.evaluation import LOWEST_SCORE
from finetune.detection.models import ModelSource
from finetune.detection.outcomes import MAP50
from finetune.detection.prediction import DetectorKind
from finetune.detection.predictor import DetectorFacts
from finetune.detection.training import Plan, open_for_training, train_detector
from finetune.engine.learner import Learner, Scoring
from finetune.engine.outputs.exports import Exportable
from finetune.engine.runs import Run, holds_run, read_config
from finetune.engine.splits import open_as_told
from finetune.yolo.config import NAME, YoloConfig
from finetune.yolo.models import find_model
from finetune.yolo.predictor import load_detector, load_predictor
from toolkit.aliases import Progress

if TYPE_CHECKING:
    from finetune.detection.trainer import RunTrainer

__all__ = ["LEARNER", "YoloConfig", "evaluate", "predict", "train"]

_DETECTORS = DetectorKind(YoloConfig, load_detector)
evaluate, predict = _DETECTORS.evaluate, _DETECTORS.predict


@holds_run
def train(data: Path, config: YoloConfig, out: Path, resume: bool = False, progress: Progress | None = None) -> Run:
    """Train a detector, and test it.

    Args:
        data: dataset root, category folder or label tree with boxes or masks.
        config: settings.
        out: the run directory.
        resume: go on with a run that was interrupted.
        progress: called with (epochs done, epochs).

    Raises:
        ToolkitError: data, split, model or device are at fault, or training fails.
    """
    found, source, config = open_for_training(data, config, find_model, "yolo11s.pt")

    def trainer() -> tuple[type[RunTrainer], dict[str, object]]:
        from finetune.yolo.trainer import plain_trainer

        return plain_trainer(masks=source.masks), {}

    facts = {"classes": list(found.classes)}
    notes = _notes(found, source)
    plan = Plan(NAME, found, source, trainer, load_detector, export, facts=facts, notes=notes)
    return train_detector(plan, data, config, out, resume, progress)


def _notes(found: DetectionData, source: ModelSource) -> list[str]:
    if found.source.holds != "pixels" or source.masks:
        return []
    return ["the data has masks, and the model learns their boxes alone; one such as yolo11s-seg.pt learns masks"]


def export(run: Run) -> Exportable:
    """As `finetune.detection.export.detector_graph`.

    Raises:
        ToolkitError: the run is at fault.
    """
    from finetune.detection.export import detector_graph

    return detector_graph(run, read_config(run, YoloConfig), run.facts(DetectorFacts).classes, _model)


def _model(checkpoint: Path) -> Any:
    from ultralytics.nn.tasks import load_checkpoint

    return load_checkpoint(str(checkpoint))[0]


LEARNER = Learner(
    YoloConfig,
    train,
    evaluate,
    predict,
    load_predictor,
    open_as_told,
    MAP50,
    Scoring(_DETECTORS.known_scores, LOWEST_SCORE, 1),
    export,
)
