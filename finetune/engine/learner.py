"""What a learner is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from finetune.engine.config import LearnerConfig
from finetune.engine.prediction import Prediction
from finetune.engine.runs import Run, run_lock

__all__ = ["Learner", "Progress"]


Progress = Callable[[int, int], None]
Train = Callable[[Path, Any, Path, bool, Progress | None], Run]


@dataclass(frozen=True)
class Learner:
    """What can be done with a learner.

    Attributes:
        config: model of its settings.
        train: (data, config, out, resume, progress) -> the finished run; it turns away another that writes `out`.
        evaluate: (run, data or None for the data that it was trained on) -> metrics, as in metrics.json.
        predict: (run, image files, out) -> a row for each image; files it draws go to `out`.
        load: (run) -> what tells of one image file, in memory; some learners take more than the file.
    """

    config: type[LearnerConfig]
    train: Train
    evaluate: Callable[[Run, Path | None], Mapping[str, Any]]
    predict: Callable[[Run, Sequence[Path], Path], Sequence[Mapping[str, Any]]]
    load: Callable[[Run], Callable[..., Prediction]]

    def __post_init__(self) -> None:
        # Here once for all learners, since a run is written from the first setting to the last plot.
        object.__setattr__(self, "train", _locked(self.train))


def _locked(train: Train) -> Train:
    """A training that holds its run directory."""

    @wraps(train)
    def alone(data: Path, config: Any, out: Path, resume: bool = False, progress: Progress | None = None) -> Run:
        with run_lock(out):
            return train(data, config, out, resume, progress)

    return alone
