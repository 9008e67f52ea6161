"""Which attempt is better, and whether that is more than chance. Pure arithmetic on who told which image right.

The sample is the images: with several seeds an image counts once, by the share of the seeds in which it was told right.
Seeds tell how much of a figure is the luck of training, but they are no new images.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from finetune.experiments.attempts import Attempt, Outcome
from finetune.metrics.significance import expected_best, holm_adjusted, sign_flip_test, wilson_interval

__all__ = ["SIGNIFICANT", "Analysis", "AttemptAnalysis", "Effect", "Score", "analyse_attempts"]

SIGNIFICANT = 0.05
"""Chance, after correction for the number of comparisons, below which a difference counts as one."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """How well an attempt did.

    Attributes:
        accuracy: mean over images and seeds, in [0, 1].
        low, high: its 95 % interval (Wilson, on the images).
        images: that were tested.
        seeds: repetitions of each image's test.
        spread: standard deviation over the seeds; 0 with one.
        difference: to the baseline.
        p: that the two are alike (exact; with one seed it is McNemar's test); None for the baseline.
        p_adjusted: the same, adjusted for all comparisons with the baseline (Holm).
    """

    accuracy: float
    low: float
    high: float
    images: int
    seeds: int
    spread: float
    difference: float = 0.0
    p: float | None = None
    p_adjusted: float | None = None

    @property
    def verdict(self) -> str:
        """Against the baseline."""
        if self.p_adjusted is None:
            return "baseline"
        if self.p_adjusted >= SIGNIFICANT:
            return "not distinguishable"
        return "better" if self.difference > 0 else "worse"


@dataclass(frozen=True)
class AttemptAnalysis:
    """An attempt with its figures.

    Attributes:
        name: of the attempt.
        changes: settings in which attempts differ.
        epochs: trained in the run on the fixed split.
        seconds: median of its runs' training times.
        fixed: on the fixed split.
        folds: on the folds; None without any.
    """

    name: str
    changes: Mapping[str, object]
    epochs: int
    seconds: float
    fixed: Score
    folds: Score | None

    @property
    def main(self) -> Score:
        """The figure to judge by."""
        return self.folds or self.fixed


@dataclass(frozen=True)
class Effect:
    """What a setting does, the others held: least squares over the attempts, without interactions.

    Attributes:
        factor: the setting.
        level: its value.
        base: the baseline's value.
        difference: of the accuracy, with its 95 % interval `low` to `high`; None where other settings changed along
            with it, so that it cannot be told.
    """

    factor: str
    level: object
    base: object
    difference: float | None
    low: float
    high: float


@dataclass(frozen=True)
class Analysis:
    """All attempts, judged.

    Attributes:
        attempts: the baseline first.
        effects: of each level of each setting.
        best: name of the attempt of the highest main figure.
        luck: what the best would show on average, were all attempts alike at their mean and independent.
        conclusion: in a sentence or two.
    """

    attempts: tuple[AttemptAnalysis, ...]
    effects: tuple[Effect, ...]
    best: str
    luck: float
    conclusion: str


def analyse_attempts(attempts: Sequence[Attempt], outcomes: Sequence[Outcome]) -> Analysis:
    """Compare attempts with the first one.

    Args:
        attempts: the baseline first.
        outcomes: of their runs, on the fixed split and on folds.
    """
    names = [attempt.name for attempt in attempts]
    fixed = _scores(_rates([one for one in outcomes if one.planned.fold is None], names))
    on_folds = [one for one in outcomes if one.planned.fold is not None]
    folds = _scores(_rates(on_folds, names)) if on_folds else [None] * len(names)
    judged = []
    for attempt, of_fixed, of_folds in zip(attempts, fixed, folds, strict=True):
        own = [one for one in outcomes if one.planned.attempt == attempt.name]
        seconds = statistics.median(one.seconds for one in own)
        epochs = next(one.epochs for one in own if one.planned.fold is None)
        judged.append(AttemptAnalysis(attempt.name, attempt.changes, epochs, seconds, of_fixed, of_folds))
    effects = _effects(attempts, _rates(on_folds or outcomes, names))
    best = max(judged, key=lambda one: one.main.accuracy)
    mean = statistics.mean(one.main.accuracy for one in judged)
    luck = expected_best(mean, best.main.images, len(judged))
    return Analysis(tuple(judged), tuple(effects), best.name, luck, _conclusion(judged, best, luck))


@dataclass(frozen=True, eq=False)
class _Rates:
    """Who told which image right.

    Attributes:
        right: int64 (attempts, images), in how many of the seeds.
        by_seed: (attempts, seeds), accuracy.
        seeds: their number.
    """

    right: npt.NDArray[np.int64]
    by_seed: Floats
    seeds: int


def _rates(outcomes: Sequence[Outcome], names: Sequence[str]) -> _Rates:
    seeds = sorted({one.planned.seed or 0 for one in outcomes})
    keys = sorted({key for one in outcomes for key in one.correct})
    table = np.zeros((len(names), len(seeds), len(keys)), np.int64)
    place = {key: index for index, key in enumerate(keys)}
    for one in outcomes:
        row = table[names.index(one.planned.attempt), seeds.index(one.planned.seed or 0)]
        for key, right in one.correct.items():
            row[place[key]] = right
    return _Rates(table.sum(axis=1), table.mean(axis=2), len(seeds))


def _scores(rates: _Rates) -> list[Score]:
    images = rates.right.shape[1]
    base = rates.right[0]
    p_values = [sign_flip_test(row - base) for row in rates.right[1:]]
    adjusted = holm_adjusted(p_values)
    scores = []
    for index, row in enumerate(rates.right):
        accuracy = float(row.mean() / rates.seeds)
        low, high = wilson_interval(accuracy * images, images)
        spread = float(rates.by_seed[index].std(ddof=1)) if rates.seeds > 1 else 0.0
        difference = float((row - base).mean() / rates.seeds)
        p, p_adjusted = (p_values[index - 1], adjusted[index - 1]) if index else (None, None)
        scores.append(Score(accuracy, low, high, images, rates.seeds, spread, difference, p, p_adjusted))
    return scores


def _effects(attempts: Sequence[Attempt], rates: _Rates) -> list[Effect]:
    """Main effects: accuracy = baseline + sum of the effects of the levels that differ from the baseline's."""
    base = attempts[0].changes
    columns = [
        (factor, level)
        for factor in base
        for level in dict.fromkeys(_key(one.changes[factor]) for one in attempts)
        if level != _key(base[factor])
    ]
    if not columns:
        return []
    design = np.array(
        [[1.0, *(float(_key(one.changes[factor]) == level) for factor, level in columns)] for one in attempts]
    )
    solved = np.linalg.pinv(design)
    told_apart = np.isclose(solved @ design, np.eye(len(columns) + 1), atol=1e-8).all(axis=1)
    correct = rates.right / rates.seeds
    values = {_key(one.changes[factor]): one.changes[factor] for one in attempts for factor in base}
    effects = []
    for index, (factor, level) in enumerate(columns, 1):
        each = solved[index] @ correct  # what the images say one by one
        half = _half_width(each)
        found = float(each.mean()) if told_apart[index] else None
        low, high = (
            (float(each.mean()) - half, float(each.mean()) + half) if found is not None else (math.nan, math.nan)
        )
        effects.append(Effect(factor, values[level], base[factor], found, low, high))
    return effects


def _key(value: object) -> str:
    return repr(value)


def _half_width(values: Floats) -> float:
    """Half of the 95 % interval of a mean (Student's t)."""
    if len(values) < 2:
        return math.inf
    return float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))


