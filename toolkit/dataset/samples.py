"""The one index that everything reads: which images there are, their masks, their classes and their subsets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

from toolkit.errors import ToolkitError
from toolkit.imaging.masks import MaskReading
from toolkit.packed import Folders, Packed

__all__ = [
    "GOOD",
    "BoxLabel",
    "ClassScheme",
    "LabelKind",
    "MaskFile",
    "Sample",
    "class_names",
    "class_of_image",
    "image_class",
    "instance_class",
    "is_background_word",
    "is_good_word",
    "packed_samples",
]


GOOD = "good"
"""Name of the folder and of the class of images without a defect, as in MVTec AD."""

GOOD_WORDS = frozenset({"good", "ok", "okay", "normal", "no_defect", "defect_free", "non_defective", "nodefect"})
"""Names of folders that mean the same, in lower case."""

BACKGROUND_WORDS = frozenset(
    {
        *("background", "bg", "none", "nothing", "void", "unlabeled", "unlabelled", "ignore", "ignored"),
        *("empty", "null", "hintergrund"),
    }
)
"""Names of values in masks that mark nothing, in lower case."""

COMBINED = "combined"
"""Class of an image that shows several classes, as in MVTec AD."""

ClassScheme = Literal["defect", "binary", "category", "category-defect"]
LabelKind = Literal["masks", "boxes", "class", "good", "unlabelled"]


@dataclass(frozen=True, slots=True)
class MaskFile(PathLike[str]):
    """A mask of an image: its file, which of its values are marked, and as what. It can stand for its path.

    Attributes:
        path: the file.
        values: values that count, palette indices as they stand; empty for a mask that holds 0 and one full value.
        threshold: values of this or more count, in the file's own range; None where `values` decides.
        label: class of what is marked; "" for that of the sample.
        reading: what the values are, as in `toolkit.imaging.masks.read_mask`.
        runs: the mask as run lengths "start length ...", from 1, column by column, where `path` is a table that has it.
    """

    path: Path
    values: tuple[int, ...] = ()
    threshold: int | None = None
    label: str = ""
    reading: MaskReading = ""
    runs: str = ""

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class BoxLabel:
    """An object of which a dataset has a box alone: class, (x0, y0, x1, y1) in pixels, half-open, and attributes."""

    label: str
    bbox: tuple[float, float, float, float]
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a dataset.

    Attributes:
        key: unique name, "category/split/defect/stem" with "/" between the parts.
        image: the image file.
        masks: its masks; those of one class together are what is marked of it. Empty where there are none. A bare path
            stands for a mask of 0 and one full value.
        category: product, for instance "screw".
        defect: kind of defect of the whole image, or "good"; "" where only its masks tell.
        split: subset in the dataset's own layout, for instance "train" or "test".
        group: what must not be torn apart by a split, for instance the item that was photographed; "" for none.
        kind: what its label consists of: masks, boxes, a class for the whole image, good (nothing to mark), or nothing.
        boxes: objects that have a box alone.
    """

    key: str
    image: Path
    masks: tuple[MaskFile, ...]
    category: str
    defect: str
    split: str
    group: str = ""
    kind: LabelKind | None = None
    boxes: tuple[BoxLabel, ...] = ()

    def __post_init__(self) -> None:
        whole = tuple(mask if isinstance(mask, MaskFile) else MaskFile(mask) for mask in self.masks)
        object.__setattr__(self, "masks", whole)
        if self.kind is None:
            marked: LabelKind = "masks" if whole else "boxes" if self.boxes else "class"
            kind = "good" if self.defect == GOOD and marked == "class" else marked
            object.__setattr__(self, "kind", kind)

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes that it shows, sorted; none if it is good or unlabelled."""
        if self.kind in ("good", "unlabelled") or self.defect == GOOD:
            return ()
        marked = {*(mask.label for mask in self.masks), *(box.label for box in self.boxes)}
        return tuple(sorted({label or self.defect for label in marked} or {self.defect}))


def packed_samples(samples: Iterable[Sample] = ()) -> Packed[Sample]:
    """Samples in a sequence that takes little memory: see `toolkit.packed`."""
    folders = Folders()
    return Packed(partial(pack_sample, folders), partial(unpack_sample, folders), samples)


def pack_sample(folders: Folders, sample: Sample) -> tuple[Any, ...]:
    """A sample as plain values."""
    masks = tuple(
        (folders.told(one.path), one.values, one.threshold, one.label, one.reading, one.runs) for one in sample.masks
    )
    boxes = tuple((one.label, one.bbox, one.attributes) for one in sample.boxes)
    whole = (sample.key, folders.told(sample.image), sample.category, sample.defect, sample.split, sample.kind, masks)
    return (*whole, sample.group, boxes) if sample.group or boxes else whole


def unpack_sample(folders: Folders, told: Sequence[Any]) -> Sample:
    """The sample that `pack_sample` was given."""
    key, image, category, defect, split, kind, masks, *rest = told
    files = tuple(MaskFile(folders.path(place), *one) for place, *one in masks)
    group, boxes = rest or ("", ())
    found = tuple(BoxLabel(*one) for one in boxes)
    return Sample(key, folders.path(image), files, category, defect, split, group, kind, found)


def is_good_word(name: str) -> bool:
    """Whether the name of a class says that there is no defect: good, OK, Normal, defect-free and the like."""
    return name.lower().replace(" ", "_").replace("-", "_") in GOOD_WORDS


def is_background_word(name: str) -> bool:
    """Whether the name of a value in masks says that nothing is marked: background, none, good and the like."""
    return is_good_word(name.strip(" _")) or name.lower().strip(" _") in BACKGROUND_WORDS


def class_of_image(classes: Iterable[str]) -> str:
    """Class of a whole image that shows defects of the given classes."""
    found = sorted(set(classes))
    return GOOD if not found else found[0] if len(found) == 1 else COMBINED


def instance_class(sample: Sample, scheme: ClassScheme, label: str = "") -> str:
    """Class name under `scheme` of what is marked in `sample` as `label`, by default as its defect."""
    defect = label or sample.defect
    return {
        "defect": defect,
        "binary": "defect",
        "category": sample.category,
        "category-defect": f"{sample.category}-{defect}",
    }[scheme]


def image_class(sample: Sample, scheme: ClassScheme) -> str:
    """Class name of the whole image under `scheme`; a good image is "good" unless the scheme names products."""
    defect = sample.defect or class_of_image(sample.labels)
    if scheme == "binary" and defect == GOOD and not sample.labels:
        return GOOD
    return instance_class(sample, scheme, defect)


def class_names(samples: Iterable[Sample], scheme: ClassScheme) -> list[str]:
    """Names of the instance classes under `scheme`, sorted; good images add none.

    Raises:
        ToolkitError: `scheme` is unknown.
    """
    if scheme not in get_args(ClassScheme):
        raise ToolkitError("--classes", f"unknown scheme {scheme!r}", f"use one of {', '.join(get_args(ClassScheme))}")
    return sorted({instance_class(sample, scheme, label) for sample in samples for label in sample.labels})
