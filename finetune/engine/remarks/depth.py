"""Photos of more than 8 bits: the one range that a run scales them by, decided once, and what to know of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from finetune.engine.config import Depth, LearnerConfig, read_settings
from finetune.engine.remarks.telling import listened_to, tell
from finetune.engine.runs import Run
from finetune.engine.splits import ImageRecord, ImageRecords
from toolkit.errors import ToolkitError
from toolkit.files.parallel import ordered_map
from toolkit.imaging.images import depth_of, read_header, values_beyond

__all__ = ["decide_depth", "depth_notes", "tell_depth", "with_depth"]

_BYTE = 8  # bits
_RANGES = (8, 10, 12, 14, 16)  # bits that one is chosen of
_DEEPEST = _RANGES[-1]
_MOST_DECIDING = 200  # deep train images that the range is decided by
_MOST_DECODED = 24  # deep images that are looked at for a note
_FEW = 1e-3  # share of the values that a range need not hold: glints and broken pixels decide nothing

T = TypeVar("T")
Config = TypeVar("Config", bound=LearnerConfig)


def decide_depth(deep: Sequence[ImageRecord], config: LearnerConfig) -> Depth:
    """The range that a run scales deep images by: the settings', or the smallest that its train images need.

    Args:
        deep: the images of the training that have more than 8 bits.
        config: its settings.

    Returns:
        Bits, the smallest of 8, 10, 12, 14 and 16 that hold all but one in a thousand of the values of the train images
        (of many, 200 are looked at, evenly spread); "each" where none of them is deep, so that nothing tells a range.

    Raises:
        ToolkitError: an image does not decode.
    """
    if config.depth != "auto":
        return config.depth
    files = _evenly([one.image for one in deep if one.subset == "train"], _MOST_DECIDING)
    beyond = partial(values_beyond, depths=_RANGES)
    found = [one for one in ordered_map(beyond, files, workers=os.cpu_count() or 1) if one]
    if not found:
        return "each"
    return next(bits for bits in _RANGES if sum(one[bits] for one in found) <= _FEW * len(found))


def with_depth(config: Config, examples: ImageRecords) -> Config:
    """The settings of a training whose images were looked at, with the range that was decided on."""
    return config.model_copy(update={"depth": examples.depth})


def depth_notes(deep: Sequence[ImageRecord], total: int, depth: Depth, config: LearnerConfig) -> Iterator[str]:
    """Of images of more bits than are used, and of what range of them is.

    Args:
        deep: the images of a training that have more than 8 bits.
        total: how many images it has.
        depth: what was decided on.
        config: its settings.
    """
    if not deep:
        return
    told = f"{len(deep)} of {total} images have more than 8 bits a channel: 8 of them are used"
    if not isinstance(depth, int):
        why = "" if config.depth == "each" else "none of them is in train, where a range would be decided by: "
        yield f"{told}; {why}{_scaled_each(deep)}"
        return
    by = "the range of the train images" if config.depth == "auto" else f"as depth={depth} says"
    yield f"{told}, the highest of {depth} in all images alike, {by}{_brighter(deep, depth)}"


def tell_depth(run: Run, files: Iterable[Path]) -> None:
    """Tell how a run scales deep photos that it is to look at; files that cannot be read are others' concern."""
    if not listened_to():
        return
    total, deep = 0, list[ImageRecord]()
    for file in files:
        total += 1
        with suppress(ToolkitError):
            if read_header(file).bits > _BYTE:
                deep.append(ImageRecord(str(file), file, "", "", ""))
    if not deep:
        return
    depth = read_settings(run.root / "config.yaml").get("depth", "each")
    told = f"{len(deep)} of {total} photos have more than 8 bits a channel"
    if isinstance(depth, int):
        brighter = _brighter(deep, depth)
        if brighter:
            tell("note", f"{told}: they are scaled by the {depth} bits of the run{brighter}")
        return
    tell("note", f"{told}, and the run has no range for them (depth={depth}): {_scaled_each(deep)}")


def _scaled_each(deep: Sequence[ImageRecord]) -> str:
    """That each image is scaled by its own range, and what those ranges are."""
    ranges: Counter[int] = Counter()
    looked = _evenly(deep, _MOST_DECODED)
    for one in looked:
        with suppress(ToolkitError):
            ranges[depth_of(one.image)] += 1
    each = ", ".join(f"{number} take {bits} bits" for bits, number in sorted(ranges.items()))
    return (
        f"each is scaled by the range that its own values take (of {len(looked)} looked at {each}), so that one "
        f"brightness is not the same in all; train with --set depth={max(ranges, default=_DEEPEST)} for one range"
    )


def _brighter(deep: Sequence[ImageRecord], depth: int) -> str:
    """What is said of images that a range does not hold; "" where it holds those that are looked at."""
    looked, needed = _evenly(deep, _MOST_DECODED), list[int]()
    for one in looked:
        with suppress(ToolkitError):
            found = values_beyond(one.image, {depth, *_RANGES})
            needed += [next(bits for bits in _RANGES if found[bits] <= _FEW)] if found.get(depth, 0) > _FEW else []
    if not needed:
        return ""
    return (
        f"; {len(needed)} of {len(looked)} looked at hold brighter values, which become white "
        f"(train with --set depth={max(needed)} to tell them apart)"
    )


def _evenly(items: Sequence[T], most: int) -> list[T]:
    """At most so many of some items, evenly spread over them."""
    if len(items) <= most:
        return list(items)
    return [items[index * len(items) // most] for index in range(most)]
