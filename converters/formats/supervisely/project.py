"""Where the datasets of a Supervisely project lie."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from converters.formats.foreign.signs import entries, told_bytes
from toolkit.dataset.layouts.files import FileList

__all__ = ["annotations_in", "is_project", "meta_of"]

_META = "meta.json"
_TRIED = 3  # files of a folder that are opened
_FOLDERS = 64  # folders that are looked into
_NESTED = "datasets"  # folder of a dataset that holds others


def is_project(root: Path) -> bool:
    """Whether a folder is a project or a dataset of one: annotations in `ann`, in it or in its children."""
    if not root.is_dir():
        return False
    return any(_holds_annotations(folder / "ann") for folder in islice(_datasets(root), _FOLDERS))


def _datasets(root: Path) -> Iterator[Path]:
    """Folders that may be datasets: the root, its children, and those nested in them."""
    yield root
    waiting = [root]
    while waiting:
        folder = waiting.pop(0)
        for entry in entries(folder):
            if entry.is_dir(follow_symlinks=False) and not (Path(entry.path) / "manifest.json").is_file():
                yield Path(entry.path)
                if (Path(entry.path) / _NESTED).is_dir():
                    waiting.append(Path(entry.path) / _NESTED)


def _holds_annotations(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    files = [Path(entry.path) for entry in entries(folder) if entry.name.lower().endswith(".json")][:_TRIED]
    return any(b'"objects"' in data and b'"size"' in data for data in map(told_bytes, files))


def annotations_in(files: FileList) -> list[str]:
    """The annotation files below a root: JSON in folders that are called ann."""
    return [
        path
        for path in files.others
        if path.lower().endswith(".json") and posixpath.basename(posixpath.dirname(path)) == "ann"
    ]


def meta_of(files: FileList) -> list[str]:
    """The `meta.json` files of the projects below a root."""
    return [path for path in files.others if posixpath.basename(path) == _META and "ann" not in path.split("/")]
