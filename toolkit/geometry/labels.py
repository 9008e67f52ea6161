"""The one annotation type that every format is written from and read into, and how classes are named."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from toolkit.dataset.samples import GOOD
from toolkit.geometry.contours import Outline, trace

__all__ = ["Instance", "LabelledImage", "paint", "window_of"]

Value = TypeVar("Value", bound=np.generic)
Window = tuple[int, int, int, int]
"""Part of an image, half-open: (x0, y0, x1, y1) in pixels."""


@dataclass(frozen=True, eq=False)
class Instance:
    """One labelled object. Rings, run lengths and oriented boxes are derived from its mask.

    Attributes:
        label: class name.
        bbox: tight box (x0, y0, x1, y1) in pixels, half-open: x1 - x0 is the width.
        mask: bool array of shape (y1 - y0, x1 - x0), the pixels inside `bbox`.
        area: number of True pixels in `mask`.
    """

    label: str
    bbox: tuple[int, int, int, int]
    mask: npt.NDArray[np.bool_]
    area: int

    @cached_property
    def outline(self) -> Outline:
        """Corners and rings of `mask`, traced on first use."""
        return trace(self.mask)

    def whole(self, width: int, height: int) -> npt.NDArray[np.bool_]:
        """The mask at the size of its image: bool (height, width)."""
        return paint([self], [True], (0, 0, width, height), np.bool_)


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """An image and its instances; an image without instances is background (a good product).

    Attributes:
        key: unique name, parts separated by "/".
        path: the image file, or None where a label tree was written without images.
        width, height: size in pixels.
        instances: what the image shows, in a stable order.
        subset: "train", "val" or "test"; "" where none is known.
        image_label: class of the whole image, for classification.
    """

    key: str
    path: Path | None
    width: int
    height: int
    instances: tuple[Instance, ...]
    subset: str = ""
    image_label: str = GOOD

    def marked(self) -> npt.NDArray[np.bool_]:
        """The pixels of all instances together: bool (height, width)."""
        return self.painted([True] * len(self.instances), np.bool_)

    def painted(self, values: Sequence[int], dtype: type[Value]) -> npt.NDArray[Value]:
        """Map (height, width) of one value for each instance, 0 elsewhere; where they overlap, the later one shows."""
        return paint(self.instances, values, (0, 0, self.width, self.height), dtype)

    def shrunk(self, side: int) -> LabelledImage:
        """The labels on an image of at most `side` pixels; marks drawn at full size would fade when they are scaled."""
        factor = min(1.0, side / max(self.width, self.height))
        if factor == 1.0:
            return self
        width, height = (max(1, round(length * factor)) for length in (self.width, self.height))
        instances = []
        for instance in self.instances:
            y, x = np.nonzero(instance.mask)
            x = np.minimum((x + instance.bbox[0]) * width // self.width, width - 1)
            y = np.minimum((y + instance.bbox[1]) * height // self.height, height - 1)
            x0, y0, x1, y1 = int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1
            mask = np.zeros((y1 - y0, x1 - x0), np.bool_)
            mask[y - y0, x - x0] = True
            instances.append(Instance(instance.label, (x0, y0, x1, y1), mask, int(mask.sum())))
        return replace(self, width=width, height=height, instances=tuple(instances))

    def _repr_html_(self) -> str:
        # supervision looks for widgets when it is loaded, and warns where there are none; nothing here shows a bar.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="IProgress not found")
            from toolkit.plotting.overlays import labelled_html

        return labelled_html(self)


def window_of(instances: Iterable[Instance]) -> Window:
    """The common box of some instances, at least one."""
    lefts, tops, rights, bottoms = zip(*(instance.bbox for instance in instances), strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def paint(
    instances: Sequence[Instance], values: Sequence[int], window: Window, dtype: type[Value]
) -> npt.NDArray[Value]:
    """Paint instances into a window that holds them all, one after the other.

    Args:
        instances: what to paint.
        values: of each instance; 0 is where none is.
        window: part of the image.
        dtype: of the values.

    Returns:
        (y1 - y0, x1 - x0) of `dtype`; where instances overlap, the later one shows.
    """
    left, top, right, bottom = window
    canvas = np.zeros((bottom - top, right - left), dtype)
    for instance, value in zip(instances, values, strict=True):
        x0, y0, x1, y1 = instance.bbox
        canvas[y0 - top : y1 - top, x0 - left : x1 - left][instance.mask] = value
    return canvas
