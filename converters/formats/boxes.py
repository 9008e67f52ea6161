"""Boxes as they stand in label files, held against what they should be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from toolkit.geometry.labels import Instance

__all__ = ["TOLERANCE", "contains_instance", "shown_box", "uncontained", "wrong_boxes"]

TOLERANCE = 0.01
"""Pixels by which a side of a box may be off."""

Labelled = tuple[str, Sequence[float]]


def wrong_boxes(found: Sequence[Labelled], instances: Sequence[Instance], key: str) -> list[str]:
    """Boxes (class, (x0, y0, x1, y1)) that are not the tight box of an instance of that class, one line each."""
    wanted = [(instance.label, [float(side) for side in instance.bbox]) for instance in instances]
    if len(found) != len(wanted):
        return [f"{key}: {len(found)} boxes where the source has {len(wanted)}"]
    left, missed = list(found), []
    for true, there in wanted:
        same = (place for place, box in enumerate(left) if _is_same(box, (true, there)))
        place = next(same, None)  # most often the first, as labels keep their order
        if place is None:
            missed.append((true, there))
        else:
            del left[place]
    return [
        f"{key}: box {shown_box(here)} of {label!r} where the source has {shown_box(there)} of {true!r}"
        for (label, here), (true, there) in zip(sorted(left, key=_order), sorted(missed, key=_order), strict=True)
    ]


def _is_same(one: Labelled, other: Labelled) -> bool:
    return one[0] == other[0] and all(abs(a - b) <= TOLERANCE for a, b in zip(one[1], other[1], strict=True))


def _order(box: Labelled) -> tuple[str, list[float]]:
    return box[0], list(box[1])


def shown_box(box: Sequence[float]) -> str:
    """A box as it stands in a message."""
    return "(" + ", ".join(f"{side:.2f}" for side in box) + ")"


def uncontained(
    found: Sequence[tuple[str, npt.NDArray[np.float64]]], instances: Sequence[Instance], key: str
) -> list[str]:
    """Instances that no oriented box of their class contains, of those no larger than the upright box."""
    if len(found) != len(instances):
        return [f"{key}: {len(found)} boxes where the source has {len(instances)}"]
    return [
        f"{key}: no oriented box of {instance.label!r} contains the instance at {shown_box(instance.bbox)}"
        for instance in instances
        if not any(
            label == instance.label and _area(corners) <= _most_area(instance) and contains_instance(corners, instance)
            for label, corners in found
        )
    ]


def _area(corners: npt.NDArray[np.float64]) -> float:
    """Area of a rectangle, corners (4, 2) in order."""
    return float(np.prod(np.linalg.norm(corners[1:3] - corners[:2], axis=1)))


def _most_area(instance: Instance) -> float:
    """Area of the tight upright box, with the tolerance on each side."""
    x0, y0, x1, y1 = instance.window
    return (x1 - x0 + 2 * TOLERANCE) * (y1 - y0 + 2 * TOLERANCE)


def contains_instance(corners: npt.NDArray[np.float64], instance: Instance) -> bool:
    """Whether a rectangle, corners (4, 2) in order and in pixels, contains every pixel square of an instance."""
    rows, columns = np.nonzero(instance.region)
    x, y = columns + instance.window[0], rows + instance.window[1]
    squares = np.concatenate([np.stack([x + dx, y + dy], axis=1) for dx in (0, 1) for dy in (0, 1)])
    sides = np.roll(corners, -1, axis=0) - corners
    turn = np.sign(sides[0, 0] * sides[1, 1] - sides[0, 1] * sides[1, 0]) or 1.0
    for corner, (dx, dy) in zip(corners, sides, strict=True):
        distance = turn * (dx * (squares[:, 1] - corner[1]) - dy * (squares[:, 0] - corner[0]))
        if (distance < -1e-6 * np.hypot(dx, dy)).any():
            return False
    return True
