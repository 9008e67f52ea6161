"""Boxes as they stand in label files, held against what they should be."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from converters.formats.pairing import pair_up
from toolkit.geometry.labels import Instance
from toolkit.geometry.oriented import square_corners

__all__ = [
    "TOLERANCE",
    "contains_instance",
    "fits_instance",
    "is_same_box",
    "shown_box",
    "uncontained",
    "wrong_boxes",
]

TOLERANCE = 0.01
"""Pixels by which a side of a box may be off."""

Labelled = tuple[str, Sequence[float]]


def wrong_boxes(found: Sequence[Labelled], instances: Sequence[Instance], key: str) -> list[str]:
    """Boxes (class, (x0, y0, x1, y1)) that are not the tight box of an instance of that class, one line each."""
    wanted = [(instance.label, [float(side) for side in instance.bbox]) for instance in instances]
    if len(found) != len(wanted):
        return [f"{key}: {len(found)} boxes where the source has {len(wanted)}"]
    bounds = np.array([box for _, box in found], np.float64).reshape(-1, 4)
    points = np.array([box[:2] for _, box in wanted], np.float64).reshape(-1, 2)
    spare, missed = pair_up(bounds, points, lambda one, other: is_same_box(found[one], wanted[other]))
    left, lost = [found[place] for place in spare], [wanted[place] for place in missed]
    return [
        f"{key}: box {shown_box(here)} of {label!r} where the source has {shown_box(there)} of {true!r}"
        for (label, here), (true, there) in zip(sorted(left, key=_order), sorted(lost, key=_order), strict=True)
    ]


def is_same_box(one: Labelled, other: Labelled) -> bool:
    """Whether two boxes of one class have the same sides, to the tolerance."""
    return one[0] == other[0] and all(abs(a - b) <= TOLERANCE for a, b in zip(one[1], other[1], strict=True))


def _order(box: Labelled) -> tuple[str, list[float]]:
    return box[0], list(box[1])


def shown_box(box: Sequence[float]) -> str:
    """A box as it stands in a message."""
    return "(" + ", ".join(f"{side:.2f}" for side in box) + ")"


def uncontained(
    found: Sequence[tuple[str, npt.NDArray[np.float64]]], instances: Sequence[Instance], key: str
) -> list[str]:
    """Instances that no oriented box of their class, each taken once, is right for."""
    if len(found) != len(instances):
        return [f"{key}: {len(found)} boxes where the source has {len(instances)}"]
    corners = np.array([one for _, one in found], np.float64).reshape(-1, 4, 2)
    bounds = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    windows = np.array([one.window for one in instances], np.float64).reshape(-1, 4)

    def fits(box: int, place: int) -> bool:
        return found[box][0] == instances[place].label and fits_instance(corners[box], instances[place])

    _, missed = pair_up(bounds, (windows[:, :2] + windows[:, 2:]) / 2, fits)
    return [
        f"{key}: no oriented box of {one.label!r} contains the instance at {shown_box(one.bbox)}"
        for one in (instances[place] for place in missed)
    ]


def fits_instance(corners: npt.NDArray[np.float64], instance: Instance) -> bool:
    """Whether an oriented box is right: it contains the instance, and is no larger than the tight upright box."""
    return _area(corners) <= _most_area(instance) and contains_instance(corners, instance)


def _area(corners: npt.NDArray[np.float64]) -> float:
    """Area of a rectangle, corners (4, 2) in order."""
    return math.dist(corners[0], corners[1]) * math.dist(corners[1], corners[2])


def _most_area(instance: Instance) -> float:
    """Area of the tight upright box, with the tolerance on each side."""
    x0, y0, x1, y1 = instance.window
    return (x1 - x0 + 2 * TOLERANCE) * (y1 - y0 + 2 * TOLERANCE)


def contains_instance(corners: npt.NDArray[np.float64], instance: Instance) -> bool:
    """Whether a rectangle, corners (4, 2) in order and in pixels, contains every pixel square of an instance."""
    points = square_corners(instance.region) + np.array(instance.window[:2])
    sides = corners[[1, 2, 3, 0]] - corners
    turn = np.sign(sides[0, 0] * sides[1, 1] - sides[0, 1] * sides[1, 0]) or 1.0
    away = points[:, None] - corners  # (N, 4, 2), from each corner to each point
    distances = turn * (sides[:, 0] * away[:, :, 1] - sides[:, 1] * away[:, :, 0])
    return bool((distances >= -1e-6 * np.hypot(sides[:, 0], sides[:, 1])).all())
