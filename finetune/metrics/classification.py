"""Figures of a classifier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from finetune.metrics.anomaly import Counts
from finetune.metrics.significance import wilson_interval

__all__ = ["classification_metrics", "confusion_counts"]


def classification_metrics(labels: npt.ArrayLike, predicted: npt.ArrayLike, classes: Sequence[str]) -> dict[str, float]:
    """The figures of a classifier.

    Args:
        labels, predicted: (N,) indices of classes.
        classes: their names.

    Returns:
        accuracy with its 95 % interval accuracy_low and accuracy_high; balanced_accuracy, the mean recall of the
        classes that occur; macro_f1, their mean F1; and precision_class_X, recall_class_X, f1_class_X of each class, 0
        where nothing is predicted and nan where the class does not occur. All in [0, 1].
    """
    matrix = confusion_counts(labels, predicted, len(classes))
    total, right = int(matrix.sum()), np.diag(matrix)
    low, high = wilson_interval(int(right.sum()), total)
    there, told = matrix.sum(axis=1), matrix.sum(axis=0)
    recall = np.where(there > 0, right / np.maximum(there, 1), np.nan)
    precision = np.where(there > 0, right / np.maximum(told, 1), np.nan)
    f1 = np.where(there > 0, 2 * right / np.maximum(there + told, 1), np.nan)
    occurs = there > 0
    figures = {
        "accuracy": float(right.sum() / total) if total else float("nan"),
        "accuracy_low": low,
        "accuracy_high": high,
        "balanced_accuracy": float(recall[occurs].mean()) if total else float("nan"),
        "macro_f1": float(f1[occurs].mean()) if total else float("nan"),
    }
    for name, values in (("precision", precision), ("recall", recall), ("f1", f1)):
        figures |= {f"{name}_class_{label}": float(value) for label, value in zip(classes, values, strict=True)}
    return figures


def confusion_counts(labels: npt.ArrayLike, predicted: npt.ArrayLike, classes: int) -> Counts:
    """Images of each class (rows) that were taken for each class (columns): int64 (classes, classes)."""
    truth, guess = np.asarray(labels, np.int64), np.asarray(predicted, np.int64)
    counts = np.bincount(truth * classes + guess, minlength=classes * classes)
    return counts.astype(np.int64).reshape(classes, classes)
