"""Which folders hold LabelMe's files: by a look at a few of them, and by how many there are for the images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from converters.formats.registry import every_format
from toolkit.dataset.layouts import detect_layout
from toolkit.dataset.layouts.files import FileList, list_files
from toolkit.dataset.layouts.guessing import guess
from toolkit.errors import ToolkitError
from toolkit.files.reach import JUNK

__all__ = ["is_labelme_file", "json_files", "looks_labelled", "marks_shapes", "masked_images", "without_exports"]

_SHAPE = re.compile(rb'"shapes"\s*:\s*\[\s*\{')
_HEAD = 1 << 16  # bytes at either end in which a file's members are looked for: it may hold its image
_LOOKED_AT, _FOLDERS, _NAMES = 8, 64, 50_000  # files that are opened; folders and names that are looked through
_DEEP, _CHILDREN = 4, 16  # folders one in the other, and beside each other, that are looked into


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


def marks_shapes(path: Path) -> bool:
    """Whether a file is LabelMe's and has a shape."""
    try:
        return is_labelme_file(path) and _SHAPE.search(path.read_bytes()) is not None
    except OSError:
        return False


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
    pictures = frozenset(files.images)
    listed = sorted({path.rpartition("/")[0] for path in files.others if path.endswith("/label_names.txt")})
    exports = [place for place in listed if {f"{place}/img.png", f"{place}/label.png"} <= pictures]
    kept = [path for path in files.images if path.rpartition("/")[0] not in exports]
    return kept, exports


def _has_labelme(root: Path) -> bool:
    """Whether one of the first JSON files below a root is LabelMe's."""
    return any(is_labelme_file(path) for path in islice(_candidates(root), _LOOKED_AT))


def looks_labelled(root: Path) -> bool:
    """Whether a root holds LabelMe's files, and neither masks nor other labels of more of its images."""
    if not _has_labelme(root) or _holds_trees(root):
        return False
    files = list_files(root)
    count = len(json_files(files))
    stems = {PurePosixPath(path).stem for path in files.images}
    others = (path for path in files.others if path.lower().endswith((".txt", ".xml")))
    if sum(PurePosixPath(path).stem in stems for path in others) > count:
        return False
    return 2 * count > len(files.images) or masked_images(files) < count  # masks are files of images, too


def masked_images(files: FileList) -> int:
    """Images that have a mask, where the root is a dataset of a known layout."""
    layout = detect_layout(files.root)
    if layout is not None:
        try:
            return sum(bool(sample.masks) for sample in layout.index(files.root))
        except ToolkitError:
            return 0
    found = guess(files)
    return found.resolution.paired if found is not None else 0


def _holds_trees(root: Path) -> bool:
    """Whether label trees of other kinds, or of our own, stand in a folder."""
    children = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if any((path / "manifest.json").is_file() for path in children):
        return True
    kinds = [kind for kind in every_format() if kind.name != "labelme"]
    others = (path for path in children[:_CHILDREN] if not _has_labelme(path))
    return any(kind.recognise(path) for path in others for kind in kinds)
