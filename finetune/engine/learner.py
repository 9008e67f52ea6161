"""What a learner is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from converters.sources import SourceLike
from finetune.engine.config import LearnerConfig
from finetune.engine.prediction import Prediction
from finetune.engine.runs import Number, Run
from finetune.engine.shares import Spread
from finetune.engine.splits import ImageRecords
from toolkit.aliases import Progress

__all__ = ["Evidence", "Figure", "Learner", "training_facts"]


Floats = npt.NDArray[np.float64]


class Evidence(Protocol):
    """What the figure of a run is made of, image by image; `finetune.metrics.evidence` has its kinds."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The images that it is of."""

    def measured(self, weights: Floats) -> Floats:
        """The figure (R,) where the images count as often as `weights` (R, images) says; nan where there is none."""


@dataclass(frozen=True)
class Figure:
    """The figure by which runs of a learner are compared, in [0, 1], the higher, the better.

    Attributes:
        name: as in metrics.json.
        title: in words.
        read: what it is made of, out of a finished run.
        needs: what the test images must hold.
    """

    name: str
    title: str
    read: Callable[[Run], Evidence]
    needs: Literal["images", "defects", "good images and defects"] = "images"


@dataclass(frozen=True)
class Learner:
    """What can be done with a learner.

    Attributes:
        config: model of its settings.
        train: (data, config, out, resume, progress) -> the finished run.
        evaluate: (run, data or None for the data that it was trained on) -> metrics, as in metrics.json.
        predict: (run, image files, out, spread) -> a row for each image; files it draws go to `out`.
        load: (run) -> what tells of one image file, in memory; some learners take more than the file.
        open: (data, config) -> its images, split as the training does it.
        figure: what its runs are compared by.
    """

    config: type[LearnerConfig]
    train: Callable[[Path, Any, Path, bool, Progress | None], Run]
    evaluate: Callable[[Run, SourceLike | None], Mapping[str, Number]]
    predict: Callable[[Run, Sequence[Path], Path, Spread], Sequence[Mapping[str, Number]]]
    load: Callable[[Run], Callable[..., Prediction]]
    open: Callable[[Path, Any], ImageRecords] | None = None
    figure: Figure | None = None


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
