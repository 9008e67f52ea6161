"""ultralytics' trainers of plain models, in a run directory."""

from __future__ import annotations

from finetune.detection.runtime import load_ultralytics
from finetune.detection.trainer import RunTrainer

load_ultralytics()  # which has to go before the first import of ultralytics

from ultralytics.models.yolo.detect import DetectionTrainer  # noqa: E402
from ultralytics.models.yolo.segment import SegmentationTrainer  # noqa: E402

__all__ = ["plain_trainer"]


class BoxTrainer(RunTrainer, DetectionTrainer):
    """The stock trainer of boxes."""


class MaskTrainer(RunTrainer, SegmentationTrainer):
    """The stock trainer of boxes and masks."""


def plain_trainer(*, masks: bool) -> type[RunTrainer]:
    """The class of a trainer, of boxes and masks or of boxes alone."""
    return MaskTrainer if masks else BoxTrainer
