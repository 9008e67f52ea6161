"""What speaks against a label, measured without torch: classes, scores, places of masks, copies of images.

Each measure is 0 to 1, and 0.5 is where as much speaks for the label as against it, so that they can stand in one list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

__all__ = [
    "ClassDoubts",
    "Copies",
    "Evidence",
    "MaskDoubt",
    "class_doubts",
    "copy_doubts",
    "mask_doubt",
    "score_doubts",
]

Floats = npt.NDArray[np.float64]

_LEAST = 1e-3  # probability below which classes are told apart no more
_SIDE = 128  # longer side, in pixels, of the pictures that a mask is moved over
_NEAR_COPY = 0.75  # of a near-duplicate, which may be one part with and without a scratch; the same bytes count 1


@dataclass(frozen=True)
class Evidence:
    """What one witness says of an image.

    Attributes:
        key: of the image.
        kind: "class", "score", "mask", "object", "found" or "copy"; several witnesses of one kind are averaged.
        score: 0 to 1.
        suggested: class that it speaks for.
        why: in words.
    """

    key: str
    kind: str
    score: float
    suggested: str
    why: str


@dataclass(frozen=True, eq=False)
class ClassDoubts:
    """What the probabilities of a classifier that never saw the images say of their classes.

    Attributes:
        scores: float64 (N,).
        rivals: (N,), index of the class that speaks most against the given one.
        errors: images that confident learning counts off the diagonal of its joint matrix: the wrong labels it expects.
    """

    scores: Floats
    rivals: npt.NDArray[np.intp]
    errors: int


def class_doubts(labels: npt.NDArray[np.intp], chances: Floats) -> ClassDoubts:
    """Confident learning (Northcutt et al., "Confident Learning", JAIR 2021, arXiv 1911.00068, equations 1 and 2).

    A class is as sure of an image as it is, on average, of the images that carry its name; so a class that the model
    is never sure of loses no images to one that it is always sure of: p_j / t_j of the strongest other class, over the
    sum of that and the given class's own p_i / t_i. A weak model contradicts many labels, and is believed less: the
    score is no higher than what p_i says as the score of a detector of "not i", by `score_doubts`.

    Args:
        labels: (N,), index of each image's class.
        chances: (N, K) probabilities from models that were not trained on the image.
    """
    classes = chances.shape[1]
    chances = np.clip(chances, _LEAST, None)
    usual = np.array([chances[labels == one, one].mean() if (labels == one).any() else 1.0 for one in range(classes)])
    sure = chances / usual
    rows = np.arange(len(labels))
    others = sure.copy()
    others[rows, labels] = -1
    rivals = others.argmax(axis=1)
    own, rival = sure[rows, labels], others[rows, rivals]
    confident = np.where(chances >= usual, chances, -1.0)
    taken = confident.argmax(axis=1)
    errors = int(((confident.max(axis=1) >= 0) & (taken != labels)).sum())
    scores = rival / (own + rival) if classes > 1 else np.zeros(len(labels))
    for one in range(classes):
        unlike = score_doubts(-chances[:, one], labels != one)
        scores[labels == one] = np.minimum(scores, unlike)[labels == one]
    return ClassDoubts(scores, rivals, errors)


def score_doubts(scores: Floats, defective: npt.NDArray[np.bool_]) -> Floats:
    """How much the score of an anomaly detector speaks against "good", or against a defect: (N,).

    An image called good is compared with the share of good images that score as high, and of defects that score as low;
    of the two shares that of the other side, in both together. Where nothing is known of a side, half of it is taken.

    Args:
        scores: (N,), the higher, the less like the good images; the detector was trained on none of the images.
        defective: (N,), whether the label says so.
    """
    good, bad = np.sort(scores[~defective]), np.sort(scores[defective])
    above = _share(len(good) - np.searchsorted(good, scores, "left"), len(good))
    below = _share(np.searchsorted(bad, scores, "right"), len(bad))
    return np.where(defective, above, below) / (above + below)


def _share(count: npt.NDArray[np.intp], total: int) -> Floats:
    return (count + 0.5) / (total + 1) if total else np.full(len(count), 0.5)


@dataclass(frozen=True)
class MaskDoubt:
    """Where a mask would fit better.

    Attributes:
        score: 0 where it lies best, 1 where it would gain all that there is to be gained.
        right, down: pixels of the image by which it would have to move.
    """

    score: float
    right: int
    down: int


def mask_doubt(anomalies: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> MaskDoubt:
    """How much better a mask would fit an anomaly map if it were moved; as a whole, and within the image.

    What lies under it is summed at every place (a correlation). The score is what the best place has beyond its own, in
    parts of what that has beyond the middle of all places.

    Args:
        anomalies: (height, width), the higher, the less expected.
        mask: (height, width).
    """
    height, width = mask.shape
    scale = min(1.0, _SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    field = cv2.resize(anomalies.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    rows, columns = np.flatnonzero(small.any(axis=1)), np.flatnonzero(small.any(axis=0))
    if not len(rows):
        return MaskDoubt(0.0, 0, 0)
    top, left = int(rows[0]), int(columns[0])
    shape = small[top : rows[-1] + 1, left : columns[-1] + 1]
    places = cv2.matchTemplate(field, shape, cv2.TM_CCORR)
    own, best, middle = float(places[top, left]), float(places.max()), float(np.median(places))
    if best - middle <= 1e-6 * abs(best):
        return MaskDoubt(0.0, 0, 0)
    y, x = np.unravel_index(int(places.argmax()), places.shape)
    score = min(1.0, max(0.0, (best - own) / (best - middle)))
    return MaskDoubt(score, round((int(x) - left) / scale), round((int(y) - top) / scale))


@dataclass(frozen=True)
class Copies:
    """Images that show one photo.

    Attributes:
        keys: of two or more.
        identical: whether their bytes are the same.
    """

    keys: tuple[str, ...]
    identical: bool


def copy_doubts(groups: Sequence[Copies], labels: Mapping[str, str]) -> list[Evidence]:
    """Of each image that has copies with other labels, how large their share is."""
    found = []
    for group in groups:
        for key in group.keys:
            others = [one for one in group.keys if one != key and one in labels]
            unlike = [one for one in others if labels[one] != labels[key]] if key in labels else []
            if not unlike:
                continue
            names = [labels[one] for one in unlike]
            most = min(set(names), key=lambda name: (-names.count(name), name))
            word = "the same bytes as" if group.identical else "shows the same as"
            why = f"{word} {unlike[names.index(most)]}, which is {most}"
            score = len(unlike) / len(others) * (1.0 if group.identical else _NEAR_COPY)
            found.append(Evidence(key, "copy", score, most, why))
    return found
