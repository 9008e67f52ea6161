"""What is to be converted: the images that carry a label, and the subset of each."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import overload

from converters.merging import parts_of
from converters.sources import Member, Source
from toolkit.dataset.samples import GOOD
from toolkit.dataset.splits import SUBSETS
from toolkit.errors import ToolkitError

__all__ = ["Item", "find_items", "split_advice"]

Item = tuple[Member, str]
"""What to read, and its subset."""


class _Items(Sequence[Item]):
    """Some members of a source, each made when it is asked for."""

    def __init__(self, members: Sequence[Member], chosen: array[int], split: Mapping[str, str] | None) -> None:
        """As told.

        Args:
            members: those of the source.
            chosen: the places of those that are meant.
            split: key -> subset; None for what each says itself.
        """
        self._members, self._chosen, self._split = members, chosen, split

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> _Items: ...
    def __getitem__(self, index: int | slice) -> Item | _Items:
        if isinstance(index, slice):
            return _Items(self._members, self._chosen[index], self._split)
        member = self._members[self._chosen[index]]
        return member, member.sample.split if self._split is None else self._split[member.sample.key]

    def __iter__(self) -> Iterator[Item]:
        return (self[place] for place in range(len(self)))


def find_items(source: Source, split: Mapping[str, str] | None) -> Sequence[Item]:
    """What to convert, and the subset of each.

    Raises:
        ToolkitError: there is nothing, or the split knows other images or subsets.
    """
    chosen = array("Q")
    subsets = set() if split is None else {*split.values()}
    for place, member in enumerate(source.members):
        sample = member.sample
        if sample.kind == "unlabelled":
            continue
        if split is None:
            subsets.add(sample.split)
        if split is None or sample.key in split:
            chosen.append(place)
    unknown = sorted(subsets - set(SUBSETS))
    if unknown:
        raise ToolkitError(source.root, f"unknown subset {unknown[0]!r}", f"use {', '.join(SUBSETS)}")
    for part in parts_of(source):
        if part.members and not part.layout_problems and all(one.sample.kind == "unlabelled" for one in part.members):
            remedy = "name the folder that holds its masks too, or say where they are with --image and --mask"
            raise ToolkitError(part.root, f"none of its {len(part.members)} images carries a label", remedy)
    items = _Items(source.members, chosen, split)
    if split is not None and len(items) < len(split):
        strange = sorted(set(split) - {one.sample.key for one, _ in items})
        raise ToolkitError("the split", f"names {strange[0]!r}, which is not in the dataset", "make the split again")
    if not items and not source.layout_problems:
        raise ToolkitError(source.root, "nothing to convert", "check --category and the split")
    return items


def split_advice(source: Source, items: Sequence[Item]) -> tuple[str, ...]:
    """What to know of a split that gives a detector nothing to learn from."""
    seen = {(subset, member.sample.defect != GOOD) for member, subset in items}
    subsets, defects = {subset for subset, _ in seen}, {subset for subset, defect in seen if defect}
    if subsets == {"train"}:
        remedy = "--strategy stratified draws train, val and test"
        return (f"all images are train, since no other subset is named; {remedy}",)
    if not defects or "train" in defects:
        return ()
    where = " and ".join(name for name in SUBSETS if name in defects)
    what = "train holds good images only" if "train" in subsets else "there are no train images"
    why = ", as MVTec AD is split for anomaly detection" if source.layout == "mvtec" else ""
    remedy = f"--strategy stratified draws the images of {where} into train, val and test"
    return (f"{what}, all defects are in {where}{why}; to train a detector or segmenter, {remedy}",)
