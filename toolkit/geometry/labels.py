"""The one annotation type that every format is written from and read into, and how classes are named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt

from toolkit.errors import ToolkitError
from toolkit.geometry.contours import Outline, trace

if TYPE_CHECKING:
    from toolkit.dataset.samples import Sample

__all__ = ["GOOD", "ClassScheme", "Instance", "LabelledImage", "class_names", "image_class", "instance_class"]

GOOD = "good"
"""Name of the folder and of the class of images without a defect, as in MVTec AD."""

ClassScheme = Literal["defect", "binary", "category", "category-defect"]


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
        union = np.zeros((self.height, self.width), np.bool_)
        for one in self.instances:
            x0, y0, x1, y1 = one.bbox
            union[y0:y1, x0:x1] |= one.mask
        return union

    def _repr_html_(self) -> str:
        from toolkit.markup import labelled_html

        return labelled_html(self)


def instance_class(sample: Sample, scheme: ClassScheme) -> str:
    """Class name of every defect of `sample` under `scheme`."""
    return {
        "defect": sample.defect,
        "binary": "defect",
        "category": sample.category,
        "category-defect": f"{sample.category}-{sample.defect}",
    }[scheme]


def image_class(sample: Sample, scheme: ClassScheme) -> str:
    """Class name of the whole image under `scheme`; a good image is "good" unless the scheme names products."""
    if scheme == "binary" and sample.defect == GOOD:
        return GOOD
    return instance_class(sample, scheme)


def class_names(samples: Iterable[Sample], scheme: ClassScheme) -> list[str]:
    """Names of the instance classes under `scheme`, sorted; good images add none.

    Raises:
        ToolkitError: `scheme` is unknown.
    """
    if scheme not in get_args(ClassScheme):
        raise ToolkitError("--classes", f"unknown scheme {scheme!r}", f"use one of {', '.join(get_args(ClassScheme))}")
    return sorted({instance_class(sample, scheme) for sample in samples if sample.defect != GOOD})
