"""What is measured, once. Formulas carry their source; what a figure cannot be computed from gives nan.

Anomaly: image and pixel AUROC and AP, AUPRO, and the F1 that an oracle's threshold would reach. Pixel figures are exact
and need no list of all pixels: a curve over thresholds bends only where a defect pixel lies, so that the defect pixels
are sorted once, and the others are counted between them one image at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from toolkit.errors import ToolkitError

__all__ = ["Ranking", "anomaly_metrics", "rank_pixels", "rank_scores"]

PRO_LIMIT = 0.3
"""Highest false positive rate that AUPRO looks at (Bergmann et al., IJCV 2021, section 5.2.2)."""

Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]
ScoredImages = Callable[[], Iterable[tuple[Floats, Bools]]]
"""Gives the anomaly map (H, W) and the defect mask (H, W) of one image after the other, each time it is called."""


# Anomaly: curves


@dataclass(frozen=True, eq=False)
class Ranking:
    """Where positives (defective) stand among negatives by their scores: all that the curves depend on.

    Attributes:
        values: (K,) distinct scores of positives, ascending.
        positives: (K,) positives of each of these scores.
        weights: (K,) their weights: 1 / pixels of the region that each belongs to.
        lower: (K,) negatives whose score is lower.
        tied: (K,) negatives of the same score.
        negatives: number of negatives.
        regions: number of connected regions of positives; 0 where scores have no place.
    """

    values: Floats
    positives: Counts
    weights: npt.NDArray[np.float64]
    lower: Counts
    tied: Counts
    negatives: int
    regions: int

    def auroc(self) -> float:
        """Chance that a positive scores higher than a negative, ties half (Hanley and McNeil, Radiology 1982)."""
        pairs = int(self.positives.sum()) * self.negatives
        return float((self.positives * (self.lower + 0.5 * self.tied)).sum() / pairs) if pairs else float("nan")

    def average_precision(self) -> float:
        """Sum over thresholds of (recall step) x precision, without interpolation, as scikit-learn defines it."""
        if not len(self.values) or not self.negatives:
            return float("nan")
        found = self.positives[::-1].cumsum()[::-1]
        precision = found / (found + self.negatives - self.lower)
        return float((self.positives * precision).sum() / self.positives.sum())

    def best_f1(self) -> tuple[float, float]:
        """The highest F1 of any threshold, and that threshold (scores from it on are positive).

        It is chosen with the labels in hand, as only an oracle could: never a figure of what a threshold achieves.
        """
        if not len(self.values) or not self.negatives:
            return float("nan"), float("nan")
        found = self.positives[::-1].cumsum()[::-1]
        f1 = 2 * found / (found + self.negatives - self.lower + self.positives.sum())
        best = int(f1.argmax())
        return float(f1[best]), float(self.values[best])

    def aupro(self, limit: float = PRO_LIMIT) -> float:
        """Area below the per-region overlap, up to the false positive rate `limit`, over `limit`.

        PRO(t) = 1/R sum over regions r of |{pixels of r scored t or more}| / |r| (Bergmann et al., IJCV 2021,
        section 5.2.2), so it is a ROC curve whose positives weigh 1 / (R |r|).
        """
        if not len(self.values) or not self.negatives or not self.regions:
            return float("nan")
        steps = self.weights[::-1] / self.regions
        after = (self.negatives - self.lower[::-1]) / self.negatives
        before = after - self.tied[::-1] / self.negatives
        height = steps.cumsum()
        rate = np.stack([before, after], axis=1).ravel()
        overlap = np.stack([height - steps, height], axis=1).ravel()
        rate, overlap = np.append(np.insert(rate, 0, 0.0), 1.0), np.append(np.insert(overlap, 0, 0.0), overlap[-1])
        # searchsorted and not interp alone: where the curve rises at the limit, all of the rise lies within it.
        last = int(np.searchsorted(rate, limit, side="right"))
        at_limit = np.interp(limit, rate[last - 1 : last + 1], overlap[last - 1 : last + 1])
        return float(np.trapezoid(np.append(overlap[:last], at_limit), np.append(rate[:last], limit)) / limit)


def rank_scores(scores: npt.ArrayLike, labels: npt.ArrayLike) -> Ranking:
    """Rank one score for each image.

    Args:
        scores: (N,) the higher, the more defective.
        labels: (N,) True for defective.

    Raises:
        ToolkitError: a score is not finite.
    """
    values, truth = np.asarray(scores), np.asarray(labels, np.bool_)
    _check_finite(values)
    positive = values[truth]
    return _ranked(positive, np.zeros(len(positive)), [values[~truth]], regions=0)


def rank_pixels(images: ScoredImages) -> Ranking:
    """Rank the pixels of all images, which are gone through twice.

    Regions are 8-connected, as in the published evaluation.

    Raises:
        ToolkitError: a score is not finite.
    """
    scores: list[Floats] = []
    weights: list[npt.NDArray[np.float64]] = []
    regions = 0
    for scored, mask in images():
        _check_finite(scored)
        if not mask.any():
            continue
        count, labelled = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
        inside = np.asarray(labelled)[mask]
        scores.append(scored[mask])
        weights.append(1.0 / np.bincount(inside)[inside])
        regions += count - 1
    positive = np.concatenate(scores) if scores else np.zeros(0)
    weight = np.concatenate(weights) if weights else np.zeros(0)
    return _ranked(positive, weight, (scored[~mask] for scored, mask in images()), regions)


def _ranked(positive: Floats, weight: npt.NDArray[np.float64], negative: Iterable[Floats], regions: int) -> Ranking:
    values, place = np.unique(positive, return_inverse=True)
    positives = np.bincount(place, minlength=len(values)).astype(np.int64)
    weights = np.bincount(place, weight, minlength=len(values)).astype(np.float64)
    lower, not_higher, negatives = np.zeros(len(values), np.int64), np.zeros(len(values), np.int64), 0
    for scores in negative:
        ordered = np.sort(scores, axis=None)
        lower += np.searchsorted(ordered, values, side="left")
        not_higher += np.searchsorted(ordered, values, side="right")
        negatives += ordered.size
    return Ranking(values, positives, weights, lower, not_higher - lower, negatives, regions)


def _check_finite(scores: npt.NDArray[np.generic]) -> None:
    if not np.isfinite(scores).all():
        raise ToolkitError("anomaly scores", "hold values that are no number", "train again with a lower lr")


# Anomaly: what a run reports


def anomaly_metrics(scores: npt.ArrayLike, labels: npt.ArrayLike, images: ScoredImages | None) -> dict[str, float]:
    """The figures of an anomaly detector.

    Args:
        scores: (N,) one for each image, the higher, the more defective.
        labels: (N,) True for defective.
        images: maps and masks; None where there are no masks, and then there are no pixel figures.

    Returns:
        image_auroc, image_ap, image_f1_oracle, and pixel_auroc, pixel_ap, pixel_f1_oracle, aupro: each in [0, 1], or
        nan where images or pixels of one kind are missing. The oracle's figures are no results: see `best_f1`.

    Raises:
        ToolkitError: a score is not finite.
    """
    whole = rank_scores(scores, labels)
    found = {"image_auroc": whole.auroc(), "image_ap": whole.average_precision(), "image_f1_oracle": whole.best_f1()[0]}
    if images is None:
        return found
    pixels = rank_pixels(images)
    return {
        **found,
        "pixel_auroc": pixels.auroc(),
        "pixel_ap": pixels.average_precision(),
        "pixel_f1_oracle": pixels.best_f1()[0],
        "aupro": pixels.aupro(),
    }


# Classification
