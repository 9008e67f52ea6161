"""A threshold for a finished run: given, or chosen to keep a word by images that were neither trained nor tested on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from finetune.engine.facts import Facts
from finetune.engine.learner import Scoring
from finetune.engine.remarks.seen import read_seen
from finetune.engine.runs import Run
from finetune.learners import find_learner
from finetune.metrics.promises import (
    PROMISES,
    Promise,
    PromisedThreshold,
    parse_rate,
    promise_escape,
    promise_false_reject,
)
from toolkit.errors import ToolkitError
from toolkit.geometry.tiles import image_of_tile

__all__ = ["Wanted", "choose_threshold", "with_threshold"]

_MORE = "train with more of them in val, or held out"
_WHOSE = "that were not trained on"


@dataclass(frozen=True)
class Wanted:
    """What threshold a run shall have; at most one of the three is given.

    Attributes:
        threshold: this one.
        max_false_reject: one that rejects at most this share of good images, a rate or a text such as "5 %".
        max_escape: one that lets at most this share of defective images pass.
        promise: of such a share: "expected" (None) keeps it on average, "sure" with 95 % confidence.
    """

    threshold: float | None = None
    max_false_reject: float | str | None = None
    max_escape: float | str | None = None
    promise: str | None = None

    @property
    def rate(self) -> bool:
        """Whether a share is asked for."""
        return self.max_false_reject is not None or self.max_escape is not None


def with_threshold(run: Run, threshold: float | None) -> Run:
    """A run that uses this threshold instead of its own.

    Args:
        run: of a learner whose images have a score.
        threshold: images that score higher are rejected; of a classifier those whose probability of "good" is lower.

    Raises:
        ToolkitError: the run is of another learner, or it is no such number.
    """
    if threshold is None:
        return run
    scoring = _scoring(run, "--threshold")
    if not scoring.lowest <= threshold <= scoring.highest or not math.isfinite(threshold):
        bounded = math.isfinite(scoring.highest)
        wanted = f"a probability from {scoring.lowest:g} to {scoring.highest:g}" if bounded else "a finite number"
        raise ToolkitError("--threshold", f"{threshold:g} is not {wanted}", "correct it")
    return replace(run, threshold=threshold)


def choose_threshold(run: Run, wanted: Wanted, data: Path | None) -> tuple[Run, dict[str, float | int]]:
    """A run with the threshold that is asked for, and what that promises.

    Args:
        run: a finished run.
        wanted: what is asked for.
        data: what it will be tested on; None for the data that it was trained on.

    Raises:
        ToolkitError: more than one thing is asked for, a rate is none, the run has no images to choose by or too few,
            or they are those that it would be tested on.
    """
    asked = {
        "--threshold": wanted.threshold,
        "--max-false-reject": wanted.max_false_reject,
        "--max-escape": wanted.max_escape,
    }
    given = [flag for flag, value in asked.items() if value is not None]
    if len(given) > 1:
        raise ToolkitError(given[1], f"does not go with {given[0]}", "give one of them")
    if wanted.promise is not None and not wanted.rate:
        problem = "says how a rate is kept, and none is asked for"
        raise ToolkitError("--promise", problem, "give --max-false-reject RATE or --max-escape RATE with it")
    if not wanted.rate:
        return with_threshold(run, wanted.threshold), {}
    flag = given[0]
    rate, promise, scoring = _rate(flag, asked[flag]), _promise(wanted.promise or "expected"), _scoring(run, flag)
    _check_not_tested(run, flag, data)
    _check_seen_whole(run, flag)
    known = scoring.known(run)
    if flag == "--max-false-reject":
        told = promise_false_reject(known.good, rate, promise, asked=flag, whose=f"good image(s) {_WHOSE}", more=_MORE)
        return with_threshold(run, _within(told, scoring, flag)), _figures(told, "false_reject")
    told = promise_escape(known.defective, rate, promise, asked=flag, whose=f"defective image(s) {_WHOSE}", more=_MORE)
    return with_threshold(run, _within(told, scoring, flag)), _figures(told, "escape")


def _within(told: PromisedThreshold, scoring: Scoring, flag: str) -> float:
    """A threshold as the learner takes it.

    Raises:
        ToolkitError: it would have to lie where the learner tells no scores apart.
    """
    value = -told.value if scoring.negated else told.value
    inside = min(max(value, scoring.lowest), scoring.highest)
    if inside != value and flag == "--max-escape":
        low = f"at least {told.rank} of {told.images} defective images"
        problem = f"no threshold keeps it: {low} score as low as any image can"
        raise ToolkitError(flag, problem, "ask for a higher share, or train on")
    return inside


def _scoring(run: Run, flag: str) -> Scoring:
    found = find_learner(run.learner).scoring
    if found is None:
        problem = f"{run.root} is a run of {run.learner}, whose images have no score"
        raise ToolkitError(flag, problem, "use it with a run of an anomaly detector, a classifier, yolo or yolo-world")
    return found


def _figures(told: PromisedThreshold, rate: str) -> dict[str, float | int]:
    return {f"expected_{rate}": told.expected, f"sure_{rate}": told.sure, "threshold_images": told.images}


def _check_not_tested(run: Run, flag: str, data: Path | None) -> None:
    facts = run.facts(Facts)
    if facts.metrics_of != "test" and (data is None or data.resolve() == Path(facts.data).resolve()):
        problem = f"{run.root} has no test images: it would be tested on those that the threshold is chosen by"
        raise ToolkitError(flag, problem, "name other data to test it on")


def _check_seen_whole(run: Run, flag: str) -> None:
    """Refuse to choose by tiles what photos of many tiles are judged by: the best score of many is higher."""
    if run.tiles is not None and any(image_of_tile(one) for one in read_seen(run) or {}):
        problem = f"{run.root} would choose by the scores of tiles, and a photo has the highest of many"
        raise ToolkitError(flag, problem, "leave it out, and give --threshold X")


def _rate(flag: str, value: object) -> float:
    try:
        return parse_rate(value)
    except ValueError as error:
        told = str(error).partition("; ")
        raise ToolkitError(f"{flag} {value}", told[0], told[2]) from error


def _promise(value: str) -> Promise:
    for known in PROMISES:
        if value == known:
            return "sure" if known == "sure" else "expected"
    raise ToolkitError(f"--promise {value}", "is no promise", "use expected or sure")
