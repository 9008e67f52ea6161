"""Which attempt is better, and whether that is more than chance. Pure arithmetic on what each made of which image.

The sample is the images: with several seeds an image counts once, by the share of the seeds in which it was told right.
Seeds tell how much of a figure is the luck of training, but they are no new images. Right and wrong are compared by
exact tests; other figures on images that are drawn anew (`finetune.experiments.resampling`).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from finetune.experiments.attempts import Outcome
from finetune.experiments.attempts_file import Attempt
from finetune.experiments.resampling import Resampled, resample
from finetune.metrics.evidence import RightOrWrong
from finetune.metrics.significance import expected_best, holm_adjusted, sign_flip_test, wilson_interval

__all__ = ["SIGNIFICANT", "Analysis", "AttemptAnalysis", "Effect", "Score", "analyse_attempts"]

SIGNIFICANT = 0.05
"""Chance, after correction for the number of comparisons, below which a difference counts as one."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """How well an attempt did.

    Attributes:
        value: the figure, mean over images and seeds, in [0, 1].
        low, high: its 95 % interval (of accuracy Wilson's, else by resampling; on the images).
        images: that were tested.
        seeds: repetitions of each image's test.
        spread: standard deviation over the seeds; 0 with one.
        difference: to the baseline.
        p: that the two are alike (of accuracy exact; with one seed it is McNemar's test); None for the baseline.
        p_adjusted: the same, adjusted for all comparisons with the baseline (Holm).
    """

    value: float
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
        difference: of the figure, with its 95 % interval `low` to `high`; None where other settings changed along
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
        figure: what they are compared by, as in metrics.json.
        title: the same in words.
    """

    attempts: tuple[AttemptAnalysis, ...]
    effects: tuple[Effect, ...]
    best: str
    luck: float
    conclusion: str
    figure: str = "accuracy"
    title: str = "accuracy"

    @property
    def exact(self) -> bool:
        """Whether the figure is a share of images told right, which is compared by exact tests."""
        return self.figure == "accuracy"


def analyse_attempts(
    attempts: Sequence[Attempt], outcomes: Sequence[Outcome], figure: str = "accuracy", title: str = "accuracy"
) -> Analysis:
    """Compare attempts with the first one.

    Args:
        attempts: the baseline first.
        outcomes: of their runs, on the fixed split and on folds.
        figure: what they are compared by, as in metrics.json.
        title: the same in words.

    Raises:
        ToolkitError: they were tested on different images.
    """
    names = [attempt.name for attempt in attempts]
    fixed = _judged([one for one in outcomes if one.planned.fold is None], names)
    on_folds = [one for one in outcomes if one.planned.fold is not None]
    folds = _judged(on_folds, names) if on_folds else None
    told = []
    for place, attempt in enumerate(attempts):
        own = [one for one in outcomes if one.planned.attempt == attempt.name]
        seconds = statistics.median(one.seconds for one in own)
        epochs = next(one.epochs for one in own if one.planned.fold is None)
        scores = fixed.scores[place], folds.scores[place] if folds is not None else None
        told.append(AttemptAnalysis(attempt.name, attempt.changes, epochs, seconds, *scores))
    main = folds or fixed
    best = max(told, key=lambda one: one.main.value)
    luck = main.expected_best()
    effects = tuple(_effects(attempts, main))
    conclusion = _conclusion(told, best, luck, title)
    return Analysis(tuple(told), effects, best.name, luck, conclusion, figure, title)


@dataclass(frozen=True, eq=False)
class _Judged:
    """Scores of the attempts, and what their differences are made of: rates of images, or draws of images."""

    scores: list[Score]
    of: _Rates | Resampled

    def expected_best(self) -> float:
        if isinstance(self.of, Resampled):
            return self.of.expected_best()
        mean = statistics.mean(one.value for one in self.scores)
        return expected_best(mean, self.scores[0].images, len(self.scores))

    def combined(self, factors: Floats) -> tuple[float, float, float]:
        """A sum of the attempts' figures, each times a factor, with its 95 % interval."""
        if isinstance(self.of, Resampled):
            return float(factors @ self.of.values), *self.of.interval(factors @ self.of.draws)
        each = factors @ (self.of.right / self.of.seeds)  # what the images say one by one
        half = _half_width(each)
        return float(each.mean()), float(each.mean()) - half, float(each.mean()) + half


def _judged(outcomes: Sequence[Outcome], names: Sequence[str]) -> _Judged:
    if all(isinstance(one.evidence, RightOrWrong) for one in outcomes):
        rates = _rates(outcomes, names)
        return _Judged(_scores(rates), rates)
    drawn = resample(outcomes, names)
    p_values = [drawn.p(place) for place in range(1, len(names))]
    adjusted = holm_adjusted(p_values)
    scores = []
    for place, value in enumerate(drawn.values.tolist()):
        seeds = drawn.by_seed.shape[1]
        spread = float(drawn.by_seed[place].std(ddof=1)) if seeds > 1 else 0.0
        p, p_adjusted = (p_values[place - 1], adjusted[place - 1]) if place else (None, None)
        low, high = drawn.interval(drawn.draws[place])
        difference = value - float(drawn.values[0])
        scores.append(Score(value, low, high, drawn.images, seeds, spread, difference, p, p_adjusted))
    return _Judged(scores, drawn)


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
    told = [one.evidence.right if isinstance(one.evidence, RightOrWrong) else {} for one in outcomes]
    keys = sorted({key for right in told for key in right})
    table = np.zeros((len(names), len(seeds), len(keys)), np.int64)
    place = {key: index for index, key in enumerate(keys)}
    for one, images in zip(outcomes, told, strict=True):
        row = table[names.index(one.planned.attempt), seeds.index(one.planned.seed or 0)]
        for key, right in images.items():
            row[place[key]] = right
    return _Rates(table.sum(axis=1), table.mean(axis=2), len(seeds))


def _scores(rates: _Rates) -> list[Score]:
    images = rates.right.shape[1]
    base = rates.right[0]
    p_values = [sign_flip_test(row - base) for row in rates.right[1:]]
    adjusted = holm_adjusted(p_values)
    scores = []
    for index, row in enumerate(rates.right):
        value = float(row.mean() / rates.seeds)
        low, high = wilson_interval(value * images, images)
        spread = float(rates.by_seed[index].std(ddof=1)) if rates.seeds > 1 else 0.0
        difference = float((row - base).mean() / rates.seeds)
        p, p_adjusted = (p_values[index - 1], adjusted[index - 1]) if index else (None, None)
        scores.append(Score(value, low, high, images, rates.seeds, spread, difference, p, p_adjusted))
    return scores


def _effects(attempts: Sequence[Attempt], judged: _Judged) -> list[Effect]:
    """Main effects: figure = baseline + sum of the effects of the levels that differ from the baseline's."""
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
    values = {_key(one.changes[factor]): one.changes[factor] for one in attempts for factor in base}
    effects = []
    for index, (factor, level) in enumerate(columns, 1):
        found, low, high = judged.combined(solved[index])
        told = (found, low, high) if told_apart[index] else (None, math.nan, math.nan)
        effects.append(Effect(factor, values[level], base[factor], *told))
    return effects


def _key(value: object) -> str:
    return repr(value)


def _half_width(values: Floats) -> float:
    """Half of the 95 % interval of a mean (Student's t)."""
    if len(values) < 2:
        return math.inf
    return float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))


