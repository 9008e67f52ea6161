"""One file per on-disk layout. A layout recognises a root and turns it into samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from toolkit.dataset.layouts import mvtec
from toolkit.dataset.samples import Dataset
from toolkit.errors import ToolkitError

__all__ = ["LAYOUTS", "Layout", "index_root", "load_dataset"]


@dataclass(frozen=True)
class Layout:
    """How to recognise a layout and how to read it.

    Attributes:
        name: as it stands in `Dataset.layout`.
        detect: whether a folder is the root of such a dataset, by names alone.
        index: the samples below such a root.
    """

    name: str
    detect: Callable[[Path], bool]
    index: Callable[[Path], Dataset]


LAYOUTS: tuple[Layout, ...] = (Layout("mvtec", mvtec.detect, mvtec.index),)


def index_root(root: Path) -> Dataset:
    """Find the layout of a root, there or one level down, and index it.

    Raises:
        ToolkitError: no such folder, nothing in it, or no layout fits.
    """
    if not root.exists():
        raise ToolkitError(root, "no such folder", "check the path")
    if not root.is_dir():
        raise ToolkitError(root, "not a folder", "name the folder that holds the dataset")
    children = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    for folder in (root, *children):
        for layout in LAYOUTS:
            if layout.detect(folder):
                dataset = layout.index(folder)
                if not len(dataset) and not dataset.layout_problems:
                    raise ToolkitError(folder, "holds no images", "name the folder that holds the dataset")
                return dataset
    place = root.resolve()
    for folder in place.parents[:2]:
        if place.relative_to(folder).parts[0] in mvtec.PARTS and any(layout.detect(folder) for layout in LAYOUTS):
            raise ToolkitError(root, "is a part of a dataset", f"name its category, {folder}")
    if not any(root.iterdir()):
        raise ToolkitError(root, "the folder is empty", "name the folder that holds the dataset")
    raise ToolkitError(
        root,
        "unknown layout",
        f"known are {', '.join(layout.name for layout in LAYOUTS)} (CATEGORY/test/DEFECT/*.png beside "
        "CATEGORY/ground_truth/DEFECT/*_mask.png) and the label trees that 'defectkit convert' writes",
    )


def load_dataset(root: str | Path) -> Dataset:
    """Index a dataset: a dataset root, a single category folder, or a folder that holds either one level down.

    Only names are read here, so that a hundred thousand samples take seconds. `Dataset.problems` reads the files.

    Raises:
        ToolkitError: the folder does not exist, holds nothing, or has no known layout.
    """
    return index_root(Path(root))
