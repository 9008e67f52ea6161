"""Boxes and points to masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.lazy import offer

if TYPE_CHECKING:
    from finetune.sam.config import SamConfig
    from finetune.sam.learner import LEARNER, evaluate, load_segmenter, predict, train
    from finetune.sam.module import SamModule
    from finetune.sam.predictor import Segmenter, mask_ap

__all__ = [
    "LEARNER",
    "SamConfig",
    "SamModule",
    "Segmenter",
    "evaluate",
    "load_segmenter",
    "mask_ap",
    "predict",
    "train",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "config": ("SamConfig",),
        "learner": ("LEARNER", "evaluate", "load_segmenter", "predict", "train"),
        "module": ("SamModule",),
        "predictor": ("Segmenter", "mask_ap"),
    },
)
