"""A threshold that keeps its word: what a rank among scores of known images promises of images to come.

Rejected is what scores higher than the threshold. Let it be the k-th highest of n good images' scores, none of which
was trained on. Whatever the distribution, as long as it is continuous, the share of good parts above it is then drawn
from Beta(k, n - k + 1) (Wilks, Annals of Mathematical Statistics 1941):

expected   its mean is k / (n + 1);
sure       with 95 % confidence it is at most the 95 % quantile of that distribution: a tolerance bound.

Where scores tie, fewer are above it, and both promises still hold. For defects and the share that escapes the same is
said of the k-th lowest score.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from toolkit.errors import ToolkitError

__all__ = [
    "PROMISES",
    "USUAL_RATE",
    "Promise",
    "PromisedThreshold",
    "expected_rate",
    "images_for",
    "lowest_rate",
    "parse_rate",
    "percent",
    "promise_escape",
    "promise_false_reject",
    "rank_for",
    "sure_rate",
]

Promise = Literal["expected", "sure"]
PROMISES: tuple[str, ...] = get_args(Promise)
CONFIDENCE = 0.95
USUAL_RATE = 0.01
"""Asked for where nobody says what; where the images cannot promise it, the lowest rate that they can."""

_ROUNDING = 1e-9  # of rates such as 3 / 60, which is .05


@dataclass(frozen=True)
class PromisedThreshold:
    """A threshold, and what it was chosen by.

    Attributes:
        value: scores above it are rejected.
        rank: place of the score that it was chosen by, from 1: the highest of good images, the lowest of defects.
        images: whose scores it was chosen among.
    """

    value: float
    rank: int
    images: int

    @property
    def expected(self) -> float:
        """Mean of the rate that it leaves."""
        return expected_rate(self.images, self.rank)

    @property
    def sure(self) -> float:
        """The rate that it stays below with 95 % confidence."""
        return sure_rate(self.images, self.rank)


def expected_rate(images: int, rank: int) -> float:
    """Mean share of images to come that score beyond the one of this rank, of so many."""
    return rank / (images + 1)


def sure_rate(images: int, rank: int) -> float:
    """Share of images to come that, with 95 % confidence, is not exceeded beyond the one of this rank."""
    from scipy.special import betaincinv

    return float(betaincinv(rank, images - rank + 1, CONFIDENCE))


def lowest_rate(images: int, promise: Promise) -> float:
    """The lowest rate that so many images can promise: 1 / (n + 1) expected, 1 - .05 ** (1 / n) for sure."""
    return expected_rate(images, 1) if promise == "expected" else 1 - (1 - CONFIDENCE) ** (1 / images)


def images_for(rate: float, promise: Promise) -> int:
    """How many images it takes to promise a rate in (0, 1)."""
    if promise == "expected":
        return math.ceil(1 / rate - 1 - _ROUNDING)
    return math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-rate) - _ROUNDING)


def rank_for(images: int, rate: float, promise: Promise) -> int:
    """The largest rank that keeps a rate in (0, 1), from 1; 0 where none does."""
    if promise == "expected":
        return min(images, math.floor(rate * (images + 1) + _ROUNDING))
    from scipy.special import betainc

    ranks = np.arange(1, images + 1)
    return int(np.count_nonzero(betainc(ranks, images - ranks + 1, rate) >= CONFIDENCE - _ROUNDING))


def promise_false_reject(
    scores: npt.ArrayLike,
    rate: float | None,
    promise: Promise = "expected",
    *,
    asked: str = "max_false_reject",
    whose: str = "good images",
    more: str = "give more of them",
) -> PromisedThreshold:
    """The lowest threshold that keeps its word on how many good images it rejects.

    Args:
        scores: (N,) of good images that were not trained on, the higher, the more defective.
        rate: the highest share that may be rejected, in (0, 1); None for `USUAL_RATE`, or the lowest that can be had.
        promise: "expected" on average, "sure" with 95 % confidence.
        asked: what the rate was asked for with, for messages.
        whose: the images, in words, for messages.
        more: how to come by more images, for messages.

    Raises:
        ToolkitError: there are no scores, one is not finite, or so few images cannot promise such a rate.
    """
    found = np.sort(_finite(scores, asked, whose, more))
    rank = _rank(len(found), rate, promise, asked, whose, more)
    return PromisedThreshold(float(found[-rank]), rank, len(found))


def promise_escape(
    scores: npt.ArrayLike,
    rate: float,
    promise: Promise = "expected",
    *,
    asked: str = "max_escape",
    whose: str = "defective images",
    more: str = "give more of them",
) -> PromisedThreshold:
    """The highest threshold that keeps its word on how many defects it lets pass.

    It lies just below the score of its rank, in steps of float32, so that this one is rejected.

    Args:
        scores: (N,) of defective images that were not trained on, the higher, the more defective.
        rate: the highest share that may pass, in (0, 1).
        promise, asked, whose, more: as for `promise_false_reject`.

    Raises:
        ToolkitError: as `promise_false_reject`.
    """
    found = np.sort(_finite(scores, asked, whose, more))
    rank = _rank(len(found), rate, promise, asked, whose, more)
    below = np.nextafter(np.float32(found[rank - 1]), np.float32(-np.inf))
    return PromisedThreshold(float(below), rank, len(found))


def parse_rate(value: object) -> float:
    """A rate in (0, 1) from a number such as .05, or from "5 %".

    Raises:
        ValueError: it is none. A number from 1 on is refused, as it might be meant in percent.
    """
    text = str(value).strip()
    try:
        rate = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        rate = math.nan
    if isinstance(value, bool) or not 0 < rate < 1:
        raise ValueError("is no rate between 0 and 100 %; write for instance 5 % or 0.05")
    return rate


def percent(rate: float) -> str:
    """A rate in words, rounded up to three digits, so that what is promised in words is kept."""
    if not rate:
        return "0 %"
    step = 10.0 ** (math.floor(math.log10(100 * rate)) - 2)
    return f"{math.ceil(100 * rate / step - _ROUNDING * 1e3) * step:.6g} %"


def _finite(scores: npt.ArrayLike, asked: str, whose: str, more: str) -> npt.NDArray[np.float64]:
    found = np.asarray(scores, np.float64).reshape(-1)
    if not len(found):
        raise ToolkitError(asked, f"there are no {whose} to choose a threshold by", more)
    if not np.isfinite(found).all():
        raise ToolkitError(asked, f"scores of {whose} are no numbers", "train again with a lower lr")
    return found


def _rank(images: int, rate: float | None, promise: Promise, asked: str, whose: str, more: str) -> int:
    if rate is None:
        return max(1, rank_for(images, USUAL_RATE, promise))
    rank = rank_for(images, rate, promise)
    if rank:
        return rank
    can = {kind: percent(lowest_rate(images, kind)) for kind in _kinds()}
    raise ToolkitError(
        f"{asked} {100 * rate:.6g} %",
        f"{images} {whose} cannot promise that ({promise}): at best {can['expected']} expected, {can['sure']} sure",
        f"{more}: it takes {images_for(rate, promise)}; or ask for {can[promise]}",
    )


def _kinds() -> Sequence[Promise]:
    return get_args(Promise)
