"""The one annotation type that every format is written from and read into, and how classes are named."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from toolkit.dataset.samples import GOOD, LabelKind
from toolkit.geometry.contours import centre_rings, edge_rings
from toolkit.geometry.parts import Part
from toolkit.geometry.tracing import SMALL, IntArray, Outline, trace

__all__ = ["FLAGS", "Box", "Instance", "LabelledImage", "flag_value", "paint", "plain_attributes", "window_of"]

Value = TypeVar("Value", bound=np.generic)
Box = tuple[float, float, float, float]
"""Sides of a box, half-open: (x0, y0, x1, y1) in pixels."""

FLAGS = ("occluded", "truncated", "difficult")
"""Attributes that are yes or no, for which formats have places of their own: 1 and 0."""

_FLAG_WORDS = {"1": "1", "true": "1", "yes": "1", "0": "0", "false": "0", "no": "0"}

Window = tuple[int, int, int, int]
"""Part of an image, half-open: (x0, y0, x1, y1) in pixels."""


def flag_value(text: str) -> str | None:
    """What a text says as a flag: "1" for yes, "0" for no; None where it is neither."""
    return _FLAG_WORDS.get(text.strip().lower())


def plain_attributes(attributes: Mapping[str, str]) -> dict[str, str]:
    """Attributes of an object whose flags are told in one way: "1" for yes; no, like nothing, is left out."""
    plain = {name: flag_value(text) or text if name in FLAGS else text for name, text in attributes.items()}
    return {name: text for name, text in plain.items() if name not in FLAGS or text != "0"}


@dataclass(frozen=True, eq=False)
class Instance:
    """One labelled object. Rings, run lengths and oriented boxes are derived from its mask.

    Attributes:
        label: class name.
        bbox: box (x0, y0, x1, y1) in pixels, half-open: x1 - x0 is the width. Whole numbers, and tight, where there is
            a mask; else as the source has it.
        mask: bool array of shape (y1 - y0, x1 - x0), the pixels inside `bbox`; None where the source has a box alone.
        area: number of True pixels in `mask`; of a box alone the whole pixels of `window`.
        attributes: what else the source says of it, text by name.
        part: the part of a traced mask that it is, if it was found as one: then its rings are known.
    """

    label: str
    bbox: Box
    mask: npt.NDArray[np.bool_] | None
    area: int
    attributes: Mapping[str, str] = field(default_factory=dict)
    part: Part | None = field(default=None, repr=False)

    @classmethod
    def of_box(
        cls, label: str, box: Box, size: tuple[int, int], attributes: Mapping[str, str] | None = None
    ) -> Instance | None:
        """An object of which the source has a box alone, as far as it lies in an image of `size` (width, height).

        None where no part of it does.
        """
        x0, y0, x1, y1 = (min(max(side, 0), size[place % 2]) for place, side in enumerate(box))
        if not (x1 > x0 and y1 > y0):
            return None
        found = cls(label, (x0, y0, x1, y1), None, 0, attributes or {})
        left, top, right, bottom = found.window
        return replace(found, area=(right - left) * (bottom - top))

    @property
    def outline(self) -> Outline:
        """Corners and rings of `region`, traced on first use. Those of specks are not kept: there may be thousands."""
        return trace(self.region) if self.area <= SMALL and self.region.size <= SMALL else self._outline

    @cached_property
    def _outline(self) -> Outline:
        return trace(self.region)

    @property  # not kept: of thousands of instances that would be much
    def edge_rings(self) -> list[IntArray]:
        """Rings along the pixels' edges of `region`, in its coordinates: `contours.edge_rings`."""
        return self.part.edge_rings if self.part is not None else edge_rings(self.outline)

    @property
    def centre_rings(self) -> list[IntArray]:
        """Rings through the pixels' centres of `region`, in its coordinates: `contours.centre_rings`."""
        return self.part.centre_rings if self.part is not None else centre_rings(self.outline)

    @property
    def window(self) -> Window:
        """The box in whole pixels, at least one: `bbox` itself where there is a mask."""
        x0, y0, x1, y1 = self.bbox
        if self.mask is not None:
            return int(x0), int(y0), int(x1), int(y1)
        left, right = _whole(x0, x1)
        top, bottom = _whole(y0, y1)
        return left, top, right, bottom

    @property
    def region(self) -> npt.NDArray[np.bool_]:
        """The pixels in `window`: the mask, or all of them where the source has a box alone."""
        if self.mask is not None:
            return self.mask
        x0, y0, x1, y1 = self.window
        return np.ones((y1 - y0, x1 - x0), np.bool_)

    def whole(self, width: int, height: int) -> npt.NDArray[np.bool_]:
        """The region at the size of its image: bool (height, width)."""
        return paint([self], [True], (0, 0, width, height), np.bool_)


def _whole(low: float, high: float) -> tuple[int, int]:
    """The side of a box in whole pixels, at least one."""
    first, last = math.floor(low + 0.5), math.floor(high + 0.5)
    return (first, last) if last > first else (math.floor(low), math.floor(low) + 1)


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
        kind: what its labels consist of, as in `toolkit.dataset.samples.Sample`.
        left_out: what its labels list and what marks none of its pixels, one line each.
    """

    key: str
    path: Path | None
    width: int
    height: int
    instances: tuple[Instance, ...]
    subset: str = ""
    image_label: str = GOOD
    kind: LabelKind = "masks"
    left_out: tuple[str, ...] = ()

    def marked(self) -> npt.NDArray[np.bool_]:
        """The pixels of all instances together: bool (height, width)."""
        return self.painted([True] * len(self.instances), np.bool_)

    def painted(self, values: Sequence[int], dtype: type[Value]) -> npt.NDArray[Value]:
        """Map (height, width) of one value for each instance, 0 elsewhere; where they overlap, the later one shows."""
        return paint(self.instances, values, (0, 0, self.width, self.height), dtype)

    def binary(self) -> LabelledImage:
        """The same labels with one class, "defect"; a good image stays good."""
        instances = tuple(replace(one, label="defect") for one in self.instances)
        good = self.image_label == GOOD and not instances  # a class of objects may bear that name, too
        return replace(self, instances=instances, image_label=GOOD if good else "defect")

    def shrunk(self, side: int) -> LabelledImage:
        """The labels on an image of at most `side` pixels; marks drawn at full size would fade when they are scaled."""
        factor = min(1.0, side / max(self.width, self.height))
        if factor == 1.0:
            return self
        width, height = (max(1, round(length * factor)) for length in (self.width, self.height))
        instances = []
        for instance in self.instances:
            left, top = instance.window[:2]
            y, x = np.nonzero(instance.region)
            x = np.minimum((x + left) * width // self.width, width - 1)
            y = np.minimum((y + top) * height // self.height, height - 1)
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
    lefts, tops, rights, bottoms = zip(*(instance.window for instance in instances), strict=True)
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
        x0, y0, x1, y1 = instance.window
        canvas[y0 - top : y1 - top, x0 - left : x1 - left][instance.region] = value
    return canvas
