"""One look at all images before the first epoch, the same for every learner: faults, and what a user may not expect.

Of each file the header is read and the bytes are hashed, once. Of deep images some are decoded, and of labels some are
read, evenly spread, so that the look takes seconds whatever the number of images.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from converters.formats.base import Settings
from converters.sources import Member, Source
from finetune.engine.config import LearnerConfig
from finetune.engine.outputs.loggers import check_logger
from finetune.engine.remarks.depth import decide_depth, depth_notes
from finetune.engine.remarks.effects import unused_settings
from finetune.engine.remarks.objects import object_notes
from finetune.engine.remarks.seen import SEEN, named
from finetune.engine.remarks.telling import tell
from finetune.engine.splits import ImageRecord, ImageRecords
from toolkit.dataset.samples import COMBINED, GOOD
from toolkit.errors import BadInputError, Problem, ToolkitError
from toolkit.files.digests import file_digest
from toolkit.files.parallel import ordered_map
from toolkit.imaging.images import ImageHeader, read_header, read_image

__all__ = ["check_inputs", "left_out", "without_faults"]

_BYTE = 8  # bits
_LONG = 2.0  # times as long as wide, from where on a square is another shape
_MOST_LISTED = 10  # files that are left out, each in a note of its own

T = TypeVar("T")


@dataclass(frozen=True)
class _Looked:
    """An image file as it was found: its header, the hash of its bytes, and what is wrong with it."""

    header: ImageHeader | None
    digest: str
    problems: tuple[Problem, ...] = ()


def check_inputs(examples: ImageRecords, config: LearnerConfig) -> ImageRecords:
    """Look at the images that are to be learnt from and tested on, and at the settings.

    Args:
        examples: all images of a training, split.
        config: its settings.

    Returns:
        The same with hashes of the files, the range of deep images, and with notes, which are told at once too; less
        those that are at fault, where `on_problem` is "skip".

    Raises:
        BadInputError: files are at fault; all of them.
        ToolkitError: figures are to go where nothing is installed.
    """
    check_logger(config)
    looked = _look_at_all(examples, config)
    faulty = {one.key: looked[one.key].problems for one in examples.examples if looked[one.key].problems}
    problems = [problem for found in faulty.values() for problem in found]
    if problems and config.on_problem == "fail":
        raise BadInputError(dict.fromkeys(problems))
    kept = replace(examples, examples=tuple(one for one in examples.examples if one.key not in faulty))
    deep = _deep(kept, looked)
    depth = decide_depth(deep, config)
    notes = [*left_out(problems, len(faulty)), *_shape_notes(kept, looked, config)]
    notes += [*depth_notes(deep, len(kept.examples), depth, config)]
    notes += [*object_notes(kept, config, {key: one.header for key, one in looked.items()})]
    notes += [*_class_notes(kept, config), *_twin_notes(kept, looked), *_setting_notes(kept, config)]
    for note in notes:
        tell("note", note)
    digests = {key: one.digest for key, one in looked.items() if one.digest}
    return replace(kept, notes=(*kept.notes, *notes), digests=digests, depth=depth)


def _look_at_all(examples: ImageRecords, config: LearnerConfig) -> dict[str, _Looked]:
    """Key -> how its file was found; of images that no subset has, the hash alone."""
    used = {one.key for one in examples.examples}
    every = {one.key: one.image for one in examples.examples}
    wanted: Mapping[str, Member] = {}
    if examples.source is not None:
        others = (sample for sample in examples.source.dataset if sample.kind != "unlabelled")
        every |= {sample.key: sample.image for sample in others if sample.key not in used}
        if config.on_problem == "skip":
            wanted = _members(examples.source, used)
    records = [ImageRecord(key, image, "", "", "train" if key in used else "") for key, image in every.items()]
    look = partial(_look, members=wanted, masked=config.learns == "instances")
    found = ordered_map(look, records, workers=os.cpu_count() or 1)
    return dict(zip(every, found, strict=True))


def without_faults(examples: Sequence[ImageRecord], source: Source, *, masked: bool) -> list[ImageRecord]:
    """Images less those that are at fault, they or their labels; which is told.

    Args:
        examples: the images.
        source: of their labels.
        masked: whether one without masks is at fault.
    """
    members = _members(source, {one.key for one in examples})
    look = partial(_look, members=members, masked=masked)
    looked = ordered_map(look, [replace(one, subset="test") for one in examples], workers=os.cpu_count() or 1)
    faults = {one.key: found.problems for one, found in zip(examples, looked, strict=True) if found.problems}
    for note in left_out([problem for found in faults.values() for problem in found], len(faults)):
        tell("note", note)
    return [one for one in examples if one.key not in faults]


def _members(source: Source, keys: Container[str]) -> dict[str, Member]:
    return {member.sample.key: member for member in source.members if member.sample.key in keys}


def _look(one: ImageRecord, members: Mapping[str, Member], masked: bool) -> _Looked:
    """A file, with its labels where `members` has them; `masked` if one without masks is at fault."""
    digest = file_digest(one.image)
    if not one.subset:
        return _Looked(None, digest)
    try:
        header = read_header(one.image)
    except ToolkitError as error:
        return _Looked(None, digest, error.problems)
    member = members.get(one.key)
    if member is None:
        return _Looked(header, digest)
    problems = list(member.inspect(Settings(())))
    if masked and member.missing is not None:
        problems.append(member.missing)
    try:
        read_image(one.image)
    except ToolkitError as error:
        problems += error.problems
    return _Looked(header, digest, tuple(dict.fromkeys(problems)))


def left_out(problems: Sequence[Problem], images: int) -> Iterator[str]:
    """Notes on images that are left out, and why."""
    if problems:
        yield f"{images} image(s) at fault are left out"
    for one in problems[:_MOST_LISTED]:
        yield f"left out: {one.file}: {one.problem}"
    if len(problems) > _MOST_LISTED:
        yield f"left out: {len(problems) - _MOST_LISTED} faults more"


def _shape_notes(examples: ImageRecords, looked: Mapping[str, _Looked], config: LearnerConfig) -> Iterator[str]:
    """Of images that become another shape when they are resized."""
    long: list[tuple[float, str, str]] = []
    for one in examples.examples:
        if (header := looked[one.key].header) is not None:
            wider, higher = config.scaled(header.width, header.height)
            if max(wider / higher, higher / wider) > _LONG:
                made = f"{round(wider * header.width)} x {round(higher * header.height)}"
                long.append((max(wider / higher, higher / wider), f"{header.width} x {header.height}", made))
    if not long:
        return
    most, size, made = max(long)
    way = "cut them into shorter pieces first"
    if "resize" in type(config).model_fields:
        way = "--set resize=letterbox keeps their shape"
    yield (
        f"{len(long)} of {len(examples.examples)} images are squashed more than twofold, up to {most:.1f} times "
        f"({size} to {made} px), and defects with them; {way}"
    )


def _deep(examples: ImageRecords, looked: Mapping[str, _Looked]) -> list[ImageRecord]:
    """The images of more bits than are used."""
    headers = [(one, looked[one.key].header) for one in examples.examples]
    return [one for one, header in headers if header is not None and header.bits > _BYTE]


def _class_notes(examples: ImageRecords, config: LearnerConfig) -> Iterator[str]:
    """Of classes that a subset lacks."""
    classes = [name for name in examples.classes if name != COMBINED]
    for subset in ("train", "val", "test"):
        there = {one.label for one in examples.subset(subset)}
        missing = [name for name in classes if name not in there]
        if not there or not missing or (config.learns == "good" and subset != "test"):
            continue
        if subset == "train" and missing == [GOOD]:
            continue
        what = {"train": "they cannot be learnt", "val": "the best epoch is chosen without them"}
        told = what.get(subset, "its figures say nothing of them")
        yield f"{subset} has no images of {named([repr(name) for name in missing])}: {told}"


def _twin_notes(examples: ImageRecords, looked: Mapping[str, _Looked]) -> Iterator[str]:
    """Of test images whose very bytes are learnt from."""
    learnt = {looked[one.key].digest: one.key for one in examples.examples if one.subset in SEEN}
    twins = [
        f"{one.key} = {learnt[looked[one.key].digest]}"
        for one in examples.subset("test")
        if looked[one.key].digest in learnt
    ]
    if twins:
        yield (
            f"{len(twins)} of {len(examples.subset('test'))} test images are, byte for byte, also among those that are "
            f"learnt from ({named(twins)}): the figures flatter"
        )


def _setting_notes(examples: ImageRecords, config: LearnerConfig) -> Iterator[str]:
    """Of settings that are not used, by themselves or with these images."""
    yield from unused_settings(config)
    fields = type(config).model_fields
    asked = {name: getattr(config, name) for name in ("hold_out", "instances") if name in fields}
    changed = {name: value for name, value in asked.items() if value != fields[name].default}
    by_subset: dict[str, set[str]] = defaultdict(set)
    for one in examples.examples:
        by_subset[one.subset].add(one.label)
    held = by_subset["val"] & {GOOD} if config.learns == "good" else by_subset["val"]
    if "hold_out" in changed and held:
        yield f"hold_out={changed['hold_out']} has no effect: the split has a val subset"
    if "instances" in changed and examples.source is not None and examples.source.tree is not None:
        yield f"instances={changed['instances']} has no effect: the objects of a label tree stand as they are"
