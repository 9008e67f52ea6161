"""The learners by name. Each lives in a file of its own, which is loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from finetune.engine.config import LearnerConfig, nearest
from finetune.engine.runs import Run
from toolkit.errors import ToolkitError

__all__ = ["LEARNERS", "Learner", "find_learner"]

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


LEARNERS = {
    "classifier": "finetune.classifier.learner",
    "longtail": "finetune.longtail.learner",
    "sam": "finetune.sam.learner",
    "vae": "finetune.vae.learner",
    "yolo-world": "finetune.yolo_world.learner",
}
"""Name -> module, whose `LEARNER` is the learner."""


def find_learner(name: str) -> Learner:
    """The learner of this name.

    Raises:
        ToolkitError: there is none, or its packages are not installed.
    """
    if name not in LEARNERS:
        raise ToolkitError(name, "is no learner", nearest(name, list(LEARNERS)))
    try:
        found = import_module(LEARNERS[name]).LEARNER
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("finetune", "toolkit", "converters"):
            raise
        raise ToolkitError(name, f"needs the package {error.name}", "pip install 'defectkit[train]'") from error
    if not isinstance(found, Learner):
        raise TypeError(f"{LEARNERS[name]}.LEARNER is no Learner")
    return found
