"""Oriented boxes of instances, and whether one contains an instance."""

from __future__ import annotations

import numpy as np

from converters.formats.yolo.polygons import FloatArray
from toolkit.geometry.contours import oriented_box
from toolkit.geometry.labels import Instance, LabelledImage

__all__ = ["contains_instance", "oriented_corners"]


def oriented_corners(instance: Instance, image: LabelledImage, digits: int) -> FloatArray:
    """Corners (4, 2) in pixels. The upright box where the turned one reaches so far out that readers refuse it."""
    x0, y0, x1, y1 = instance.bbox
    corners = oriented_box(instance.mask) + np.array([x0, y0])
    size = np.array([image.width, image.height])
    span, middle = np.ptp(corners, axis=0) / size, (corners.max(axis=0) + corners.min(axis=0)) / 2 / size
    if (span > 1).any() or (middle < 0).any() or (middle > 1).any():
        return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float64)
    outward = corners - corners.mean(axis=0)
    margin = 2 * max(image.width, image.height) * 10.0**-digits
    sides = np.stack([corners[1] - corners[0], corners[3] - corners[0]])
    units = sides / np.linalg.norm(sides, axis=1, keepdims=True)
    return np.asarray(corners + np.sign(np.round(outward @ units.T, 9)) @ units * margin, np.float64)


def contains_instance(corners: FloatArray, instance: Instance) -> bool:
    """Whether a rectangle, corners (4, 2) in order and in pixels, contains every pixel square of an instance."""
    rows, columns = np.nonzero(instance.mask)
    x, y = columns + instance.bbox[0], rows + instance.bbox[1]
    squares = np.concatenate([np.stack([x + dx, y + dy], axis=1) for dx in (0, 1) for dy in (0, 1)])
    sides = np.roll(corners, -1, axis=0) - corners
    turn = np.sign(sides[0, 0] * sides[1, 1] - sides[0, 1] * sides[1, 0]) or 1.0
    for corner, (dx, dy) in zip(corners, sides, strict=True):
        distance = turn * (dx * (squares[:, 1] - corner[1]) - dy * (squares[:, 0] - corner[0]))
        if (distance < -1e-6 * np.hypot(dx, dy)).any():
            return False
    return True
