"""The anomaly detector that learns from good images alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.lazy import offer

if TYPE_CHECKING:
    from finetune.vae.config import VaeConfig
    from finetune.vae.learner import LEARNER, evaluate, measure, predict, train
    from finetune.vae.module import VaeModule
    from finetune.vae.predictor import TrainedVae, load_trained, score_files, score_images

__all__ = [
    "LEARNER",
    "TrainedVae",
    "VaeConfig",
    "VaeModule",
    "evaluate",
    "load_trained",
    "measure",
    "predict",
    "score_files",
    "score_images",
    "train",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "config": ("VaeConfig",),
        "learner": ("LEARNER", "evaluate", "measure", "predict", "train"),
        "module": ("VaeModule",),
        "predictor": ("TrainedVae", "load_trained", "score_files", "score_images"),
    },
)
