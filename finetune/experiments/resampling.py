"""Figures that are no share of images told right, compared on images that are drawn anew: the paired bootstrap.

The test images are drawn with replacement, the same for all attempts, and each run's figure is measured on what was
drawn (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 13 and 16). Of several runs of an
attempt the mean is taken, so that scores of different models are never mixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finetune.engine.learner import Evidence
from finetune.experiments.attempts import Outcome
from toolkit.errors import ToolkitError

__all__ = ["Paired", "Resampled", "pair", "resample"]

Floats = npt.NDArray[np.float64]
_DRAWS = 2000
_SEED = 0xB007


@dataclass(frozen=True, eq=False)
class Resampled:
    """Figures of attempts, the baseline first.

    Attributes:
        values: (attempts,) on the images as they are.
        draws: (attempts, draws) on images drawn anew.
        by_seed: (attempts, seeds) on the images as they are.
        images: their number.
    """

    values: Floats
    draws: Floats
    by_seed: Floats
    images: int

    def interval(self, of: Floats) -> tuple[float, float]:
        """Where 95 % of some draws lie."""
        low, high = np.nanpercentile(of, [2.5, 97.5])
        return float(low), float(high)

    def p(self, attempt: int) -> float:
        """That an attempt and the baseline are alike, two-sided: twice the share of draws on the other side."""
        apart = self.draws[attempt] - self.draws[0]
        apart = apart[~np.isnan(apart)]
        tails = ((side.sum() + 1) / (len(apart) + 1) for side in (apart <= 0, apart >= 0))
        return float(min(1.0, 2 * min(tails)))

    def expected_best(self) -> float:
        """Mean of the highest figure, were all attempts alike at their mean and independent."""
        rng = np.random.default_rng(_SEED)
        off = np.nan_to_num(self.draws - self.values[:, None])
        return float(min(1.0, self.values.mean() + np.stack([rng.permutation(row) for row in off]).max(axis=0).mean()))


@dataclass(frozen=True)
class Paired:
    """A run's figure against that of another one on the same images.

    Attributes:
        difference: what it has more.
        low, high: 95 % interval of that.
        p: that the two are alike, two-sided.
    """

    difference: float
    low: float
    high: float
    p: float


def pair(first: Evidence, other: Evidence) -> Paired | None:
    """What `other` has more than `first`, on the images as they are and on images drawn anew, the same for both.

    None where they are of different images, or of images that have no such figure.
    """
    keys = sorted(first.keys)
    if keys != sorted(other.keys):
        return None
    weights, place = _weights(len(keys)), {key: index for index, key in enumerate(keys)}
    each = np.stack([one.measured(weights[:, [place[key] for key in one.keys]]) for one in (first, other)])
    found = Resampled(each[:, 0], each[:, 1:], each[:, :1], len(keys))
    apart = found.draws[1] - found.draws[0]
    if np.isnan(found.values).any() or np.isnan(apart).all():
        return None
    return Paired(float(found.values[1] - found.values[0]), *found.interval(apart), found.p(1))


def _weights(images: int) -> Floats:
    """How often each image counts, (1 + draws, images): once, and then as often as it is drawn."""
    drawn = np.random.default_rng(_SEED).multinomial(images, np.full(images, 1 / max(1, images)), _DRAWS)
    return np.concatenate([np.ones((1, images)), drawn])


def resample(outcomes: Sequence[Outcome], names: Sequence[str]) -> Resampled:
    """Measure attempts on their images, and on images drawn anew.

    Args:
        outcomes: of runs on the same images.
        names: of the attempts, the baseline first.

    Raises:
        ToolkitError: attempts were tested on other images than the baseline, or have no figure on theirs.
    """
    of = {name: [one for one in outcomes if one.planned.attempt == name] for name in names}
    tested = {name: sorted({key for one in some for key in one.evidence.keys}) for name, some in of.items()}
    keys = tested[names[0]]
    other = next((name for name in names if tested[name] != keys), None)
    if other is not None:
        raise ToolkitError(of[other][0].planned.out, "was tested on other images than the baseline", "remove it")
    weights = _weights(len(keys))
    place = {key: index for index, key in enumerate(keys)}
    by_seed = np.stack([_of_attempt(some, weights, place) for some in of.values()])
    figures = by_seed.mean(axis=1)
    if np.isnan(figures[:, 0]).any():
        broken = of[names[int(np.isnan(figures[:, 0]).argmax())]][0]
        raise ToolkitError(broken.planned.out, "has no figure on its test images", "use another split")
    return Resampled(figures[:, 0], figures[:, 1:], by_seed[:, :, 0], len(keys))


def _of_attempt(outcomes: Sequence[Outcome], weights: Floats, place: dict[str, int]) -> Floats:
    """(seeds, 1 + draws): of each seed the mean over its folds, which all have about as many images."""
    found = []
    for seed in sorted({one.planned.seed or 0 for one in outcomes}):
        runs = [one for one in outcomes if (one.planned.seed or 0) == seed]
        each = np.stack([one.evidence.measured(weights[:, [place[key] for key in one.evidence.keys]]) for one in runs])
        there = ~np.isnan(each)
        total = np.where(there, each, 0.0).sum(axis=0)
        found.append(np.divide(total, there.sum(axis=0), out=np.full(len(total), np.nan), where=there.any(axis=0)))
    return np.stack(found)
