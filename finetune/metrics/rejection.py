"""What a threshold does: the share of good images that it rejects, and of defects that it lets pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finetune.metrics.anomaly import rank_scores
from finetune.metrics.significance import wilson_interval

__all__ = ["RejectionCurve", "rejection_curve", "rejection_metrics", "rejection_rates"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RejectionCurve:
    """Both rates at every threshold at which one of them changes.

    Attributes:
        thresholds: (K,) ascending; scores above one are rejected. The first is just below all scores.
        false_reject: (K,) share of good images that score higher; nan without any.
        escape: (K,) share of defective images that do not; nan without any.
        good, defective: how many images there are of each.
    """

    thresholds: Floats
    false_reject: Floats
    escape: Floats
    good: int
    defective: int


def rejection_rates(defective: npt.ArrayLike, rejected: npt.ArrayLike) -> dict[str, float]:
    """Shares of good images that are rejected and of defective ones that pass, with their 95 % Wilson intervals.

    Args:
        defective: (N,) True for images with a defect, of whatever class.
        rejected: (N,) True for images that are taken for such.

    Returns:
        false_reject, escape and their intervals, as false_reject_low and false_reject_high, in [0, 1]; nan where
        images of a kind are missing.
    """
    told, truth = np.asarray(rejected, np.bool_), np.asarray(defective, np.bool_)
    figures: dict[str, float] = {}
    for name, wrong in (("false_reject", told[~truth]), ("escape", ~told[truth])):
        low, high = wilson_interval(int(wrong.sum()), len(wrong)) if len(wrong) else (float("nan"),) * 2
        rate = float(wrong.mean()) if len(wrong) else float("nan")
        figures |= {name: rate, f"{name}_low": low, f"{name}_high": high}
    return figures


def rejection_metrics(defective: npt.ArrayLike, rejected: npt.ArrayLike, scores: npt.ArrayLike) -> dict[str, float]:
    """The figures of one who only asks whether an image is good.

    Args:
        defective, rejected: as for `rejection_rates`.
        scores: (N,) how defective each image seems, for instance 1 - p(good).

    Returns:
        good_auroc, the chance that a defective image scores higher than a good one, ties half, nan where images of a
        kind are missing; and as `rejection_rates`.

    Raises:
        ToolkitError: a score is not finite.
    """
    return {"good_auroc": rank_scores(scores, defective).auroc(), **rejection_rates(defective, rejected)}


def rejection_curve(scores: npt.ArrayLike, defective: npt.ArrayLike) -> RejectionCurve:
    """Both rates over all thresholds.

    Args:
        scores: (N,) the higher, the more defective; finite, N > 0.
        defective: (N,) True for images that are.
    """
    values, truth = np.asarray(scores, np.float64), np.asarray(defective, np.bool_)
    levels = np.unique(values)
    levels = np.insert(levels, 0, np.nextafter(levels[0], -np.inf))
    good, bad = np.sort(values[~truth]), np.sort(values[truth])
    with np.errstate(invalid="ignore"):
        false_reject = 1 - np.searchsorted(good, levels, side="right") / np.float64(len(good))
        escape = np.searchsorted(bad, levels, side="right") / np.float64(len(bad))
    return RejectionCurve(levels, false_reject, escape, len(good), len(bad))
