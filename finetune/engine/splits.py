"""Images to learn from: a dataset or label tree and a split of it; without torch."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from converters.sources import LayoutLike, Source, SourceLike, open_source
from finetune.engine.config import Depth
from toolkit.dataset.samples import GOOD, Sample
from toolkit.dataset.splits import SUBSETS, load_split, read_split, split_dataset
from toolkit.errors import BadInputError, Problem, ToolkitError

__all__ = [
    "ImageRecord",
    "ImageRecords",
    "SplitConfig",
    "check_layout",
    "open_as_told",
    "open_examples",
]


class SplitConfig(BaseModel):
    """Which images are train, val and test."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Path | None = Field(default=None, description="a split CSV; the other keys are then unused.")
    strategy: Literal["auto", "native", "stratified", "uniform", "kfold"] = Field(
        default="auto",
        description=(
            'as in `split_dataset`; "auto" keeps the data\'s own subsets where each class can be learnt from them, and '
            "else draws a stratified split, since MVTec's train folder holds only good images."
        ),
    )
    val: float | None = Field(
        default=None,
        description='of a "stratified" draw, share of the images, .1 where null; "kfold" takes it too, 0 where null.',
    )
    test: float | None = Field(default=None, description='of a "stratified" draw, share of the images, .2 where null.')
    per_class: int = Field(default=10, description='of "uniform", images of each class.')
    test_per_class: int = Field(default=2, description='of "uniform", how many of them are test.')
    folds: int = Field(default=5, description='of "kfold", their number.')
    fold: int = Field(default=0, description='of "kfold", which of them is test, from 0.')
    seed: int = Field(default=0, description="of the draw.")
    group: str | None = Field(
        default=None,
        description=(
            'images that share a subset: "near-duplicates", or a pattern over keys, "{part}_*": those where {part} is '
            'the same; "auto" then draws.'
        ),
    )
    leave_out: str | tuple[str, ...] = Field(
        default=(), description='classes to do without, a name or a list of names; "auto" then draws.'
    )


@dataclass(frozen=True)
class ImageRecord:
    """An image to learn from.

    Attributes:
        key: its unique name.
        image: its file.
        label: its class, "good" if it shows no defect.
        category: its product.
        subset: "train", "val" or "test".
    """

    key: str
    image: Path
    label: str
    category: str
    subset: str


