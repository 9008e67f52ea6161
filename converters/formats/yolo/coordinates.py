"""Numbers of a row -> pixels: the one way, for those who write rows, read them and check them.

Boxes and oriented boxes are taken in double precision, polygons in single precision, as ultralytics fills them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from toolkit.aliases import FloatArray
from toolkit.geometry.labels import Box

__all__ = ["pixel_box", "pixel_corners", "pixel_points", "row_values"]


def row_values(words: Sequence[str]) -> FloatArray:
    """The numbers of a row behind its class, float64.

    Raises:
        ValueError: one is no number.
    """
    return np.array(words, np.float64)


def pixel_box(values: FloatArray, size: tuple[int, int]) -> Box:
    """Sides x0, y0, x1, y1 in pixels of a row of centre and size, in an image of `size` (width, height)."""
    centre, half = values[:2], values[2:4] / 2
    (x0, y0), (x1, y1) = ((centre - half) * size).tolist(), ((centre + half) * size).tolist()
    return x0, y0, x1, y1


def pixel_corners(values: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Points (K, 2) in pixels of a row of x and y in turn."""
    return np.asarray(values.reshape(-1, 2) * size, np.float64)


def pixel_points(values: npt.NDArray[np.floating], size: int | tuple[int, int]) -> npt.NDArray[np.float32]:
    """Coordinates (..., 2), or those along one side, in pixels and in single precision."""
    return np.asarray(values.astype(np.float32) * np.array(size, np.float32), np.float32)
