"""The on-disk layouts by name: one line each. A layout recognises a root and turns it into samples."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from toolkit.dataset.layouts.layout import Layout
from toolkit.dataset.samples import Dataset
from toolkit.errors import ToolkitError

__all__ = ["LAYOUTS", "Layout", "detect_layout", "index_root", "load_dataset"]

LAYOUTS: dict[str, str] = {
    "mvtec": "toolkit.dataset.layouts.mvtec",
}
"""Name -> module, whose `LAYOUT` it is. The first that detects a folder has it."""


def _every_layout() -> Iterator[Layout]:
    return (import_module(module).LAYOUT for module in LAYOUTS.values())


def detect_layout(root: Path) -> Layout | None:
    """The layout of a folder, by names alone; None if it is the root of no dataset."""
    return next((layout for layout in _every_layout() if layout.detect(root)), None)


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
        layout = detect_layout(folder)
        if layout is not None:
            dataset = layout.index(folder)
            if not len(dataset) and not dataset.layout_problems:
                raise ToolkitError(folder, "holds no images", "name the folder that holds the dataset")
            return dataset
    place = root.resolve()
    for folder in place.parents[:2]:
        layout = detect_layout(folder)
        if layout is not None and place.relative_to(folder).parts[0] in layout.parts:
            raise ToolkitError(root, "is a part of a dataset", f"name its category, {folder}")
    if not any(root.iterdir()):
        raise ToolkitError(root, "the folder is empty", "name the folder that holds the dataset")
    known = ", ".join(f"{layout.name} ({layout.shown})" for layout in _every_layout())
    raise ToolkitError(root, "unknown layout", f"known are {known} and the label trees that 'defectkit convert' writes")


def load_dataset(root: str | Path) -> Dataset:
    """Index a dataset: a dataset root, a single category folder, or a folder that holds either one level down.

    Only names are read here, so that a hundred thousand samples take seconds. `Dataset.problems` reads the files.

    Raises:
        ToolkitError: the folder does not exist, holds nothing, or has no known layout.
    """
    return index_root(Path(root))
