"""Label maps: their names, and what of the instances shows in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from converters.formats.base import Pixels, image_name
from toolkit.geometry.labels import LabelledImage

__all__ = ["label_name", "pixels_kept"]


def label_name(image: LabelledImage) -> str:
    """Name of an image's label file: that of the image, as PNG."""
    return image_name(image).rpartition(".")[0] + ".png"


def pixels_kept(
    shown: npt.NDArray[np.generic], image: LabelledImage, values: Sequence[int]
) -> tuple[Pixels | None, int]:
    """How well a map shows the instances, and the pixels of theirs that it gives to another one.

    A map holds one value a pixel: what it can be right about is the instances as painted, the later over the earlier.
    What those hide is counted by itself.
    """
    kept = total = 0
    for instance, value in zip(image.instances, values, strict=True):
        x0, y0, x1, y1 = instance.window
        kept += int(np.count_nonzero((shown[y0:y1, x0:x1] == value) & instance.region))
        total += instance.area
    if not total:
        return None, 0
    if kept == total:
        return Pixels(kept, total), 0
    union = int(np.count_nonzero(shown))
    return Pixels(union, union), total - kept
