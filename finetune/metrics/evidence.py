"""What a run's figure is made of, image by image, so that it can be measured again on images that are drawn anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Means", "Precisions", "Ranking", "RightOrWrong", "matched_detections"]

Floats = npt.NDArray[np.float64]
_RECALLS = np.linspace(0.0, 1.0, 101)  # at which COCO reads the precision
_MOST = 100  # detections of a class in an image that COCO counts


@dataclass(frozen=True)
class RightOrWrong:
    """Accuracy: which images were told right.

    Attributes:
        right: key of the image -> whether it was.
    """

    right: Mapping[str, bool]

    @property
    def keys(self) -> tuple[str, ...]:
        """The images."""
        return tuple(self.right)

    def measured(self, weights: Floats) -> Floats:
        """Accuracy (R,) where the images count as often as `weights` (R, images) says; nan without any."""
        return _ratio(weights @ np.array([*self.right.values()], np.float64), weights.sum(axis=1))


@dataclass(frozen=True, eq=False)
class Means:
    """A mean over things in images, such as the IoU of objects.

    Attributes:
        keys: the images.
        sums: float64 (images,), over the things in each.
        counts: float64 (images,), of them.
    """

    keys: tuple[str, ...]
    sums: Floats
    counts: Floats

    def measured(self, weights: Floats) -> Floats:
        """The mean (R,) where the images count as often as `weights` (R, images) says; nan without any."""
        return _ratio(weights @ self.sums, weights @ self.counts)


@dataclass(frozen=True, eq=False)
class Ranking:
    """The area under the ROC curve of images: the share of pairs in which the defective one has the higher score.

    Attributes:
        keys: the images.
        scores: float64 (images,), comparable within a run.
        defective: bool (images,).
    """

    keys: tuple[str, ...]
    scores: Floats
    defective: npt.NDArray[np.bool_]

    def measured(self, weights: Floats) -> Floats:
        """The area (R,) where the images count as often as `weights` (R, images) says; nan without a pair."""
        bad, good = self.scores[self.defective], self.scores[~self.defective]
        above = (bad[:, None] > good) + 0.5 * (bad[:, None] == good)
        of_bad, of_good = weights[:, self.defective], weights[:, ~self.defective]
        pairs = of_bad.sum(axis=1) * of_good.sum(axis=1)
        return _ratio(((of_bad @ above) * of_good).sum(axis=1), pairs)


@dataclass(frozen=True, eq=False)
class Precisions:
    """COCO's mAP at IoU .50: for each class its detections, best first, as they were matched.

    Attributes:
        keys: the images.
        truths: class -> float64 (images,), objects in each.
        hits: class -> float64 (images, T): hits in each image up to the T-th hit, that one included.
        misses: class -> float64 (images, T): false detections in each image before the T-th hit.
    """

    keys: tuple[str, ...]
    truths: Mapping[str, Floats]
    hits: Mapping[str, Floats]
    misses: Mapping[str, Floats]

    def measured(self, weights: Floats) -> Floats:
        """MAP (R,) where the images count as often as `weights` (R, images) says, over classes that are there."""
        each = np.stack([self._of_class(name, weights) for name in self.truths]) if self.truths else np.zeros((0, 0))
        there = ~np.isnan(each)
        return _ratio(np.where(there, each, 0.0).sum(axis=0), there.sum(axis=0).astype(np.float64))

    def _of_class(self, name: str, weights: Floats) -> Floats:
        objects = weights @ self.truths[name]
        hits, misses = weights @ self.hits[name], weights @ self.misses[name]
        # The precision at a recall is the best one at it or beyond; it only ever is best at a hit.
        precision = _ratio(hits, hits + misses, empty=0.0)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        best = np.concatenate([best, np.zeros((len(best), 1))], axis=1)
        recall = _ratio(hits, objects[:, None] + np.zeros_like(hits), empty=0.0)
        rows, total = np.arange(len(best)), np.zeros(len(best))
        for level in _RECALLS:
            total += best[rows, (recall < level).sum(axis=1)]
        return np.where(objects > 0, total / len(_RECALLS), np.nan)


def matched_detections(truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> Precisions:
    """Match boxes to objects as COCO does at IoU .50: best first, each to the free object that it overlaps most.

    Args:
        truth: a COCO dictionary, whose images have a "key".
        results: detections in COCO's results form.
    """
    images = {one["id"]: place for place, one in enumerate(truth["images"])}
    truths, hits, misses = dict[str, Floats](), dict[str, Floats](), dict[str, Floats]()
    for category in truth["categories"]:
        objects = [one for one in truth["annotations"] if one["category_id"] == category["id"]]
        if not objects:
            continue
        found = [one for one in results if one["category_id"] == category["id"]]
        scores, places, right = _matched(objects, found, images)
        order = np.argsort(-scores, kind="mergesort")
        places, right = places[order], right[order]
        name, steps = str(category["name"]), np.flatnonzero(right)
        truths[name] = np.bincount([images[one["image_id"]] for one in objects], minlength=len(images)).astype(float)
        made = np.zeros((2, len(images), len(steps) + 1))
        made[0, places[steps], np.arange(len(steps))] = 1.0
        np.add.at(made[1], (places[~right], right.cumsum()[~right]), 1.0)  # behind so many hits
        hits[name], misses[name] = made.cumsum(axis=2)[:, :, :-1]
    return Precisions(tuple(one["key"] for one in truth["images"]), truths, hits, misses)


def _matched(
    objects: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]], images: Mapping[int, int]
) -> tuple[Floats, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Score, place of the image and whether it hits, of each detection of a class."""
    from pycocotools.mask import iou

    scores, places, right = list[float](), list[int](), list[bool]()
    for number, place in images.items():
        boxes = [one["bbox"] for one in objects if one["image_id"] == number]
        own = sorted((one for one in found if one["image_id"] == number), key=lambda one: -one["score"])[:_MOST]
        overlaps = np.array(iou([one["bbox"] for one in own], boxes, [0] * len(boxes))) if own and boxes else None
        free = np.ones(len(boxes), np.bool_)
        for row, one in enumerate(own):
            hit = False
            if overlaps is not None and free.any():
                left = np.where(free, overlaps[row], -1.0)
                best = len(left) - 1 - int(left[::-1].argmax())  # of equals COCO takes the last
                hit = bool(left[best] >= 0.5)
                free[best] &= not hit
            scores.append(float(one["score"]))
            places.append(place)
            right.append(hit)
    return np.array(scores, np.float64), np.array(places, np.int64), np.array(right, np.bool_)


def _ratio(part: Floats, whole: Floats, *, empty: float = np.nan) -> Floats:
    out = np.full(np.shape(whole), empty)
    np.divide(part, whole, out=out, where=whole > 0)
    return out
