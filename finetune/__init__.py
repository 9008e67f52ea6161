"""Learners: each trains on the labels that the converters write. Imports toolkit and converters.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.lazy import offer

if TYPE_CHECKING:
    from finetune.autolabelling.autolabel import AutolabelReport, autolabel
    from finetune.embedding import embed
    from finetune.engine.prediction import Prediction
    from finetune.exporting import ExportReport, export
    from finetune.inference import TrainedRun, evaluate, load_run, predict
    from finetune.suspects.ranking import SuspectReport, find_suspects
    from finetune.training import train

__all__ = [
    "AutolabelReport",
    "ExportReport",
    "Prediction",
    "SuspectReport",
    "TrainedRun",
    "autolabel",
    "embed",
    "evaluate",
    "export",
    "find_suspects",
    "load_run",
    "predict",
    "train",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "autolabelling.autolabel": ("AutolabelReport", "autolabel"),
        "embedding": ("embed",),
        "engine.prediction": ("Prediction",),
        "exporting": ("ExportReport", "export"),
        "inference": ("TrainedRun", "evaluate", "load_run", "predict"),
        "suspects.ranking": ("SuspectReport", "find_suspects"),
        "training": ("train",),
    },
)
