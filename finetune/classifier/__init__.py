"""The baseline classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.lazy import offer

if TYPE_CHECKING:
    from finetune.classifier.config import ClassifierConfig
    from finetune.classifier.learner import LEARNER, evaluate, predict, train
    from finetune.classifier.module import ClassifierModule

__all__ = [
    "LEARNER",
    "ClassifierConfig",
    "ClassifierModule",
    "evaluate",
    "predict",
    "train",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "config": ("ClassifierConfig",),
        "learner": ("LEARNER", "evaluate", "predict", "train"),
        "module": ("ClassifierModule",),
    },
)
