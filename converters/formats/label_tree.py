"""Label trees -> labelled images: which kind of tree a folder is, and one way to go through all kinds."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.formats.base import Labelled, Settings
from converters.rasterize import Rounding
from toolkit.dataset.keys import key_of_file_name
from toolkit.dataset.samples import GOOD, ClassScheme, LabelKind, Sample, class_of_image
from toolkit.errors import Problem, ToolkitError
from toolkit.geometry.labels import Instance, LabelledImage

__all__ = [
    "LabelRecord",
    "LabelTree",
    "assign_keys",
    "make_records",
    "subset_of_name",
    "walk_files",
]


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """One image of a label tree, before its labels are read.

    Attributes:
        sample: key, image, class and subset. `image` may not exist in a tree without images.
        load: reads the labels; a module-level function, so that a record can be sent to another process.
        payload: what `load` needs, for instance the path of a label file.
        names: class id -> name, shared by the records of a tree.
        size: width and height in pixels where the tree tells them, else None.
    """

    sample: Sample
    load: Callable[[LabelRecord, Rounding], Sequence[Instance]]
    payload: Any
    names: dict[int, str]
    size: tuple[int, int] | None = None

    @property
    def missing(self) -> Problem | None:
        """Nothing: what a tree lacks is among its problems."""
        return None

    def labelled(self, scheme: ClassScheme = "defect", rounding: Rounding = "truncate") -> LabelledImage:
        """Read the labels.

        Args:
            scheme: "defect" keeps the classes, "binary" makes them one.
            rounding: how coordinates of YOLO polygons become pixels.

        Raises:
            ToolkitError: the label or the image is at fault.
        """
        width, height = self.image_size()
        instances = tuple(self.load(self, rounding))
        label = self.sample.defect
        if scheme == "binary":
            instances = tuple(replace(i, label="defect") for i in instances)
            label = GOOD if label == GOOD else "defect"
        path = self.sample.image if self.sample.image.name and self.sample.image.exists() else None
        kind = self.sample.kind or "masks"
        return LabelledImage(self.sample.key, path, width, height, instances, self.sample.split, label, kind)

    def read(self, settings: Settings, subset: str = "") -> Labelled:
        """Read the labels as a conversion takes them: instances stand as they are labelled.

        Args:
            settings: those below its minimum area are left out, and reported.
            subset: of the image from now on; "" for its own.

        Raises:
            ToolkitError: the label or the image is at fault.
        """
        image = self.labelled(settings.scheme)
        kept = tuple(instance for instance in image.instances if instance.area >= settings.min_area)
        too_small = tuple(instance.area for instance in image.instances if instance.area < settings.min_area)
        told = replace(image, instances=kept, subset=subset or image.subset)
        return Labelled(told, len(image.instances), too_small)

    def inspect(self, settings: Settings) -> tuple[Problem, ...]:
        """Everything that is wrong with its files."""
        try:
            self.labelled()
        except ToolkitError as error:
            return error.problems
        return ()

    def marked(self) -> npt.NDArray[np.bool_] | None:
        """The pixels of all instances together, bool (height, width); None where labels say nothing of places.

        Raises:
            ToolkitError: the label or the image is at fault.
        """
        return None if self.sample.kind == "class" else self.labelled().marked()

    def image_size(self) -> tuple[int, int]:
        """Width and height in pixels.

        Raises:
            ToolkitError: the tree does not tell, and the image cannot be read.
        """
        if self.size is not None:
            return self.size
        from toolkit.imaging.images import read_header

        header = read_header(self.sample.image)
        return header.width, header.height


class LabelTree:
    """The images of a label tree. Iterating reads and yields one `LabelledImage` after the other.

    Attributes:
        root: the tree.
        kind: its format.
        names: class names, in the order of their ids.
        records: one for each image, sorted by key.
        manifest: its manifest; None where another tool wrote the tree.
        layout_problems, notes: as in `toolkit.dataset.samples.Dataset`.
    """

    def __init__(
        self,
        root: Path,
        kind: str,
        names: Iterable[str],
        records: Iterable[LabelRecord],
        *,
        manifest: Mapping[str, Any] | None,
        layout_problems: Iterable[Problem] = (),
        notes: Iterable[str] = (),
    ) -> None:
        self.root = root
        self.kind = kind
        self.names = list(names)
        self.records = sorted(records, key=lambda record: record.sample.key)
        self.manifest = manifest
        self.layout_problems = tuple(sorted(layout_problems))
        self.notes = tuple(notes)
        twice = [key for key, count in Counter(record.sample.key for record in self.records).items() if count > 1]
        if twice:
            raise ToolkitError(root, f"two images share the name {twice[0]!r}", "rename one of them")

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[LabelledImage]:
        return (record.labelled() for record in self.records)

    def __repr__(self) -> str:
        return f"LabelTree({str(self.root)!r}, kind={self.kind!r}, images={len(self)})"

    @property
    def samples(self) -> list[Sample]:
        """The images as samples, for `split_dataset`; their `defect` is the class of the image."""
        return [record.sample for record in self.records]

    def classes(self, scheme: ClassScheme = "defect") -> list[str]:
        """Class names in the order of their ids.

        Raises:
            ToolkitError: the scheme needs products, which labels do not name.
        """
        if scheme == "defect":
            return list(self.names)
        if scheme == "binary":
            return ["defect"]
        raise ToolkitError(
            self.root, f"labels name no products, so there is no scheme {scheme!r}", "use defect or binary"
        )


def subset_of_name(name: str) -> str | None:
    """Subset that a folder or file name speaks of, for instance "valid" or "train2017"; None if none."""
    lowered = name.lower()
    for subset, starts in {"train": ("train",), "val": ("val",), "test": ("test",)}.items():
        if lowered.startswith(starts):
            return subset
    return None


def assign_keys(names: Sequence[tuple[str, str]], *, ours: bool) -> list[str]:
    """Unique keys for (subset, name without ending) pairs.

    Trees of ours have keys in their file names. Others get the bare name; if names recur, with the subset before it,
    and the folders too if need be.
    """
    short = [name.rpartition("/")[2] for _, name in names]
    if ours:
        return [key_of_file_name(name) for name in short]
    subsets = [subset for subset, _ in names]
    longer = [f"{subset}/{name}" for subset, name in zip(subsets, short, strict=True)]
    return next((keys for keys in (short, longer) if len(set(keys)) == len(keys)), ["/".join(pair) for pair in names])


@dataclass(frozen=True)
class FoundImage:
    """An image of a tree that is being indexed: subset, name without ending, file, payload and classes seen.

    The name may have folders before it, which tell images of one name apart.
    """

    subset: str
    stem: str
    image: Path
    payload: Any
    classes: tuple[str, ...]
    size: tuple[int, int] | None = None


def make_records(
    found: Sequence[FoundImage],
    load: Callable[[LabelRecord, Rounding], Sequence[Instance]],
    names: dict[int, str],
    *,
    ours: bool,
    kind: LabelKind = "masks",
) -> list[LabelRecord]:
    """Records of the images of a tree, with unique keys; `kind` says what the labels of defects consist of."""
    records = []
    for one, key in zip(found, assign_keys([(one.subset, one.stem) for one in found], ours=ours), strict=True):
        parts = key.split("/")
        category = parts[0] if ours and len(parts) == 4 else "product"
        defect = class_of_image(one.classes)
        told = "good" if defect == GOOD and kind != "class" else kind
        sample = Sample(key, one.image, (), category, defect, one.subset, kind=told)
        records.append(LabelRecord(sample, load, one.payload, names, one.size))
    return records


def walk_files(folder: Path) -> Iterator[Path]:
    """All files below a folder, in order."""
    for parent, folders, files in os.walk(folder):
        folders.sort()
        yield from (Path(parent) / name for name in sorted(files))
