"""Instances painted into a map of one value each, and what of them shows there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from converters.formats.base import Pixels, image_name
from toolkit.geometry.labels import LabelledImage

__all__ = ["Map", "label_name", "paint_instances", "pixels_kept"]


Map = TypeVar("Map", np.uint8, np.uint32)


def label_name(image: LabelledImage) -> str:
    """Name of an image's label file: that of the image, as PNG."""
    return image_name(image).rpartition(".")[0] + ".png"


def paint_instances(image: LabelledImage, values: Sequence[int], dtype: type[Map]) -> npt.NDArray[Map]:
    """Map (H, W) of one value for each instance, 0 elsewhere; where instances overlap, the later one shows."""
    raster = np.zeros((image.height, image.width), dtype)
    for instance, value in zip(image.instances, values, strict=True):
        x0, y0, x1, y1 = instance.bbox
        raster[y0:y1, x0:x1][instance.mask] = value
    return raster


def pixels_kept(shown: npt.NDArray[Any], image: LabelledImage, values: Sequence[int]) -> Pixels | None:
    """Pixels of the instances that show the right value."""
    kept = total = 0
    for instance, value in zip(image.instances, values, strict=True):
        x0, y0, x1, y1 = instance.bbox
        kept += int(np.count_nonzero((shown[y0:y1, x0:x1] == value) & instance.mask))
        total += instance.area
    return Pixels(kept, total) if total else None
