"""Which XML files of a folder are CVAT's, by a look at few of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from converters.formats.label_tree import subset_of_name
from toolkit.dataset.layouts import detect_layout
from toolkit.errors import ToolkitError
from toolkit.files.reach import JUNK
from toolkit.files.xml_files import first_element

__all__ = ["cvat_files", "is_cvat", "is_cvat_file", "is_masked_dataset"]

_HEAD = 1 << 16  # bytes in which the elements below the first are looked for
_SIGNS = (b"<version", b"<meta", b"<image", b"<track")
_ENTRIES, _FOLDERS = 10_000, 64  # of a folder that are looked at; folders that are looked into
_TRIED = 8  # XML files of a folder that are opened to recognise it
_BESIDE = frozenset({"annotations", "data", "images", "img", "imgs"})
"""Folders that may lie beside those of a split, each with its own file."""


def is_cvat_file(path: Path) -> bool:
    """Whether a file is one of CVAT's, by its beginning."""
    if path.suffix.lower() != ".xml" or first_element(path) not in ("annotations", None):
        return False  # none is told of a file that declares a document type, which is refused by that name
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD).replace(b"\0", b"")
    except OSError:
        return False
    return b"<annotations" in head and any(sign in head for sign in _SIGNS)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            found = list(islice(entries, _ENTRIES))
    except OSError:
        return []
    kept = (one for one in found if not one.name.startswith(".") and one.name not in JUNK)
    return sorted(kept, key=lambda one: one.name)


def _xml_files(folder: Path) -> list[Path]:
    return [Path(one.path) for one in _entries(folder) if one.name.lower().endswith(".xml")]


def _folders(root: Path) -> Iterator[Path]:
    """Where CVAT's files may lie: the root; its folder of annotations; folders of a split, or of tasks, one file each.

    The latter only where there is nothing beside them, so that a tree of another kind is none of CVAT's.
    """
    yield root
    children = [Path(one.path) for one in _entries(root) if one.is_dir()][:_FOLDERS]
    yield from (path for path in children if path.name.lower() == "annotations")
    others = [path for path in children if path.name.lower() not in _BESIDE]
    if others and all(_is_task(path) or subset_of_name(path.name) for path in others):
        yield from (path for path in others if not (path / "manifest.json").is_file())


def _is_task(folder: Path) -> bool:
    """Whether a folder holds what CVAT exports of a task."""
    return any(is_cvat_file(path) for path in _xml_files(folder)[:_TRIED]) and not (folder / "manifest.json").is_file()


def cvat_files(root: Path) -> list[Path]:
    """CVAT's files: the root itself, or those in the first of the places that hold any."""
    if root.is_file():
        return [root]
    found = [path for folder in _folders(root) for path in _xml_files(folder) if is_cvat_file(path)]
    near = [path for path in found if path.parent == root]
    return near or found


def is_cvat(root: Path) -> bool:
    """Whether a folder holds CVAT's files, as the labels of what is in it."""
    return root.is_dir() and any(
        is_cvat_file(path) for folder in _folders(root) for path in _xml_files(folder)[:_TRIED]
    )


def is_masked_dataset(root: Path) -> bool:
    """Whether a folder is a dataset with masks, which tell more than a file that lies in it."""
    if root.is_file() or (root / "manifest.json").is_file():
        return False
    layout = detect_layout(root)
    try:
        return layout is not None and any(sample.masks for sample in layout.index(root))
    except ToolkitError:
        return False