def _conclusion(judged: Sequence[AttemptAnalysis], best: AttemptAnalysis, luck: float) -> str:
    baseline, images = judged[0], best.main.images
    if len(judged) == 1:
        return f"There is only the baseline: {_percent(baseline.main.accuracy)} of {images} images."
    told = [_best_told(baseline, best, images)]
    others = [one for one in judged if one is not best and one.main.verdict in ("better", "worse")]
    if others:
        named = ", ".join(f"{one.name} ({one.main.verdict})" for one in others)
        told.append(f"Distinguishable from the baseline: {named}.")
    elif best is baseline:
        told.append("The others are not distinguishable from it.")
    told.append(
        f"Were all {len(judged)} attempts equally good and independent, the best of them would show {_percent(luck)} "
        f"on average; it shows {_percent(best.main.accuracy)}."
    )
    return " ".join(told)


def _best_told(baseline: AttemptAnalysis, best: AttemptAnalysis, images: int) -> str:
    if best is baseline:
        return f"No attempt does better than {baseline.name}."
    p = best.main.p_adjusted or 0.0
    test = f"paired test, p = {_p(p)} after Holm's correction"
    told = f"{best.name} shows the highest accuracy, {100 * best.main.difference:+.1f} points against {baseline.name}"
    if best.main.verdict == "better":
        return f"{told}; that is more than chance ({test})."
    return f"{told}, but the two are not distinguishable on {images} images ({test})."


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f} %"


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 0.001 else "below 0.001"
