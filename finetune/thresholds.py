"""A threshold for a finished run: given, or chosen to keep a word by images that were neither trained nor tested on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from finetune.engine.facts import Facts
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

__all__ = ["Wanted", "choose_threshold", "with_threshold"]

_MORE = "train with more of them in val, or held out"
_PROBABILITY = ("classifier", "longtail", "yolo-world")
"""Learners whose scores are in [0, 1]."""


@dataclass(frozen=True)
class Wanted:
    """What threshold a run shall have; at most one of the three is given.

    Attributes:
        threshold: this one.
        max_false_reject: one that rejects at most this share of good images, a rate or a text such as "5 %".
        max_escape: one that lets at most this share of defective images pass.
        promise: "expected" keeps a share on average, "sure" with 95 % confidence.
    """

    threshold: float | None = None
    max_false_reject: float | str | None = None
    max_escape: float | str | None = None
    promise: str = "expected"

    @property
    def rate(self) -> bool:
        """Whether a share is asked for."""
        return self.max_false_reject is not None or self.max_escape is not None


def with_threshold(run: Run, threshold: float | None) -> Run:
    """A run that uses this threshold instead of its own.

    Args:
        run: whose images have a score: of vae, classifier, longtail or yolo-world.
        threshold: images that score higher are rejected; of a classifier those whose probability of "good" is lower.

    Raises:
        ToolkitError: the run is of another learner, or it is no such number.
    """
    if threshold is None:
        return run
    if find_learner(run.learner).known_scores is None:
        problem = f"{run.root} is a run of {run.learner}, whose images have no score"
        raise ToolkitError("--threshold", problem, "use it with a run of vae, classifier, longtail or yolo-world")
    highest = 1.0 if run.learner in _PROBABILITY else math.inf
    if not math.isfinite(threshold) or (highest == 1 and not 0 <= threshold <= 1):
        wanted = "a probability, from 0 to 1" if highest == 1 else "a number"
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
    if not wanted.rate:
        return with_threshold(run, wanted.threshold), {}
    flag = given[0]
    rate, promise = _rate(flag, asked[flag]), _promise(wanted.promise)
    scores_of = find_learner(run.learner).known_scores
    if scores_of is None:
        problem = f"{run.root} is a run of {run.learner}, whose images have no score"
        raise ToolkitError(flag, problem, "use it with a run of vae, classifier, longtail or yolo-world")
    _check_not_tested(run, flag, data)
    known = scores_of(run)
    if flag == "--max-escape":
        told = promise_escape(
            known.defective, rate, promise, asked=flag, whose="defective images that were not trained on", more=_MORE
        )
    else:
        told = promise_false_reject(
            known.good, rate, promise, asked=flag, whose="good images that were not trained on", more=_MORE
        )
    value = -told.value if known.negated else told.value
    return with_threshold(run, value), _figures(told, "escape" if flag == "--max-escape" else "false_reject")


def _figures(told: PromisedThreshold, rate: str) -> dict[str, float | int]:
    return {f"expected_{rate}": told.expected, f"sure_{rate}": told.sure, "threshold_images": told.images}


def _check_not_tested(run: Run, flag: str, data: Path | None) -> None:
    facts = run.facts(Facts)
    if facts.metrics_of != "test" and (data is None or data.resolve() == Path(facts.data).resolve()):
        problem = f"{run.root} has no test images: it would be tested on those that the threshold is chosen by"
        raise ToolkitError(flag, problem, "name other data to test it on")


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
