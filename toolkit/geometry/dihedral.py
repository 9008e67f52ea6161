"""The eight views of a picture, mirrored and turned by right angles, and of its labels: no pixel is resampled."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from toolkit.geometry.labels import Box, Instance, LabelledImage

__all__ = ["VIEWS", "turned", "turned_labels"]

VIEWS = 8
"""How many there are: 0 as it is, 1 mirrored left and right, 2 upside down, 3 both; 4 to 7 are these transposed."""

Value = TypeVar("Value", bound=np.generic)


def turned(pixels: npt.NDArray[Value], view: int) -> npt.NDArray[Value]:
    """One of the eight views of an array (H, W, ...): (W, H, ...) from view 4 on."""
    axes = tuple(axis for axis, bit in ((1, 1), (0, 2)) if view & bit)
    flipped: npt.NDArray[Value] = np.flip(pixels, axes)
    return flipped.swapaxes(0, 1) if view & 4 else flipped


def turned_labels(image: LabelledImage, view: int) -> LabelledImage:
    """The labels of an image as they are in one of its eight views; its file stays that of the image itself."""
    if not view:
        return image
    instances = tuple(_turned_instance(one, image.width, image.height, view) for one in image.instances)
    width, height = (image.height, image.width) if view & 4 else (image.width, image.height)
    return replace(image, width=width, height=height, instances=instances)


def _turned_instance(one: Instance, width: int, height: int, view: int) -> Instance:
    x0, y0, x1, y1 = one.bbox
    if view & 1:
        x0, x1 = width - x1, width - x0
    if view & 2:
        y0, y1 = height - y1, height - y0
    box: Box = (y0, x0, y1, x1) if view & 4 else (x0, y0, x1, y1)
    mask = None if one.mask is None else np.ascontiguousarray(turned(one.mask, view))
    return replace(one, bbox=box, mask=mask, part=None)
