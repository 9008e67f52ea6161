"""The threshold of an anomaly detector: chosen among scores of good images that it was not trained on, and said how.

Every learner of anomalies scores such images itself, held out or cross-fitted, and leaves the choice to this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from finetune.anomaly.settings import ThresholdConfig
from finetune.engine.facts import Facts
from finetune.engine.learner import KnownScores
from finetune.engine.runs import Row, Run
from finetune.metrics.promises import (
    USUAL_RATE,
    PromisedThreshold,
    images_for,
    percent,
    promise_false_reject,
    rank_for,
)
from toolkit.dataset.samples import GOOD
from toolkit.errors import ToolkitError
from toolkit.files import typed
from toolkit.files.typed import Count, Finite, Record, Share

__all__ = [
    "KnownImage",
    "ThresholdFacts",
    "check_promise",
    "choose_threshold",
    "known_scores",
    "promised_figures",
    "threshold_of",
    "write_threshold",
]

HOLD_MORE = "hold more good images out (--set hold_out=0.2), or give more of them"
"""How to come by more scores where images are held out."""

_FILE = "known_scores.csv"


@dataclass(frozen=True)
class KnownImage:
    """An image that was not trained on when it was scored.

    Attributes:
        key: its name.
        label: its class, "good" for those that the threshold is chosen among.
        score: the higher, the more defective.
    """

    key: str
    label: str
    score: float


class _Promised(Record):
    images: Count
    rank: Count
    scores: str
    expected_false_reject: Share
    sure_false_reject: Share


class ThresholdFacts(Facts):
    """What environment.json says of a threshold.

    Attributes:
        threshold: scores above it are anomalies.
        threshold_promise: what it promises; None in runs of version 0.1.0, whose threshold was a percentile.
    """

    threshold: Finite
    threshold_promise: _Promised | None = None


class _KnownRow(typed.Row):
    label: str
    score: Finite


def check_promise(images: int, config: ThresholdConfig, more: str = HOLD_MORE) -> None:
    """Refuse what so many good images cannot promise, before anything is trained.

    Args:
        images: good images whose scores the threshold will be chosen among.
        config: what is asked for.
        more: how to come by more of them.

    Raises:
        ToolkitError: they cannot keep it.
    """
    _promised([0.0] * images, config, "good image(s) that are not trained on", more)


def choose_threshold(scores: Sequence[float], config: ThresholdConfig, more: str = HOLD_MORE) -> PromisedThreshold:
    """The threshold that keeps what is asked for.

    Args:
        scores: of good images that were not trained on when they were scored.
        config: what is asked for.
        more: how to come by more of them.

    Raises:
        ToolkitError: they cannot keep it, or a score is not finite.
    """
    return _promised(scores, config, "good image(s) that are not trained on", more)


def write_threshold(
    run: Run,
    chosen: PromisedThreshold,
    known: Iterable[KnownImage],
    config: ThresholdConfig,
    how: Literal["held out", "cross-fitted"] = "held out",
) -> None:
    """Leave threshold, promise and scores in a run: environment.json, and a row for each image in known_scores.csv.

    Args:
        run: where.
        chosen: as `choose_threshold`.
        known: the images that it was chosen among, and defective ones that were not trained on, if there are any.
        config: what was asked for.
        how: "held out" from training, or "cross-fitted": each scored by a model of the others.
    """
    rows: list[Row] = [{"key": one.key, "label": one.label, "score": one.score} for one in known]
    run.write_predictions(rows, name=_FILE)
    promised = {
        "images": chosen.images,
        "rank": chosen.rank,
        "scores": how,
        "asked": None if config.max_false_reject == "auto" else config.max_false_reject,
        "promise": config.promise,
        "expected_false_reject": chosen.expected,
        "sure_false_reject": chosen.sure,
    }
    notes = dict.fromkeys([*run.environment().get("notes", []), _told(chosen, config, how)])
    run.note(threshold=chosen.value, threshold_promise=promised, notes=list(notes))


def threshold_of(run: Run) -> float:
    """The threshold that a run is asked to use, or else its own.

    Raises:
        ToolkitError: it did not go to its end, or its files are damaged.
    """
    if run.threshold is not None:
        return run.threshold
    if "threshold" not in run.environment():
        raise ToolkitError(run.root, "has no threshold: it did not go to its end", "train it with --resume")
    return run.facts(ThresholdFacts).threshold


def promised_figures(run: Run) -> dict[str, float | int]:
    """What its own threshold promises, for metrics.json; nothing for another one, or where a run does not know."""
    promised = run.facts(ThresholdFacts).threshold_promise
    if promised is None or run.threshold is not None:
        return {}
    return {
        "expected_false_reject": promised.expected_false_reject,
        "sure_false_reject": promised.sure_false_reject,
        "threshold_images": promised.images,
    }


def known_scores(run: Run) -> KnownScores:
    """The scores that were kept of images that were not trained on.

    Raises:
        ToolkitError: there are none, in a run of version 0.1.0, or the file is damaged.
    """
    file = run.root / _FILE
    threshold_of(run)  # which says whether the run went to its end
    if not file.is_file():
        remedy = "train again, or choose one yourself (--threshold X)"
        raise ToolkitError(run.root, f"has no {_FILE}, which a threshold is chosen by", remedy)
    rows = list(typed.read_rows(file, _KnownRow, "train again"))
    return KnownScores(
        good=[row.score for row in rows if row.label == GOOD],
        defective=[row.score for row in rows if row.label != GOOD],
    )


def _promised(scores: Sequence[float], config: ThresholdConfig, whose: str, more: str) -> PromisedThreshold:
    rate = None if config.max_false_reject == "auto" else config.max_false_reject
    return promise_false_reject(scores, rate, config.promise, whose=whose, more=more)


def _told(chosen: PromisedThreshold, config: ThresholdConfig, how: str) -> str:
    place = "the highest score" if chosen.rank == 1 else f"score {chosen.rank} from the top"
    told = (
        f"threshold: {place} of {chosen.images} good images ({how}); of good parts to come it rejects "
        f"{percent(chosen.expected)} on average (expected), and with 95 % confidence no more than "
        f"{percent(chosen.sure)} (sure)"
    )
    short = config.max_false_reject == "auto" and not rank_for(chosen.images, USUAL_RATE, config.promise)
    needed = images_for(USUAL_RATE, config.promise)
    return f"{told}; {percent(USUAL_RATE)} {config.promise} takes {needed} good images" if short else told
