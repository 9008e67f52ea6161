"""The one index that everything reads: which images there are, their masks, their classes and their subsets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import overload

from toolkit.errors import Problem, ToolkitError
from toolkit.geometry.labels import ClassScheme, class_names

__all__ = ["Dataset", "Sample", "file_name", "key_of_file_name", "load_dataset"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a dataset.

    Attributes:
        key: unique name, "category/split/defect/stem" with "/" between the parts.
        image: the image file.
        masks: mask files, whose union is the defect; empty if the image is good.
        category: product, for instance "screw".
        defect: kind of defect, or "good".
        split: subset in the dataset's own layout, for instance "train" or "test".
    """

    key: str
    image: Path
    masks: tuple[Path, ...]
    category: str
    defect: str
    split: str


class Dataset(Sequence[Sample]):
    """Samples sorted by key, and what was found wrong with them.

    Attributes:
        root: the folder that was indexed.
        layout: name of its layout, for instance "mvtec".
        layout_problems: faults seen in the names of files alone: masks without images, images without masks.
        notes: remarks that are no faults.
    """

    def __init__(
        self,
        samples: Iterable[Sample],
        *,
        root: Path,
        layout: str,
        layout_problems: Iterable[Problem] = (),
        notes: Iterable[str] = (),
    ) -> None:
        self._samples = sorted(samples, key=lambda sample: sample.key)
        self.root = root
        self.layout = layout
        self.layout_problems = tuple(sorted(layout_problems))
        self.notes = tuple(notes)

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
        from toolkit.markup import dataset_html

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
        from toolkit.dataset.inspection import inspect_sample

        found = [problem for sample in self._samples for problem in inspect_sample(sample)]
        return (*self.layout_problems, *sorted(found))

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
        )

    def without(self, keys: Iterable[str]) -> Dataset:
        """The dataset less some samples."""
        dropped = set(keys)
        kept = [replace(sample) for sample in self._samples if sample.key not in dropped]
        return Dataset(kept, root=self.root, layout=self.layout, layout_problems=(), notes=self.notes)


def load_dataset(root: str | Path) -> Dataset:
    """Index a dataset: a dataset root, a single category folder, or a folder that holds either one level down.

    Only names are read here, so that a hundred thousand samples take seconds. `Dataset.problems` reads the files.

    Raises:
        ToolkitError: the folder does not exist, holds nothing, or has no known layout.
    """
    from toolkit.dataset.layouts import index_root

    return index_root(Path(root))


def file_name(key: str) -> str:
    """File name, without ending, that stands for a key: "/" becomes "__".

    Reversible (`key_of_file_name`): underscores that could be taken for a separator, and "%", are written as in URLs.
    """
    return "__".join(_escape(part) for part in key.split("/"))


def _escape(part: str) -> str:
    if "_" not in part and "%" not in part:
        return part
    part = part.replace("%", "%25").replace("__", "%5F%5F")
    if part.startswith("_"):
        part = "%5F" + part[1:]
    return part[:-1] + "%5F" if part.endswith("_") else part


def key_of_file_name(name: str) -> str:
    """The key that `file_name` made a name (without ending) from."""
    return "/".join(part.replace("%5F", "_").replace("%25", "%") for part in name.split("__"))
