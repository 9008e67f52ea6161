"""Words to boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.lazy import offer

if TYPE_CHECKING:
    from finetune.yolo_world.config import YoloWorldConfig
    from finetune.yolo_world.learner import LEARNER, evaluate, export_prompts, predict, train
    from finetune.yolo_world.predictor import Detector, load_detector

__all__ = [
    "LEARNER",
    "Detector",
    "YoloWorldConfig",
    "evaluate",
    "export_prompts",
    "load_detector",
    "predict",
    "train",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "config": ("YoloWorldConfig",),
        "learner": ("LEARNER", "evaluate", "export_prompts", "predict", "train"),
        "predictor": ("Detector", "load_detector"),
    },
)
