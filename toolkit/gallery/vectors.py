"""Masks and boxes -> SVG path data. Filled by the even-odd rule, a mask's path covers exactly its pixel squares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from toolkit.aliases import BoolArray
from toolkit.geometry.contours import Outline, trace

__all__ = ["box_path", "corners_path", "mask_path", "outline_path", "shrink"]


def outline_path(outline: Outline, offset: tuple[int, int] = (0, 0)) -> str:
    """Path along the pixels' edges of a traced mask placed at `offset` (x, y); "" for an empty mask."""
    xs, ys = outline.x + offset[0], outline.y + offset[1]
    pieces = []
    for ring in outline.rings4:  # a ring's corners are the ends of its horizontal stretches, in turn
        x, y = xs[ring.nodes], ys[ring.nodes]
        across = (x[1::2] - x[::2]).tolist()
        down = (y[2::2] - y[1:-1:2]).tolist()
        steps = "".join(f"h{a}v{b}" for a, b in zip(across, down, strict=False))
        pieces.append(f"M{x[0]} {y[0]}{steps}h{across[-1]}z")
    return "".join(pieces)


def mask_path(mask: BoolArray, offset: tuple[int, int] = (0, 0)) -> str:
    """Path of a bool mask (H, W) placed at `offset` (x, y); "" for an empty mask."""
    crop, offset = _tight(mask, offset)
    return outline_path(trace(np.ascontiguousarray(crop)), offset) if crop.size else ""


def _tight(mask: BoolArray, offset: tuple[int, int]) -> tuple[BoolArray, tuple[int, int]]:
    """The part of a mask placed at `offset` (x, y) that holds all that is marked, and its place; (0, 0) for nothing."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8)) if mask.size else (0, 0, 0, 0)
    return mask[y : y + height, x : x + width], (x + offset[0], y + offset[1])


def box_path(boxes: Iterable[Sequence[float]], scale: float = 1.0) -> str:
    """Path of upright boxes x0, y0, x1, y1."""
    pieces = []
    for box in boxes:
        x0, y0, x1, y1 = (side * scale for side in box)
        pieces.append(f"M{_short(x0)} {_short(y0)}h{_short(x1 - x0)}v{_short(y1 - y0)}h{_short(x0 - x1)}z")
    return "".join(pieces)


def corners_path(boxes: Iterable[npt.NDArray[np.float64]], scale: float = 1.0) -> str:
    """Path of boxes given by their corners, each (4, 2) x, y."""
    return "".join(
        "M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in (corners * scale).tolist()) + "z" for corners in boxes
    )


def _short(value: float) -> str:
    """A thousandth of a pixel is as fine as a label tells."""
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def shrink(mask: BoolArray, offset: tuple[int, int], size: tuple[int, int], small: BoolArray) -> None:
    """Mark in `small` every pixel that a mask touches when its image is scaled down to it, so that no speck is lost.

    Args:
        mask: bool (h, w), part of an image.
        offset: x, y of its first pixel in the image.
        size: width and height of the image.
        small: bool (H, W), no larger than the image; written to.
    """
    mask, offset = _tight(mask, offset)
    if not mask.size:
        return
    places = []
    for axis in (0, 1):  # of rows, and then of columns, that become one
        side = (np.arange(mask.shape[axis]) + offset[1 - axis]) * small.shape[axis] // size[1 - axis]
        firsts = np.flatnonzero(np.diff(side, prepend=-1))
        mask = np.bitwise_or.reduceat(mask, firsts, axis=axis)
        places.append(side[firsts])
    small[np.ix_(*places)] |= mask
