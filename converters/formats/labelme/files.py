"""Which folders hold LabelMe's files: by a look at a few of them, and by how many there are for the images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from toolkit.dataset.layouts.files import FileList, list_files
from toolkit.dataset.layouts.guessing import guess
from toolkit.files.reach import JUNK

__all__ = ["is_labelme_file", "json_files", "looks_labelled", "may_be_labelled", "without_exports"]

_HEAD = 1 << 16  # bytes at either end in which a file's members are looked for: it may hold its image
_LOOKED_AT, _FOLDERS, _NAMES = 8, 64, 50_000  # files that are opened; folders and names that are looked through
_DEEP = 4  # folders below a root


def is_labelme_file(path: Path) -> bool:
    """Whether a JSON file is of LabelMe, by its first and last bytes; by all of them where these do not tell."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
            file.seek(max(0, path.stat().st_size - _HEAD))
            told = _told(head + file.read())
            if any(told) and not all(told):
                file.seek(0)
                told = _told(file.read())
    except OSError:
        return False
    return all(told)


def _told(data: bytes) -> tuple[bool, bool]:
    """Whether some bytes name the shapes that LabelMe's files have, and what these say of the image."""
    others = (b'"imagePath"', b'"imageData"', b'"imageHeight"')
    return b'"shapes"' in data, any(name in data for name in others)


def _candidates(root: Path) -> Iterator[Path]:
    """JSON files below a root, those near it first; trees of our own in it are not looked into."""
    waiting, seen, names = [(root, 0)], 0, 0
    while waiting and seen < _FOLDERS and names < _NAMES:
        folder, depth = waiting.pop(0)
        seen += 1
        try:
            with os.scandir(folder) as entries:
                found = list(islice(entries, _NAMES - names))
        except OSError:
            continue
        names += len(found)
        if depth and any(entry.name == "manifest.json" for entry in found):
            continue
        for entry in sorted(found, key=lambda one: one.name):
            if entry.name.startswith(".") or entry.name in JUNK:
                continue
            if entry.name.lower().endswith(".json"):
                if entry.name != "manifest.json":
                    yield Path(entry.path)
            elif depth < _DEEP and entry.is_dir(follow_symlinks=False):
                waiting.append((Path(entry.path), depth + 1))


def json_files(files: FileList) -> list[str]:
    """The JSON files of a root that may be LabelMe's."""
    return [path for path in files.others if path.lower().endswith(".json") and path != "manifest.json"]


def without_exports(files: FileList) -> tuple[list[str], list[str]]:
    """The images of a root without those that `labelme_export_json` made of them, and the folders of the latter."""
    exports = sorted({path.rpartition("/")[0] for path in files.others if path.endswith("/label_names.txt")})
    kept = [path for path in files.images if path.rpartition("/")[0] not in exports]
    return kept, exports


def _has_labelme(root: Path) -> bool:
    """Whether one of the first JSON files below a root is LabelMe's."""
    return any(is_labelme_file(path) for path in islice(_candidates(root), _LOOKED_AT))


def looks_labelled(root: Path) -> bool:
    """Whether a root holds LabelMe's files for at least half of its images."""
    if not _has_labelme(root) or _holds_trees(root):
        return False
    files = list_files(root)
    return 2 * len(json_files(files)) >= len(without_exports(files)[0])


def may_be_labelled(root: Path) -> bool:
    """Whether a root holds LabelMe's files for some of its images, and nothing else that tells of them."""
    if not _has_labelme(root) or _holds_trees(root):
        return False
    files = list_files(root)
    stems = {PurePosixPath(path).stem for path in files.images}
    rows = sum(path.endswith(".txt") and PurePosixPath(path).stem in stems for path in files.others)
    if rows > len(json_files(files)):
        return False
    found = guess(files)
    return found is None or not found.description.mask


def _holds_trees(root: Path) -> bool:
    """Whether label trees of our own stand in a folder."""
    return any((path / "manifest.json").is_file() for path in root.iterdir() if path.is_dir())
