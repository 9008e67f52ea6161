"""A folder that is labelled twice: by another tool, and by masks or folders of good and bad images that say more.

What both say alike is no matter, and the labels stand. Where an image is background or unlabelled to one and defective
to the other, neither is taken for the truth: that would lose labels in silence.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from converters.formats.label_tree import LabelTree
from toolkit.dataset.dataset import Dataset
from toolkit.dataset.inspection import read_sample
from toolkit.dataset.layouts import load_dataset
from toolkit.dataset.layouts.files import FileList
from toolkit.dataset.samples import Sample
from toolkit.errors import ToolkitError

__all__ = ["check_other_truths", "has_masks"]

_FOLDERS = "good-bad"
"""The layout of folders of classes, one of them good: where none is, it does not fit."""


def has_masks(root: Path) -> bool:
    """Whether a folder is a dataset whose images have masks, whatever other labels lie in it."""
    found = _dataset(root, None)
    return found is not None and any(sample.masks for sample in found)


def check_other_truths(tree: LabelTree, files: FileList) -> None:
    """Refuse a tree of another tool whose images have masks, or lie in folders, that say more than its labels do.

    Args:
        tree: the labels that are read.
        files: what lies below its root.

    Raises:
        ToolkitError: an image is background or unlabelled in the tree, or not in it, and shows a defect by its mask or
            its folder; or a mask is taken for an image.
    """
    kinds = {os.path.normpath(record.sample.image): record.sample.kind for record in tree.records}
    labelled = {path for path, kind in kinds.items() if kind not in ("good", "unlabelled")}
    if all(os.path.normpath(tree.root / path) in labelled for path in files.images):
        return
    for layout in (None, _FOLDERS):
        dataset = _dataset(tree.root, layout)
        problem = next(_contradictions(tree, dataset, kinds), None) if dataset is not None else None
        if dataset is not None and problem is not None:
            remedy = f"--layout {dataset.layout} takes the {_WORDS[layout]}, --layout labels the labels"
            raise ToolkitError(tree.root, f"has labels ({tree.kind}), and {problem}", remedy)


_WORDS = {None: "masks", _FOLDERS: "folders"}


def _dataset(root: Path, layout: str | None) -> Dataset | None:
    try:
        return load_dataset(root, layout)
    except ToolkitError:
        return None


def _contradictions(tree: LabelTree, dataset: Dataset, kinds: dict[str, str | None]) -> Iterator[str]:
    for sample in dataset:
        image = os.path.normpath(sample.image)
        kind = kinds.get(image, "not in them")
        shown = os.path.relpath(image, tree.root)
        mask = next((os.path.normpath(mask.path) for mask in sample.masks), None)
        if mask in kinds:
            yield f"the mask {os.path.relpath(mask, tree.root)}, which they take for an image"
        elif kind in ("good", "unlabelled", "not in them") and sample.masks and _marks(sample):
            yield f"masks that say more: {shown} is {_SAID[kind]}, and its mask marks a defect"
        elif kind == "good" and sample.kind == "class":
            yield f"folders that say otherwise: {shown} is {_SAID[kind]}, and lies in a folder of defects"


_SAID = {"good": "good by the labels", "unlabelled": "unlabelled there", "not in them": "not in them"}


def _marks(sample: Sample) -> bool:
    """Whether its masks mark anything; those that cannot be read may."""
    try:
        return bool(read_sample(sample).marked().any())
    except ToolkitError:
        return True
