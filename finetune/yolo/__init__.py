"""Classes to boxes, and to masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.lazy import offer

if TYPE_CHECKING:
    from finetune.yolo.config import YoloConfig
    from finetune.yolo.learner import LEARNER, evaluate, predict, train
    from finetune.yolo.predictor import load_detector

__all__ = ["LEARNER", "YoloConfig", "evaluate", "load_detector", "predict", "train"]

__getattr__, __dir__ = offer(
    __name__,
    {
        "config": ("YoloConfig",),
        "learner": ("LEARNER", "evaluate", "predict", "train"),
        "predictor": ("load_detector",),
    },
)
