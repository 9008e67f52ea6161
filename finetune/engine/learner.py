"""What a learner is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converters.sources import SourceLike
from finetune.engine.config import LearnerConfig
from finetune.engine.prediction import Prediction
from finetune.engine.runs import Number, Run
from finetune.engine.shares import Spread
from toolkit.aliases import Progress

__all__ = ["Learner", "training_facts"]


@dataclass(frozen=True)
class Learner:
    """What can be done with a learner.

    Attributes:
        config: model of its settings.
        train: (data, config, out, resume, progress) -> the finished run.
        evaluate: (run, data or None for the data that it was trained on) -> metrics, as in metrics.json.
        predict: (run, image files, out, spread) -> a row for each image; files it draws go to `out`.
        load: (run) -> what tells of one image file, in memory; some learners take more than the file.
    """

    config: type[LearnerConfig]
    train: Callable[[Path, Any, Path, bool, Progress | None], Run]
    evaluate: Callable[[Run, SourceLike | None], Mapping[str, Number]]
    predict: Callable[[Run, Sequence[Path], Path, Spread], Sequence[Mapping[str, Number]]]
    load: Callable[[Run], Callable[..., Prediction]]


def training_facts(
    *,
    weights: str,
    weights_sha256: str | None,
    device: str,
    best_chosen_on: str,
    metrics_of: str,
    notes: Sequence[str],
) -> dict[str, Any]:
    """What environment.json says of every training, under the same keys.

    Args:
        weights: what it began with: "none" where all was random.
        weights_sha256: hash of their file; None without one.
        device: as `finetune.engine.devices.device_name`.
        best_chosen_on: the images that the best epoch was chosen on, in words.
        metrics_of: the subset that metrics.json is of.
        notes: what a user should know.
    """
    return {
        "weights": weights,
        "weights_sha256": weights_sha256,
        "device": device,
        "best_chosen_on": best_chosen_on,
        "metrics_of": metrics_of,
        "notes": list(notes),
    }
