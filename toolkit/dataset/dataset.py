"""The images of a dataset as one sequence, and what was found wrong with them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

from toolkit.dataset.inspection import inspect_sample
from toolkit.dataset.samples import GOOD, ClassScheme, LabelKind, Sample, class_names, packed_samples
from toolkit.errors import Problem, ToolkitError
from toolkit.markup import report_html
from toolkit.packed import Packed

__all__ = ["Dataset", "dataset_html"]


class Dataset(Sequence[Sample]):
    """Samples sorted by key, and what was found wrong with them. A sample is a new object whenever it is asked for.

    Attributes:
        root: the folder that was indexed.
        layout: name of its layout, for instance "mvtec".
        layout_problems: faults seen in the names of files alone, for instance masks without images.
        notes: remarks that are no faults.
        unmasked: key -> problem of the images that should have a mask and have none; who needs none may take them.
        description: how the root is laid out, where a user said so; it goes into manifests and runs.
        examples: of each pattern of such a description an image, its masks, and what it is taken for.
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
        examples: Iterable[tuple[str, str, str, str]] = (),
    ) -> None:
        self._samples = samples if isinstance(samples, Packed) else packed_samples(samples)
        self._samples.sort()
        self.root = root
        self.layout = layout
        self.layout_problems = tuple(sorted(layout_problems))
        self.notes = tuple(notes)
        self.unmasked = dict(unmasked or {})
        self.description = description
        self.passed_over = tuple(passed_over)
        self.examples = tuple(examples)

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
        return (*self.named_problems, *sorted(found))

    @property
    def named_problems(self) -> tuple[Problem, ...]:
        """What names alone tell is wrong, masks that are missing included where others are there."""
        return tuple(sorted((*self.layout_problems, *(self.unmasked.values() if self.holds != "class" else ()))))

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
        known = self.categories
        unknown = [name for name in categories if name not in known]
        if unknown:
            raise ToolkitError(self.root, f"has no category {unknown[0]!r}", f"it has: {', '.join(known) or 'none'}")
        folders = tuple(f"{self.root / name}{os.sep}" for name in categories)
        others = tuple(f"{name} differs " for name in known if name not in categories)
        kept = [sample for sample in self._samples if sample.category in categories]
        keys = {sample.key for sample in kept}
        return Dataset(
            kept,
            root=self.root,
            layout=self.layout,
            layout_problems=[p for p in self.layout_problems if p.file.startswith(folders) or len(known) == 1],
            notes=[note for note in self.notes if not note.startswith(others)],
            unmasked={key: problem for key, problem in self.unmasked.items() if key in keys},
            description=self.description,
            examples=self.examples,
        )

    def with_problems(self, problems: Iterable[Problem], notes: Iterable[str] = ()) -> Dataset:
        """The dataset with further faults of its layout, and notes."""
        return Dataset(
            self._samples,
            root=self.root,
            layout=self.layout,
            layout_problems=[*self.layout_problems, *problems],
            notes=[*self.notes, *notes],
            unmasked=self.unmasked,
            description=self.description,
            examples=self.examples,
            passed_over=self.passed_over,
        )

    def without(self, keys: Iterable[str]) -> Dataset:
        """The dataset less some samples."""
        dropped = set(keys)
        kept = [sample for sample in self._samples if sample.key not in dropped]
        return Dataset(
            kept,
            root=self.root,
            layout=self.layout,
            notes=self.notes,
            unmasked={key: problem for key, problem in self.unmasked.items() if key not in dropped},
            description=self.description,
            examples=self.examples,
        )


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
        lists={"Notes": dataset.notes, "Problems, as far as names tell": dataset.named_problems},
    )
