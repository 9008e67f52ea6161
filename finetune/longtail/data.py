"""Training images of classes of unequal size: whether there is a tail, who is in it, and how one is made."""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from finetune.engine.splits import ImageRecord, ImageRecords
from finetune.longtail.config import LEAST_IMBALANCE, GroupRule, TailConfig
from finetune.longtail.losses import Group, exponential_counts, group_classes, imbalance_factor
from toolkit.dataset.samples import GOOD
from toolkit.errors import ToolkitError

__all__ = ["Tail", "find_tail", "make_tail"]


@dataclass(frozen=True)
class Tail:
    """How unequal the classes are, in the order of their indices.

    Attributes:
        counts: training images of each class.
        groups: "head", "medium" or "tail" for each class.
        imbalance_factor: largest count over the smallest.
    """

    counts: tuple[int, ...]
    groups: tuple[Group, ...]
    imbalance_factor: float


def make_tail(examples: ImageRecords, tail: TailConfig) -> ImageRecords:
    """Leave training images out, so that the classes have `exponential_counts`; at least one of each class stays."""
    keep = dict(zip(examples.classes, exponential_counts(examples.counts("train"), tail.imbalance), strict=True))
    by_label: dict[str, list[ImageRecord]] = defaultdict(list)
    for example in examples.subset("train"):
        by_label[example.label].append(example)
    dropped: set[str] = set()
    for label, members in by_label.items():
        order = np.random.default_rng((tail.seed, zlib.crc32(label.encode(errors="backslashreplace")))).permutation(
            len(members)
        )
        dropped |= {members[index].key for index in order[keep[label] :]}
    kept = tuple(example for example in examples.examples if example.key not in dropped)
    made = replace(examples, examples=kept)
    reached = imbalance_factor(made.counts("train"))
    note = (
        f"{len(dropped)} training images are left out for a tail of imbalance {tail.imbalance:g}; it is {reached:.3g}"
    )
    return replace(made, notes=(*examples.notes, note))


def find_tail(
    examples: ImageRecords, train: Sequence[ImageRecord], *, branches: int = 3, rule: GroupRule = "auto"
) -> Tail:
    """Count the training images and sort the classes into groups.

    Args:
        examples: all images.
        train: those that are trained on, some of each class.
        branches: 3 groups, or 2: head and tail.
        rule: "counts" is `group_classes`; "good" makes good images the head and all defects the tail; "auto" is "good"
            where there are two groups and good images are the largest class, else "counts".

    Raises:
        ToolkitError: there is no tail, or the rule is "good" and nothing is.
    """
    found = Counter(example.label for example in train)
    counts = [found[label] for label in examples.classes]
    _check_tail(examples.root, counts)
    if rule == "good" and GOOD not in examples.classes:
        raise ToolkitError(examples.root, "has no good images to be the head", "use --set groups=counts")
    groups = group_classes(counts, branches)
    good_is_largest = examples.classes[0] == GOOD and counts[0] == max(counts)
    if rule == "good" or (rule == "auto" and branches == 2 and good_is_largest):
        groups = tuple("head" if label == GOOD else "tail" for label in examples.classes)
    return Tail(tuple(counts), groups, imbalance_factor(counts))


def _check_tail(root: Path, counts: list[int]) -> None:
    factor = imbalance_factor(counts)
    if factor < LEAST_IMBALANCE:
        raise ToolkitError(
            root,
            f"has no tail: of the train subset the largest class has {max(counts)} images, the smallest {min(counts)} "
            f"(imbalance factor {factor:.2f}, below {LEAST_IMBALANCE:g})",
            "train the classifier on it, or make a tail with --set longtail.imbalance=50"
            if max(counts) > 1
            else "it takes more training images",
        )
