"""What `split` and `convert` share: which numbers go with which strategy, and what came out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolkit.dataset.samples import Sample, image_class
from toolkit.dataset.splits import OF_STRATEGY, SUBSETS, Split, read_split, split_dataset
from toolkit.errors import ToolkitError

__all__ = ["check_csv", "choose_split", "count_classes", "make_split"]

Numbers = dict[str, Any]


def make_split(samples: Sequence[Sample], strategy: str | None, numbers: Numbers, older: Split | None = None) -> Split:
    """Split samples, anew or on from an older split, whose strategy is the default.

    Raises:
        ToolkitError: a number that the strategy has no use for, or what `split_dataset` raises.
    """
    if strategy is None and older is not None and older.strategy in OF_STRATEGY:
        strategy = older.strategy
    foreign = sorted(set(numbers) - OF_STRATEGY[strategy]) if strategy is not None else []
    if foreign:
        raise ToolkitError(_flag(foreign[0]), f"does not go with --strategy {strategy}", _fitting(foreign[0]))
    return split_dataset(samples, strategy, **numbers, extend=older)


def choose_split(samples: Sequence[Sample], file: Path | None, strategy: str | None, numbers: Numbers) -> Split | None:
    """The split that a file holds or a strategy makes; None keeps the dataset's own subsets.

    Raises:
        ToolkitError: both are given, or numbers without a strategy, or what reading and splitting raise.
    """
    if file is not None:
        if strategy is not None or numbers:
            problem = "comes with settings of another split"
            raise ToolkitError("--split", problem, "leave out --strategy and its numbers")
        return read_split(file, samples)
    if strategy is not None:
        return make_split(samples, strategy, numbers)
    if numbers:
        name = next(iter(numbers))
        raise ToolkitError(_flag(name), "says nothing without --strategy", _fitting(name))
    return None


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _fitting(name: str) -> str:
    return "use --strategy " + " or ".join(strategy for strategy, names in OF_STRATEGY.items() if name in names)


def check_csv(out: Path) -> None:
    """Let an older split be replaced, but no other file.

    Raises:
        ToolkitError: `out` is something else.
    """
    if out.is_dir():
        raise ToolkitError(out, "is a folder", "name a CSV file")
    if out.is_file():
        with open(out, "rb") as file:
            head = file.read(16).removeprefix(b"\xef\xbb\xbf")
        if head and not head.startswith((b"# strategy", b"key,subset")):
            raise ToolkitError(out, "exists and is no split", "choose another name")


def count_classes(samples: Sequence[Sample], made: Split) -> dict[str, dict[str, int]]:
    """Subset -> class of the image -> images."""
    counts: dict[str, dict[str, int]] = {name: {} for name in SUBSETS if name in made.values()}
    for sample in samples:
        if sample.key in made:
            of_class = counts[made[sample.key]]
            name = image_class(sample, "defect")
            of_class[name] = of_class.get(name, 0) + 1
    return counts
