"""What a learner is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from converters.sources import SourceLike
from finetune.engine.config import LearnerConfig
from finetune.engine.prediction import Prediction
from finetune.engine.runs import Number, Run
from finetune.engine.shares import Spread
from finetune.engine.splits import ImageRecords
from toolkit.aliases import Progress
from toolkit.errors import ToolkitError

if TYPE_CHECKING:
    from finetune.engine.outputs.exports import Exportable
    from finetune.engine.outputs.predictions import PredictedRows

__all__ = ["Evidence", "Figure", "KnownScores", "Learner", "Scoring", "check_patience", "training_facts"]

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


@dataclass(frozen=True, eq=False)
class KnownScores:
    """Scores of images that a run was not trained on and is not tested on: what a threshold may be chosen by.

    Attributes:
        good, defective: the higher, the more defective.
    """

    good: Sequence[float]
    defective: Sequence[float]


@dataclass(frozen=True)
class Scoring:
    """How a learner scores whole images, so that a threshold tells good ones from others.

    Attributes:
        known: (run) -> scores to choose a threshold by.
        lowest, highest: what a threshold may be.
        negated: whether a threshold is the negative of such a score, as of a probability of "good".
    """

    known: Callable[[Run], KnownScores]
    lowest: float = -math.inf
    highest: float = math.inf
    negated: bool = False


class Predict(Protocol):
    """How image files are predicted."""

    def __call__(
        self, run: Run, images: Sequence[Path], out: Path, spread: Spread, *, pictures: bool = True
    ) -> PredictedRows:
        """Rows of images, in their order; what is made of them goes to `out`, with pictures or without."""


@dataclass(frozen=True)
class Learner:
    """What can be done with a learner.

    Attributes:
        config: model of its settings.
        train: (data, config, out, resume, progress) -> the finished run.
        evaluate: (run, data or None for the data that it was trained on) -> metrics, as in metrics.json.
        predict: as `keep_predictions` leaves the images of a run.
        load: (run) -> what tells of one image file, in memory; some learners take more than the file.
        open: (data, config) -> its images, split as the training does it.
        figure: what its runs are compared by.
        scoring: of whole images; None where they have no score. With it a learner heeds `Run.threshold` in `evaluate`,
            `predict` and `load`.
        export: (run) -> its model as graphs that run without this program; None where it has none.
    """

    config: type[LearnerConfig]
    train: Callable[[Path, Any, Path, bool, Progress | None], Run]
    evaluate: Callable[[Run, SourceLike | None], Mapping[str, Number]]
    predict: Predict
    load: Callable[[Run], Callable[..., Prediction]]
    open: Callable[[Path, Any], ImageRecords] | None = None
    figure: Figure | None = None
    scoring: Scoring | None = None
    export: Callable[[Run], Exportable] | None = None


def training_facts(
    *,
    weights: str,
    weights_sha256: str | None,
    device: str,
    best_chosen_on: str,
    metrics_of: str,
    notes: Sequence[str],
    weights_source: str | None = None,
    weights_licence: str | None = None,
) -> dict[str, Any]:
    """What environment.json says of every training, under the same keys.

    Args:
        weights: what it began with: "none" where all was random.
        weights_sha256: hash of their file; None without one.
        device: as `finetune.engine.devices.device_name`.
        best_chosen_on: the images that the best epoch was chosen on, in words.
        metrics_of: the subset that metrics.json is of.
        notes: what a user should know.
        weights_source: package, address or file that they came from; None without, or where the learner does not say.
        weights_licence: that they are given under; None without, or where their source does not say.
    """
    return {
        "weights": weights,
        "weights_sha256": weights_sha256,
        "weights_source": weights_source,
        "weights_licence": weights_licence,
        "device": device,
        "best_chosen_on": best_chosen_on,
        "metrics_of": metrics_of,
        "notes": list(notes),
    }


def check_patience(config: LearnerConfig, val: Sized | None) -> None:
    """Refuse to wait for a better figure on validation images where there are none: training would never end early.

    Args:
        config: of a learner; `hold_out` is named where it has one.
        val: what the best epoch is chosen on.

    Raises:
        ToolkitError: there is patience, and nothing to choose on.
    """
    patience = getattr(config, "patience", 0)
    if patience and not val:
        ways = ["--set hold_out=0.2"] if "hold_out" in type(config).model_fields else []
        ways += ["a split with a val subset", "--set patience=0"]
        problem = "there are no validation images whose figure could stop getting better"
        raise ToolkitError(f"patience {patience}", problem, "use " + ", or ".join(ways))
