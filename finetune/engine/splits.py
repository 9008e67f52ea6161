"""Images to learn from: a dataset or label tree and a split of it; without torch."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from converters.sources import LayoutLike, Source, SourceLike, open_source
from finetune.engine.config import read_settings
from finetune.engine.facts import Facts
from finetune.engine.remarks.seen import SEEN, SeenImage, named, read_seen
from finetune.engine.remarks.telling import tell
from finetune.engine.runs import Run, split_sha256
from toolkit.dataset.samples import GOOD, Sample
from toolkit.dataset.splits import NONE, SUBSETS, load_split, read_split, split_dataset
from toolkit.errors import BadInputError, Problem, ToolkitError
from toolkit.files.digests import file_digest
from toolkit.files.parallel import ordered_map

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
        digests: key -> SHA-256 of the file, once they were looked at: of these and of images that no subset has.
    """

    root: Path
    examples: tuple[ImageRecord, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    source: Source | None = None
    digests: Mapping[str, str] = field(default_factory=dict)

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
    if source.layout_problems and on_problem == "fail":
        first = source.layout_problems[0]
        more = f" (and {len(source.layout_problems) - 1} more)" if len(source.layout_problems) > 1 else ""
        raise ToolkitError(first.file, first.problem + more, first.remedy)
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


def _listed_in(split: SplitConfig, whole: Source, source: Source) -> Sequence[Sample]:
    """What a split is of: a part of some data, or all of it, where a file lists images of other parts."""
    if split.file is None or source is whole:
        return source.dataset
    listed, own = load_split(split.file), {sample.key for sample in source.dataset}
    return source.dataset if own.issuperset((*listed, *listed.left_out)) else whole.dataset


def evaluated_examples(
    run: Run, data: SourceLike | None, opened: Callable[[Path], ImageRecords], *, layout: LayoutLike = None
) -> tuple[Source, list[ImageRecord]]:
    """The images that a run is evaluated on, and the source of their labels, opened once.

    Of the data that it was trained on, wherever that stands now, they are those that its metrics are of. Of other data
    they are all, whatever their names, less those whose very bytes it was trained on; which is told.

    Args:
        run: what was trained.
        data: None for the data that it was trained on.
        opened: opens and splits data as the training did.
        layout: of the data that it was trained on; other data may be laid out so, or as `open_source` finds.

    Raises:
        ToolkitError: the data is at fault, or is not as it was, or the run was trained on all of it.
    """
    told, seen = run.facts(Facts), read_seen(run)
    place = Path(told.data) if data is None else data
    source = open_source(place, layout) if data is None else _opened(place, layout)
    if seen is None and data is None:
        return source, _as_before(told, opened(Path(told.data)), source.root)
    if seen is None:
        seen = _seen_before(told, opened)
    if seen is None:
        return source, _by_names(told, source, opened)
    every = every_example(source)
    if data is None:
        return source, _as_it_was(every, seen, told.metrics_of, source.root)
    return source, _unseen(every, seen, told.metrics_of, _categories(run), source.root)


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


def _as_it_was(
    every: Sequence[ImageRecord], seen: Mapping[str, SeenImage], subset: str, root: Path
) -> list[ImageRecord]:
    """The images of the data of a training that its metrics are of; all that it used must still be there."""
    there = {one.key: one for one in every}
    for key, one in seen.items():
        if one.subset != NONE and key not in there:
            raise ToolkitError(root, f"is not as it was: {key} is gone", "name the data")
        if one.subset == subset and file_digest(there[key].image) != one.sha256:
            raise ToolkitError(root, f"is not as it was: {key} is another image", "name the data")
    return [replace(there[key], subset=subset) for key, one in seen.items() if one.subset == subset]


def _unseen(
    every: Sequence[ImageRecord], seen: Mapping[str, SeenImage], subset: str, categories: Sequence[str], root: Path
) -> list[ImageRecord]:
    """Of the images of other data those that a run was not trained on, by the bytes of their files; which is told."""
    found = ordered_map(file_digest, [one.image for one in every], workers=os.cpu_count() or 1)
    digests = dict(zip((one.key for one in every), found, strict=True))
    own = {one.sha256: one.subset for one in seen.values()}
    if own and set(own) == {digests[one.key] for one in every if not categories or one.category in categories}:
        tested = [replace(one, subset=subset) for one in every if own.get(digests[one.key]) == subset]
        tell("note", f"{root} is the data that the run was trained on: its {len(tested)} {subset} images are evaluated")
        return tested
    left = [one for one in every if own.get(digests[one.key]) not in SEEN]
    trained = [one.key for one in every if own.get(digests[one.key]) in SEEN]
    if not every:
        raise ToolkitError(root, "holds no image with a label", "label some, or look at it with 'defectkit predict'")
    if not left:
        raise ToolkitError(
            root, f"the run was trained on all of its {len(every)} images", "name data that it has not seen"
        )
    tell(
        "note",
        f"{len(left)} of {len(every)} images of {root} are evaluated: the run was trained on the others, by the bytes "
        f"of their files ({named(trained)})"
        if trained
        else f"all {len(left)} images of {root} are evaluated",
    )
    return left


def _seen_before(told: Facts, opened: Callable[[Path], ImageRecords]) -> Mapping[str, SeenImage] | None:
    """What a run of an older version was trained on: its data is hashed, if that is where and as it was."""
    try:
        own = opened(Path(told.data))
    except ToolkitError:
        return None
    if split_sha256(own.subsets) != told.split_sha256:
        return None
    return {one.key: SeenImage(key=one.key, subset=one.subset, sha256=file_digest(one.image)) for one in own.examples}


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


def _as_before(told: Facts, own: ImageRecords, root: Path) -> list[ImageRecord]:
    """The images that the metrics of a run of an older version are of."""
    if split_sha256(own.subsets) != told.split_sha256:
        raise ToolkitError(root, "is not as it was: other images or another split", "name the data")
    return own.subset(told.metrics_of)


def _by_names(told: Facts, source: Source, opened: Callable[[Path], ImageRecords]) -> list[ImageRecord]:
    """Other data for a run of an older version whose own is gone: only names can tell whether it is the same."""
    with suppress(ToolkitError):
        own = opened(source.root)
        if split_sha256(own.subsets) == told.split_sha256:
            tested = own.subset(told.metrics_of)
            tell(
                "note",
                f"{source.root} is taken for the data that the run was trained on, by the names of its images: its "
                f"{len(tested)} {told.metrics_of} images are evaluated",
            )
            return tested
    every = every_example(source)
    tell(
        "note",
        f"all {len(every)} images of {source.root} are evaluated; the run was made by an older version, and does not "
        "say whether it was trained on some of them",
    )
    return every


def _categories(run: Run) -> list[str]:
    """The products that a run was trained on; none for all that there were."""
    told = read_settings(run.root / "config.yaml").get("categories") or []
    return [told] if isinstance(told, str) else list(map(str, told)) if isinstance(told, list) else []


def _opened(place: SourceLike, layout: LayoutLike) -> Source:
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
