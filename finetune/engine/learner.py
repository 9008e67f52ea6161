"""What a learner is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.engine.config import LearnerConfig
from finetune.engine.runs import Run

__all__ = ["Learner", "Progress"]


Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Learner:
    """What can be done with a learner.

    Attributes:
        config: model of its settings.
        train: (data, config, out, resume, progress) -> the finished run.
        evaluate: (run, data or None for the data that it was trained on) -> metrics, as in metrics.json.
        predict: (run, image files, out) -> a row for each image; files it draws go to `out`.
    """

    config: type[LearnerConfig]
    train: Callable[[Path, Any, Path, bool, Progress | None], Run]
    evaluate: Callable[[Run, Path | None], Mapping[str, Any]]
    predict: Callable[[Run, Sequence[Path], Path], Sequence[Mapping[str, Any]]]
