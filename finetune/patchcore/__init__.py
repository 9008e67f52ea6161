"""The anomaly detector that remembers patches of good images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.lazy import offer

if TYPE_CHECKING:
    from finetune.patchcore.config import PatchcoreConfig
    from finetune.patchcore.coreset import choose_coreset
    from finetune.patchcore.learner import LEARNER, evaluate, predict, train
    from finetune.patchcore.memory import MemoryBank
    from finetune.patchcore.models import PatchCore
    from finetune.patchcore.predictor import TrainedPatchcore, load_trained

__all__ = [
    "LEARNER",
    "MemoryBank",
    "PatchCore",
    "PatchcoreConfig",
    "TrainedPatchcore",
    "choose_coreset",
    "evaluate",
    "load_trained",
    "predict",
    "train",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "config": ("PatchcoreConfig",),
        "coreset": ("choose_coreset",),
        "learner": ("LEARNER", "evaluate", "predict", "train"),
        "memory": ("MemoryBank",),
        "models": ("PatchCore",),
        "predictor": ("TrainedPatchcore", "load_trained"),
    },
)
