"""The one index that everything reads: which images there are, their masks, their classes and their subsets."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args, overload

import numpy as np
import numpy.typing as npt

from toolkit.errors import BadInputError, Problem, ToolkitError
from toolkit.imaging.images import ImageHeader, read_header
from toolkit.imaging.masks import Mask, MaskReading, mask_of_runs, read_mask
from toolkit.markup import report_html

__all__ = [
    "GOOD",
    "BoxLabel",
    "ClassScheme",
    "Dataset",
    "LabelKind",
    "MaskFile",
    "Sample",
    "class_names",
    "class_of_image",
    "image_class",
    "inspect_sample",
    "instance_class",
    "is_good_word",
    "read_sample",
]


GOOD = "good"
"""Name of the folder and of the class of images without a defect, as in MVTec AD."""

GOOD_WORDS = frozenset({"good", "ok", "okay", "normal", "no_defect", "defect_free", "non_defective", "nodefect"})
"""Names of folders that mean the same, in lower case."""

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


class Dataset(Sequence[Sample]):
    """Samples sorted by key, and what was found wrong with them.

    Attributes:
        root: the folder that was indexed.
        layout: name of its layout, for instance "mvtec".
        layout_problems: faults seen in the names of files alone, for instance masks without images.
        notes: remarks that are no faults.
        unmasked: key -> problem of the images that should have a mask and have none; who needs none may take them.
        description: how the root is laid out, where a user said so; it goes into manifests and runs.
        passed_over: image files that the layout knows and has no use for, such as the empty masks of good images.
    """

    def __init__(
        self,
        samples: Iterable[Sample],
        *,
        root: Path,
        layout: str,
        layout_problems: Iterable[Problem] = (),
        notes: Iterable[str] = (),
        unmasked: Mapping[str, Problem] | None = None,
        description: Mapping[str, Any] | None = None,
        passed_over: Iterable[Path] = (),
    ) -> None:
        self._samples = sorted(samples, key=lambda sample: sample.key)
        self.root = root
        self.layout = layout
        self.layout_problems = tuple(sorted(layout_problems))
        self.notes = tuple(notes)
        self.unmasked = dict(unmasked or {})
        self.description = description
        self.passed_over = tuple(passed_over)

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._samples)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        return self._samples[index]

    def __repr__(self) -> str:
        return f"Dataset({str(self.root)!r}, layout={self.layout!r}, samples={len(self)})"

    def _repr_html_(self) -> str:
        return dataset_html(self)

    @property
    def categories(self) -> list[str]:
        """Products, sorted."""
        return sorted({sample.category for sample in self._samples})

    def classes(self, scheme: ClassScheme = "defect") -> list[str]:
        """Names of the defect classes under a scheme, sorted; "good" is none of them.

        Raises:
            ToolkitError: the scheme is unknown.
        """
        return class_names(self._samples, scheme)

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """Every fault of the dataset, each file read once: see the page on bad input in the documentation."""
        found = [problem for sample in self._samples for problem in inspect_sample(sample)]
        named = [*self.layout_problems, *(self.unmasked.values() if self.holds != "class" else ())]
        return (*sorted(named), *sorted(found))

    @property
    def holds(self) -> LabelKind:
        """The most that its labels tell: masks, or boxes, or a class for the whole image; masks where all are good."""
        kinds = {sample.kind for sample in self._samples}
        return next((kind for kind in ("masks", "boxes", "class") if kind in kinds), "masks")

    def only(self, categories: Sequence[str]) -> Dataset:
        """The part of the dataset that belongs to some products.

        Raises:
            ToolkitError: a category is not in the dataset.
        """
        unknown = [name for name in categories if name not in self.categories]
        if unknown:
            raise ToolkitError(
                self.root, f"has no category {unknown[0]!r}", f"it has: {', '.join(self.categories) or 'none'}"
            )
        folders = tuple(f"{self.root / name}{os.sep}" for name in categories)
        others = tuple(f"{name} differs " for name in self.categories if name not in categories)
        return Dataset(
            (sample for sample in self._samples if sample.category in categories),
            root=self.root,
            layout=self.layout,
            layout_problems=[
                p for p in self.layout_problems if p.file.startswith(folders) or len(self.categories) == 1
            ],
            notes=[note for note in self.notes if not note.startswith(others)],
            unmasked=self.unmasked,
            description=self.description,
        )

    def with_problems(self, problems: Iterable[Problem]) -> Dataset:
        """The dataset with further faults of its layout."""
        return Dataset(
            self._samples,
            root=self.root,
            layout=self.layout,
            layout_problems=[*self.layout_problems, *problems],
            notes=self.notes,
            unmasked=self.unmasked,
            description=self.description,
            passed_over=self.passed_over,
        )

    def without(self, keys: Iterable[str]) -> Dataset:
        """The dataset less some samples."""
        dropped = set(keys)
        kept = [replace(sample) for sample in self._samples if sample.key not in dropped]
        return Dataset(
            kept,
            root=self.root,
            layout=self.layout,
            notes=self.notes,
            unmasked={key: problem for key, problem in self.unmasked.items() if key not in dropped},
            description=self.description,
        )


@dataclass(frozen=True, eq=False)
class Inspected:
    """A sample's size and masks, read and checked.

    Attributes:
        header: the image's size in pixels and its channels.
        masks: class -> the union of its masks, in the order in which the classes first come; empty for a good sample.
    """

    header: ImageHeader
    masks: dict[str, Mask]

    def marked(self) -> npt.NDArray[np.bool_]:
        """What is marked, of whatever class: bool (height, width)."""
        whole = np.zeros((self.header.height, self.header.width), np.bool_)
        for mask in self.masks.values():
            whole |= mask.pixels() > 0
        return whole


def read_sample(sample: Sample, threshold: int | None = None) -> Inspected:
    """Read an image's header and its masks.

    Args:
        sample: which files to read.
        threshold: as in `read_mask`, for masks that have none of their own.

    Raises:
        BadInputError: with everything that is wrong with the files.
    """
    problems: list[Problem] = []
    header: ImageHeader | None = None
    masks: dict[str, Mask] = {}
    try:
        header = read_header(sample.image)
    except ToolkitError as error:
        problems += error.problems
    for file in sample.masks:
        try:
            mask = _read(file, threshold, header)
        except ToolkitError as error:
            problems += error.problems
            continue
        if header is not None and (mask.width, mask.height) != (header.width, header.height):
            problems.append(_sizes_differ(sample, file.path, mask, header))
        elif not problems:
            label = file.label or sample.defect
            masks[label] = masks[label].union(mask) if label in masks else mask
    if not problems and masks and not any(mask.crop.size for mask in masks.values()):
        remedy = "move the image to test/good, or mark its defect"
        problems.append(Problem(str(sample.masks[0]), "the mask of a defect image is all zero", remedy))
    if problems or header is None:
        raise BadInputError(problems)
    return Inspected(header, masks)


def _read(file: MaskFile, threshold: int | None, header: ImageHeader | None) -> Mask:
    if file.runs:
        size = (header.width, header.height) if header is not None else (0, 0)
        return mask_of_runs(file.runs, size, file.path)
    chosen = threshold if file.threshold is None and not file.reading else file.threshold
    return read_mask(file.path, chosen, file.values, file.reading)


def _sizes_differ(sample: Sample, path: Path, mask: Mask, header: ImageHeader) -> Problem:
    return Problem(
        str(path),
        f"is {mask.width} x {mask.height} pixels, its image {sample.image} is {header.width} x {header.height}",
        "make the two the same size",
    )


def inspect_sample(sample: Sample, threshold: int | None = None) -> tuple[Problem, ...]:
    """Every fault of one sample's files; none if they are sound."""
    try:
        read_sample(sample, threshold)
    except ToolkitError as error:
        return error.problems
    return ()


