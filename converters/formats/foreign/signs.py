"""Which folders hold label files of another tool, told by the first and last bytes of a few files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from converters.formats.labelme.files import masked_images
from toolkit.dataset.layouts.files import list_files
from toolkit.files.reach import JUNK

__all__ = ["entries", "files_near", "tells_more_than_masks", "told_bytes"]

_HEAD = 1 << 16  # bytes at either end of a file
_FOLDERS, _NAMES, _DEEP = 64, 20_000, 3  # folders and names that are looked through, and folders one in the other


def told_bytes(path: Path) -> bytes:
    """The first and last bytes of a file, without the zeros of UTF-16; none where it cannot be read."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
            file.seek(max(len(head), path.stat().st_size - _HEAD))
            return (head + file.read(_HEAD)).replace(b"\0", b"")
    except OSError:
        return b""


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, sorted, as far as it is looked through; hidden things are passed over."""
    try:
        with os.scandir(folder) as found:
            seen = list(islice(found, _NAMES))
    except OSError:
        return []
    return sorted(
        (one for one in seen if not one.name.startswith(".") and one.name not in JUNK), key=lambda one: one.name
    )


def files_near(root: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    """Files of some endings in a folder and a little below it, those near it first; our own trees are passed over."""
    waiting, seen, names = [(root, 0)], 0, 0
    while waiting and seen < _FOLDERS and names < _NAMES:
        folder, depth = waiting.pop(0)
        found = entries(folder)
        seen, names = seen + 1, names + len(found)
        if depth and any(entry.name == "manifest.json" for entry in found):
            continue
        for entry in found:
            if entry.name.lower().endswith(endings):
                if entry.name != "manifest.json":
                    yield Path(entry.path)
            elif depth < _DEEP and entry.is_dir(follow_symlinks=False):
                waiting.append((Path(entry.path), depth + 1))


def tells_more_than_masks(root: Path, count: Callable[[], int]) -> bool:
    """Whether label files speak of more images than have a mask, where a folder is a dataset with masks as well.

    Args:
        root: the folder.
        count: how many images the label files speak of; asked for only where there are masks.
    """
    masked = masked_images(list_files(root))
    return not masked or count() > masked
