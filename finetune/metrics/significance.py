"""Intervals and tests: whether a difference is one. scipy, which comes with training, is loaded where it is needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

__all__ = ["expected_best", "holm_adjusted", "mcnemar_exact", "sign_flip_test", "wilson_interval"]


def wilson_interval(correct: float, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Where a true rate lies, after `correct` of `total` (Wilson, JASA 1927, the score interval).

    Args:
        correct: from 0 to `total`; an average over repetitions need not be whole.
        total: independent trials.
        confidence: in (0, 1).

    Returns:
        Lower and upper end, in [0, 1]; (0, 1) without trials.
    """
    if not total:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    rate, spread = correct / total, z * z / total
    centre = (rate + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(rate * (1 - rate) / total + spread / (4 * total))
    return max(0.0, centre - half) if correct else 0.0, min(1.0, centre + half) if correct < total else 1.0


def mcnemar_exact(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """P value that two classifiers are right equally often, two-sided (McNemar, Psychometrika 1947, in its exact form).

    Under the null hypothesis the images that only one of the two gets right are coin flips.

    Args:
        first, second: (N,) True where the classifier is right, the same images in the same order.
    """
    one, other = np.asarray(first, np.bool_), np.asarray(second, np.bool_)
    gained, lost = int((other & ~one).sum()), int((one & ~other).sum())
    number = gained + lost
    tail = sum(math.comb(number, heads) for heads in range(min(gained, lost) + 1))  # of 2 ** number outcomes
    return min(1.0, float(2 * tail / 2**number))


def sign_flip_test(differences: npt.ArrayLike) -> float:
    """P value that paired differences are symmetric about 0, two-sided, exact (Fisher, 1935).

    Each sign is a coin flip under the null hypothesis; the distribution of the sum is worked out whole. Differences of
    -1, 0 and 1 give the exact McNemar test.

    Args:
        differences: (N,) whole numbers.
    """
    from scipy.stats import binom

    sizes = np.abs(np.asarray(differences, np.int64))
    chances = np.ones(1)  # of every sum from -reach to reach
    for size, times in zip(*np.unique(sizes[sizes > 0], return_counts=True), strict=True):
        ways = np.zeros(2 * size * times + 1)
        ways[:: 2 * size] = binom.pmf(np.arange(times + 1), times, 0.5)
        chances = np.convolve(chances, ways)
    reach = len(chances) // 2
    sums = np.arange(-reach, reach + 1)
    return float(min(1.0, chances[np.abs(sums) >= abs(int(np.sum(differences)))].sum()))


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """P values adjusted for their number (Holm, Scandinavian Journal of Statistics 1979), in the order given."""
    adjusted, highest, count = [0.0] * len(p_values), 0.0, len(p_values)
    for rank, place in enumerate(sorted(range(count), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, (count - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def expected_best(rate: float, total: int, attempts: int) -> float:
    """Mean of the highest of several observed rates, were all attempts alike and independent.

    Args:
        rate: true rate of each, in [0, 1].
        total: images of each.
        attempts: their number.
    """
    from scipy.stats import binom

    below = binom.cdf(np.arange(total), total, rate) ** attempts
    return float((1 - below).sum() / total) if total else float("nan")
