"""Classifiers for long tails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.lazy import offer

if TYPE_CHECKING:
    from finetune.longtail.config import LongtailConfig
    from finetune.longtail.learner import LEARNER, evaluate, group_accuracies, predict, prepare, train, train_net
    from finetune.longtail.module import LongtailModule

__all__ = [
    "LEARNER",
    "LongtailConfig",
    "LongtailModule",
    "evaluate",
    "group_accuracies",
    "predict",
    "prepare",
    "train",
    "train_net",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "config": ("LongtailConfig",),
        "learner": ("LEARNER", "evaluate", "group_accuracies", "predict", "prepare", "train", "train_net"),
        "module": ("LongtailModule",),
    },
)