@dataclass(frozen=True, eq=False)
class ImageRecords:
    """The images of a dataset or a label tree, each with its class and subset.

    Attributes:
        root: where they are.
        examples: sorted by key.
        classes: names, "good" first; the position is the class's index.
        notes: what a user should know of the split.
        source: what their labels are read from; None for examples that were made by hand.
        digests: key -> SHA-256 of the file, once they were looked at: of these and of images that no subset has.
        depth: by what images of more than 8 bits are scaled, once they were looked at; as `LearnerConfig.depth`.
    """

    root: Path
    examples: tuple[ImageRecord, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    source: Source | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    depth: Depth = "each"

    def subset(self, name: str) -> list[ImageRecord]:
        """The examples of one subset, sorted by key."""
        return [example for example in self.examples if example.subset == name]

    @property
    def labels(self) -> dict[str, str]:
        """Key -> class."""
        return {example.key: example.label for example in self.examples}

    @property
    def subsets(self) -> dict[str, str]:
        """Key -> subset."""
        return {example.key: example.subset for example in self.examples}

    def counts(self, name: str) -> list[int]:
        """Images of each class in a subset, in the order of `classes`."""
        found = Counter(example.label for example in self.subset(name))
        return [found[label] for label in self.classes]


def open_examples(
    data: SourceLike,
    split: SplitConfig | None = None,
    layout: LayoutLike = None,
    categories: str | Sequence[str] = (),
    on_problem: Literal["fail", "skip"] = "fail",
) -> ImageRecords:
    """Index the images of a dataset root, a category folder or a label tree, and split them.

    Images that carry no label are left out.

    Args:
        data: what to open.
        split: which images are train, val and test.
        layout: how it is laid out; found by itself if None.
        categories: products to take; none for all.
        on_problem: "skip" takes what is there where others are missing or at fault, and says so in the notes.

    Raises:
        ToolkitError: it is none of them, files are missing, the split does not fit, or a class has nothing to train on.
    """
    whole = open_source(data, layout)
    source = whole.only([categories] if isinstance(categories, str) else list(categories)) if categories else whole
    samples: Sequence[Sample] = [sample for sample in source.dataset if sample.kind != "unlabelled"]
    if on_problem == "fail":
        check_layout(source)
    if not samples:
        raise ToolkitError(source.root, "has no image that carries a label", "name data with labels")
    gone = [sample.key for sample in samples if not sample.image.is_file()]
    if gone and (on_problem == "fail" or len(gone) == len(samples)):
        raise ToolkitError(source.root, f"has no image file for {gone[0]}", "convert with --images hardlink")
    split = split or SplitConfig()
    subsets = _subsets(_listed_in(split, whole, source), split)
    faults = [f"left out: {one.file}: {one.problem}" for one in source.layout_problems]
    faults += [f"left out: {key}: has no image file" for key in gone]
    examples = tuple(
        ImageRecord(sample.key, sample.image, sample.defect, sample.category, subsets[sample.key])
        for sample in samples
        if sample.key in subsets and sample.key not in gone
    )
    classes = sorted({example.label for example in examples}, key=lambda name: (name != GOOD, name))
    notes = (*getattr(subsets, "notes", ()), *faults)
    return ImageRecords(source.root, examples, tuple(classes), notes, source)


def check_layout(source: Source) -> None:
    """Refuse data at whose layout something is at fault, such as a mask without an image.

    Raises:
        ToolkitError: with the first such fault, and the number of others.
    """
    if source.layout_problems:
        first = source.layout_problems[0]
        more = f" (and {len(source.layout_problems) - 1} more)" if len(source.layout_problems) > 1 else ""
        raise ToolkitError(first.file, first.problem + more, first.remedy)


class SplitSettings(Protocol):
    """What a learner's settings say of the images that it is given."""

    @property
    def split(self) -> SplitConfig:
        """Which images are train, val and test."""

    @property
    def layout(self) -> LayoutLike:
        """How the data is laid out."""

    @property
    def categories(self) -> str | tuple[str, ...]:
        """Products to take."""

    @property
    def on_problem(self) -> Literal["fail", "skip"]:
        """Whether images at fault are left out."""


def open_as_told(data: SourceLike, config: SplitSettings) -> ImageRecords:
    """As `open_examples`, with what a learner was told of its data.

    Raises:
        ToolkitError: as `open_examples`.
    """
    return open_examples(data, config.split, config.layout, config.categories, config.on_problem)


def _listed_in(split: SplitConfig, whole: Source, source: Source) -> Sequence[Sample]:
    """What a split is of: a part of some data, or all of it, where a file lists images of other parts."""
    if split.file is None or source is whole:
        return source.dataset
    listed, own = load_split(split.file), {sample.key for sample in source.dataset}
    return source.dataset if own.issuperset((*listed, *listed.left_out)) else whole.dataset


def _subsets(samples: Sequence[Sample], split: SplitConfig) -> Mapping[str, str]:
    if split.file is not None:
        return read_split(split.file, samples)
    numbers = split.model_dump(exclude={"file", "strategy"})
    try:
        if split.strategy != "auto":
            return split_dataset(samples, split.strategy, **numbers)
        labelled = [sample for sample in samples if sample.kind != "unlabelled"]
        own = {sample.key: sample.split for sample in labelled if sample.split in SUBSETS}
        labels = {sample.defect for sample in labelled}
        trained = {sample.defect for sample in labelled if sample.split == "train"}
        learnable = trained == labels and len(own) == len(labelled) and "test" in own.values()
        if learnable and split.group is None and not split.leave_out:
            return own
        return split_dataset(samples, "stratified", **numbers)
    except ToolkitError as error:
        raise _in_settings(error) from error


_FLAGS = "val|test|per-class|test-per-class|folds|fold|seed|group|leave-out|strategy"
_VALUE = r"-?[\d.]+|nan|'[^']*'|near-duplicates|native|stratified|uniform|kfold"
_FLAG = re.compile(rf"--({_FLAGS})(?![\w-])(?: ({_VALUE})(?![\w.]*\w))?")


def _in_settings(error: ToolkitError) -> ToolkitError:
    """An error of a split, which tells of flags, in the words of a learner's settings."""
    problems = [
        Problem(_settings_told(one.file), _settings_told(one.problem), _settings_told(one.remedy))
        for one in error.problems
    ]
    return BadInputError(problems)


def _settings_told(text: str) -> str:
    before, flag, names = text.partition("--leave-out ")
    if flag:  # it stands at the end of a text, once for each list of names
        words = [word for word in shlex.split(flag + names) if word != flag.strip()]
        simple = len(words) == 1 and words[0].isalnum()
        value = words[0] if simple else json.dumps(words, ensure_ascii=False)
        before += f"--set {shlex.quote(f'split.leave_out={value}')}"
    return _FLAG.sub(_setting_told, before)


def _setting_told(flag: re.Match[str]) -> str:
    name = f"split.{flag[1].replace('-', '_')}"
    return name if flag[2] is None else f"--set {name}={flag[2]}"
