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
from toolkit.imaging.images import is_image

__all__ = ["cvat_files", "is_cvat", "is_cvat_file", "is_masked_dataset"]

_HEAD = 1 << 16  # bytes in which the elements below the first are looked for
_SIGNS = (b"<version", b"<meta", b"<image", b"<track")
_NAMES, _FOLDERS = 1_000_000, 64  # of a folder that are looked through; folders that are looked into
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


def _listed(folder: Path) -> tuple[list[Path], list[Path]]:
    """XML files of a folder, and the folders in it, sorted."""
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for one in islice(entries, _NAMES):
                if one.name.startswith(".") or one.name in JUNK:
                    continue
                if one.name.lower().endswith(".xml"):
                    files.append(Path(one.path))
                elif "." not in one.name or not is_image(one.name):
                    folders += [Path(one.path)] if one.is_dir() else []
    except OSError:
        return [], []
    return sorted(files), sorted(folders)


def _places(root: Path) -> Iterator[list[Path]]:
    """XML files where CVAT's may lie: in the root, in its folder of annotations, in folders of a split or of tasks.

    The latter only where there is nothing beside them, so that a tree of another kind is none of CVAT's.
    """
    files, folders = _listed(root)
    yield files
    yield from (_listed(path)[0] for path in folders if path.name.lower() == "annotations")
    others = [path for path in folders if path.name.lower() not in _BESIDE]
    if others and all(subset_of_name(path.name) or _is_task(path) for path in others[:_FOLDERS]):
        yield from (_listed(path)[0] for path in others[:_FOLDERS] if not (path / "manifest.json").is_file())


def _is_task(folder: Path) -> bool:
    """Whether a folder holds what CVAT exports of a task."""
    return any(map(is_cvat_file, _listed(folder)[0][:_TRIED])) and not (folder / "manifest.json").is_file()


def cvat_files(root: Path) -> tuple[list[Path], list[Path]]:
    """CVAT's files: the root itself, those in it, or else those in its folders; and other XML files, not to be read."""
    if root.is_file():
        return [root], []
    first, *rest = _places(root)
    below = [path for files in rest for path in files]
    read = list(filter(is_cvat_file, first)) or list(filter(is_cvat_file, below))
    return read, [path for path in (*first, *below) if path not in set(read)]


def is_cvat(root: Path) -> bool:
    """Whether a folder holds CVAT's files, as the labels of what is in it."""
    return root.is_dir() and any(is_cvat_file(path) for files in _places(root) for path in files[:_TRIED])


def is_masked_dataset(root: Path) -> bool:
    """Whether a folder is a dataset with masks, which tell more than a file that lies in it."""
    if root.is_file() or (root / "manifest.json").is_file():
        return False
    layout = detect_layout(root)
    try:
        return layout is not None and any(sample.masks for sample in layout.index(root))
    except ToolkitError:
        return False