def _conclusion(judged: Sequence[AttemptAnalysis], best: AttemptAnalysis, luck: float, title: str) -> str:
    baseline, images = judged[0], best.main.images
    if len(judged) == 1:
        return f"There is only the baseline: {title} {_percent(baseline.main.value)} on {images} images."
    told = [_best_told(baseline, best, images, title)]
    others = [one for one in judged if one is not best and one.main.verdict in ("better", "worse")]
    if others:
        named = ", ".join(f"{one.name} ({one.main.verdict})" for one in others)
        told.append(f"Distinguishable from the baseline: {named}.")
    elif best is baseline:
        told.append("The others are not distinguishable from it.")
    told.append(
        f"Were all {len(judged)} attempts equally good and independent, the best of them would show {_percent(luck)} "
        f"on average; it shows {_percent(best.main.value)}."
    )
    return " ".join(told)


def _best_told(baseline: AttemptAnalysis, best: AttemptAnalysis, images: int, title: str) -> str:
    if best is baseline:
        return f"No attempt does better than {baseline.name}."
    p = best.main.p_adjusted or 0.0
    test = f"paired test, p = {_p(p)} after Holm's correction"
    told = f"{best.name} shows the highest {title}, {100 * best.main.difference:+.1f} points against {baseline.name}"
    if best.main.verdict == "better":
        return f"{told}; that is more than chance ({test})."
    return f"{told}, but the two are not distinguishable on {images} images ({test})."


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f} %"


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 0.001 else "below 0.001"
