"""Rectangles at any angle: the smallest that holds a mask, and boxes that are turned."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from toolkit.aliases import BoolArray, FloatArray

__all__ = ["oriented_box", "square_corners", "turned_box", "turned_corners"]

_SMALL = 64  # pixels: where an image has thousands of parts, most are smaller, and many alike


def oriented_box(mask: BoolArray) -> FloatArray:
    """Smallest-area rectangle, at any angle, that contains every pixel square of a mask.

    Returns:
        float64 (4, 2), x, y corners in order round the rectangle.
    """
    found = _small_oriented_box(mask.shape, mask.tobytes()) if mask.size <= _SMALL else _oriented_box(mask)
    return found.copy()


@lru_cache(maxsize=4096)
def _small_oriented_box(shape: tuple[int, ...], pixels: bytes) -> FloatArray:
    return _oriented_box(np.frombuffer(pixels, np.bool_).reshape(shape))


def _oriented_box(mask: BoolArray) -> FloatArray:
    hull = cv2.convexHull(square_corners(mask).astype(np.int32)).reshape(-1, 2).astype(np.float64)
    # A smallest rectangle has a side along a side of the hull (Freeman and Shapira 1975, doi:10.1145/360881.360919).
    sides = np.concatenate([hull[1:], hull[:1]]) - hull
    axes = sides / np.hypot(sides[:, 0], sides[:, 1])[:, None]
    normals = np.empty_like(axes)
    normals[:, 0], normals[:, 1] = -axes[:, 1], axes[:, 0]
    along, across = hull @ axes.T, hull @ normals.T
    low, high, near, far = along.min(axis=0), along.max(axis=0), across.min(axis=0), across.max(axis=0)
    best = int(((high - low) * (far - near)).argmin())
    left, right, top, bottom = low[best], high[best], near[best], far[best]
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    return np.asarray(corners @ np.array([axes[best], normals[best]]), np.float64)


def square_corners(mask: BoolArray) -> npt.NDArray[np.int64]:
    """Corners of pixel squares of a mask that its convex hull is the hull of: those at the two ends of each row.

    Returns:
        int64 (4 R, 2), x, y in [0, W] and [0, H], of R rows that hold mask.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask.argmax(axis=1)[rows]
    last = mask.shape[1] - mask[:, ::-1].argmax(axis=1)[rows]
    points = np.empty((4, len(rows), 2), np.int64)
    points[:2, :, 0], points[2:, :, 0] = first, last
    points[::2, :, 1], points[1::2, :, 1] = rows, rows + 1
    return points.reshape(-1, 2)


_QUARTER = 90


def turned_corners(box: tuple[float, float, float, float], degrees: float) -> FloatArray:
    """Corners of a box (x0, y0, x1, y1) that is turned about its middle, clockwise as it is seen.

    Returns:
        float64 (4, 2), x, y corners in order round the rectangle.
    """
    x0, y0, x1, y1 = box
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    sin, cos = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float64) - middle
    return np.asarray(corners @ np.array([(cos, sin), (-sin, cos)]) + middle, np.float64)


def turned_box(box: tuple[float, float, float, float], degrees: float) -> tuple[float, float, float, float] | None:
    """A box (x0, y0, x1, y1) after quarter turns about its middle; None where it does not stand upright then."""
    x0, y0, x1, y1 = box
    if degrees % _QUARTER != 0:
        return None
    if degrees % (2 * _QUARTER) == 0:
        return box
    x, y, half_width, half_height = (x0 + x1) / 2, (y0 + y1) / 2, (y1 - y0) / 2, (x1 - x0) / 2
    return x - half_width, y - half_height, x + half_width, y + half_height
