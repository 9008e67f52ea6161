"""What is to be converted: the images that carry a label, and the subset of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from converters.merging import parts_of
from converters.sources import Member, Source
from toolkit.dataset.samples import GOOD
from toolkit.dataset.splits import SUBSETS
from toolkit.errors import ToolkitError

__all__ = ["Item", "find_items", "split_advice"]

Item = tuple[Member, str]
"""What to read, and its subset."""


def find_items(source: Source, split: Mapping[str, str] | None) -> list[Item]:
    """What to convert, and the subset of each.

    Raises:
        ToolkitError: there is nothing, or the split knows other images or subsets.
    """
    own = {one.sample.key: one.sample.split for one in source.members if one.sample.kind != "unlabelled"}
    subsets = own if split is None else split
    unknown = sorted(set(subsets.values()) - set(SUBSETS))
    if unknown:
        raise ToolkitError(source.root, f"unknown subset {unknown[0]!r}", f"use {', '.join(SUBSETS)}")
    for part in parts_of(source):
        if part.members and not part.layout_problems and all(one.sample.kind == "unlabelled" for one in part.members):
            remedy = "name the folder that holds its masks too, or say where they are with --image and --mask"
            raise ToolkitError(part.root, f"none of its {len(part.members)} images carries a label", remedy)
    labelled = [one for one in source.members if one.sample.kind != "unlabelled"]
    items = [(one, subsets[one.sample.key]) for one in labelled if one.sample.key in subsets]
    if split is not None and len(items) < len(split):
        strange = sorted(set(split) - {one.sample.key for one, _ in items})
        raise ToolkitError("the split", f"names {strange[0]!r}, which is not in the dataset", "make the split again")
    if not items and not source.layout_problems:
        raise ToolkitError(source.root, "nothing to convert", "check --category and the split")
    return items


def split_advice(source: Source, items: Sequence[Item]) -> tuple[str, ...]:
    """What to know of a split that gives a detector nothing to learn from."""
    defects = {subset for item, subset in items if item.sample.defect != GOOD}
    if {subset for _, subset in items} == {"train"}:
        remedy = "--strategy stratified draws train, val and test"
        return (f"all images are train, since no other subset is named; {remedy}",)
    if not defects or "train" in defects:
        return ()
    where = " and ".join(name for name in SUBSETS if name in defects)
    trained = any(subset == "train" for _, subset in items)
    what = "train holds good images only" if trained else "there are no train images"
    why = ", as MVTec AD is split for anomaly detection" if source.layout == "mvtec" else ""
    remedy = f"--strategy stratified draws the images of {where} into train, val and test"
    return (f"{what}, all defects are in {where}{why}; to train a detector or segmenter, {remedy}",)
