"""Images to learn from: a dataset or label tree and a split of it; without torch."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from converters.sources import LayoutLike, Source, SourceLike, open_source
from finetune.engine.facts import Facts
from finetune.engine.runs import Run, split_sha256
from toolkit.dataset.samples import GOOD, Sample
from toolkit.dataset.splits import SUBSETS, read_split, split_dataset
from toolkit.errors import BadInputError, Problem, ToolkitError

__all__ = ["ImageRecord", "ImageRecords", "SplitConfig", "evaluated_examples", "open_examples", "trained_examples"]


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
    """

    root: Path
    examples: tuple[ImageRecord, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    source: Source | None = None

    def subset(self, name: str) -> list[ImageRecord]:
        """The examples of one subset, sorted by key."""
        return [example for example in self.examples if example.subset == name]

    @property
    def subsets(self) -> dict[str, str]:
        """Key -> subset."""
        return {example.key: example.subset for example in self.examples}

    def counts(self, name: str) -> list[int]:
        """Images of each class in a subset, in the order of `classes`."""
        found = Counter(example.label for example in self.subset(name))
        return [found[label] for label in self.classes]


def open_examples(data: SourceLike, split: SplitConfig | None = None, layout: LayoutLike = None) -> ImageRecords:
    """Index the images of a dataset root, a category folder or a label tree, and split them.

    Images that carry no label are left out.

    Raises:
        ToolkitError: it is none of them, files are missing, the split does not fit, or a class has nothing to train on.
    """
    source = open_source(data, layout)
    samples: Sequence[Sample] = [sample for sample in source.dataset if sample.kind != "unlabelled"]
    if source.layout_problems:
        first = source.layout_problems[0]
        more = f" (and {len(source.layout_problems) - 1} more)" if len(source.layout_problems) > 1 else ""
        raise ToolkitError(first.file, first.problem + more, first.remedy)
    if not samples:
        raise ToolkitError(source.root, "has no image that carries a label", "name data with labels")
    missing = next((sample for sample in samples if not sample.image.is_file()), None)
    if missing is not None:
        raise ToolkitError(source.root, f"has no image file for {missing.key}", "convert with --images hardlink")
    subsets = _subsets(source.dataset, split or SplitConfig())
    examples = tuple(
        ImageRecord(sample.key, sample.image, sample.defect, sample.category, subsets[sample.key])
        for sample in samples
        if sample.key in subsets
    )
    classes = sorted({example.label for example in examples}, key=lambda name: (name != GOOD, name))
    return ImageRecords(source.root, examples, tuple(classes), tuple(getattr(subsets, "notes", ())), source)


def every_example(data: SourceLike) -> list[ImageRecord]:
    """All images of a dataset root, a category folder or a label tree, whatever their subset.

    Raises:
        ToolkitError: it is none of them, or images are missing.
    """
    source = open_source(data)
    samples: Sequence[Sample] = [sample for sample in source.dataset if sample.kind != "unlabelled"]
    missing = next((sample for sample in samples if not sample.image.is_file()), None)
    if missing is not None:
        raise ToolkitError(source.root, f"has no image file for {missing.key}", "convert with --images hardlink")
    return [ImageRecord(one.key, one.image, one.defect, one.category, one.split) for one in samples]


def evaluated_examples(
    run: Run,
    data: Path | None,
    opened: Callable[[Path], ImageRecords],
    *,
    own_tests: bool = False,
    layout: LayoutLike = None,
) -> tuple[Source, list[ImageRecord]]:
    """The images that a run is evaluated on, and the source of their labels, opened once.

    Of the data that it was trained on, wherever that stands now, they are those that its metrics are of, so that none
    was trained on; of other data they are all.

    Args:
        run: what was trained.
        data: None for the data that it was trained on.
        opened: opens and splits data as the training did.
        own_tests: of other data take those alone that it calls test itself, if there are any.
        layout: of the data that it was trained on; other data may be laid out so, or as `open_source` finds.

    Raises:
        ToolkitError: the data is at fault, or is not as it was.
    """
    told = run.facts(Facts)
    place = Path(told.data) if data is None else Path(data)
    try:
        own = opened(place)
    except ToolkitError:
        if data is None:
            raise
        own = None  # a split that other data does not allow
    source = _opened(place, layout) if own is None or own.source is None else own.source
    if own is not None and split_sha256(own.subsets) == told.split_sha256:
        return source, own.subset(told.metrics_of) or (list(own.examples) if own_tests else [])
    if data is None:
        raise ToolkitError(place, "is not as it was: other images or another split", "name the data")
    if not own_tests:
        return source, every_example(source)
    other = open_examples(source, SplitConfig(strategy="native"))
    return source, other.subset("test") or list(other.examples)


def trained_examples(run: Run, opened: Callable[[Path], ImageRecords]) -> ImageRecords:
    """The images of the data that a run was trained on, split as they were then.

    Args:
        run: what was trained.
        opened: opens and splits data as the training did.

    Raises:
        ToolkitError: the data is at fault, or is not as it was.
    """
    told = run.facts(Facts)
    found = opened(Path(told.data))
    if split_sha256(found.subsets) != told.split_sha256:
        remedy = "train again, or choose a threshold yourself (--threshold X)"
        raise ToolkitError(told.data, "is not as it was: other images or another split", remedy)
    return found


def _opened(place: Path, layout: LayoutLike) -> Source:
    """Other data, laid out as the data of the training was, or in a way that is found by itself."""
    if layout is not None:
        with suppress(ToolkitError):
            return open_source(place, layout)
    return open_source(place)


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