def is_good_word(name: str) -> bool:
    """Whether the name of a class says that there is no defect: good, OK, Normal, defect-free and the like."""
    return name.lower().replace(" ", "_").replace("-", "_") in GOOD_WORDS


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
    if scheme == "binary" and defect == GOOD:
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


def dataset_html(dataset: Dataset) -> str:
    """A dataset: images by class and subset, or by product where it has several; and what its names tell is wrong."""
    single = len(dataset.categories) == 1
    counts = Counter((sample.defect if single else sample.category, sample.split) for sample in dataset)
    subsets = [name for name in ("train", "val", "test") if any(key[1] == name for key in counts)]
    names = sorted({name for name, _ in counts}, key=lambda name: (name != GOOD or not single, name))
    rows = [
        [name, *(counts[name, subset] for subset in subsets), sum(counts[name, subset] for subset in subsets)]
        for name in names
    ]
    products = dataset.categories[0] if single else f"{len(dataset.categories)} products"
    return report_html(
        f"Dataset {dataset.root}",
        f"{products}, {len(dataset)} images, {len(dataset.classes())} kinds of defect, layout {dataset.layout}",
        ["class" if single else "product", *subsets, "images"],
        rows,
        lists={"Notes": dataset.notes, "Problems, as far as names tell": dataset.layout_problems},
    )
