"""Where the files of another tool's tree are: paths as they are written, and each image's label file."""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from toolkit.imaging.images import is_image

__all__ = [
    "NAMES_FILES",
    "TreeFiles",
    "child",
    "children",
    "descend",
    "find_place",
    "path_parts",
    "path_ways",
    "read_text",
]

NAMES_FILES = ("classes.txt", "obj.names", "predefined_classes.txt", "_darknet.labels")
"""Files that hold the names of classes, one a line in the order of the ids, as various tools call them."""

_LABELS = "labels"


def read_text(path: Path) -> tuple[str, list[str]]:
    """A text file, and a note where it is not UTF-8: then it is taken for UTF-16 if it says so, else for Latin-1.

    Raises:
        OSError: it cannot be read.
    """
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace"), [f"{path} is UTF-16, and was read as that"]
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        return data.decode("latin-1"), [f"{path} is not UTF-8, and was read as Latin-1"]


def path_parts(text: str) -> list[str]:
    """Parts of a path with slashes of either kind, without a drive, without "." and "..", which lead nowhere here."""
    parts: list[str] = []
    for part in re.split(r"[\\/]+", text.strip()):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", ".") and not re.fullmatch("[A-Za-z]:", part):
            parts.append(part)
    return parts


def child(folder: Path, name: str) -> Path | None:
    """What is called so in a folder, in whatever letter case; None if nothing is, or several things are."""
    try:
        if (folder / name).exists():
            return folder / name
    except (OSError, ValueError):  # it can be no name
        return None
    if not folder.is_dir():
        return None
    same = [path for path in folder.iterdir() if path.name.lower() == name.lower()]
    return same[0] if len(same) == 1 else None


def children(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """As `child`, for several names in lower case with one look into the folder; without those that nothing is."""
    try:
        there = os.listdir(folder)  # noqa: PTH208 - a tree may have thousands of folders
    except OSError:
        return {}
    found = {}
    for name in names:
        same = [name] if name in there else [one for one in there if one.lower() == name]
        if len(same) == 1:
            found[name] = folder / same[0]
    return found


def descend(root: Path, parts: Sequence[str]) -> Path | None:
    """What a path leads to below `root`, in whatever letter case."""
    place: Path | None = root
    for part in parts:
        place = None if place is None else child(place, part)
    return place


def path_ways(text: str, base: str = "") -> list[list[str]]:
    """The ways below a root, part by part, that a written path may mean; the first that leads somewhere is meant.

    Of a path from another machine the longest end of it; so of `base`, the folder that relative paths are said to start
    from. Darknet's lists start in a folder above, by custom "data".
    """
    parts = path_parts(text)
    if re.match(r"[\\/]|[A-Za-z]:[\\/]", text.strip()):
        return [parts[start:] for start in range(len(parts))]
    above = path_parts(base)
    ways = [above[start:] + parts for start in range(len(above) + 1)]
    data = max((place for place, part in enumerate(parts[:-1]) if part == "data"), default=None)
    return ways if data is None else [*ways, parts[data:], parts[data + 1 :]]


def find_place(root: Path, text: str, base: str = "") -> Path | None:
    """What a written path means below `root`, in whatever letter case; None if nothing is there."""
    return next((place for way in path_ways(text, base) if (place := descend(root, way)) is not None), None)


class TreeFiles:
    """The images and text files below a folder, from one walk. Paths are below it, with "/" between parts.

    Attributes:
        root: the folder.
        images: sorted.
        texts: sorted; those that hold the names of classes are not among them.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.images: list[str] = []
        self.texts: list[str] = []
        self._plain = True  # whether all text files end in .txt, in small letters
        self._folders: set[str] = set()
        for path in _walk(root):
            if is_image(path):
                self.images.append(path)
            elif path.lower().endswith(".txt") and path.rpartition("/")[2].lower() not in NAMES_FILES:
                self.texts.append(path)
                self._plain &= path.endswith(".txt")
                self._folders.add(path.rpartition("/")[0].lower())
        self.images.sort()
        self.texts.sort()

    def image_at(self, path: str) -> str | None:
        """The image of this path below the root, in whatever letter case if only one fits; None if none does."""
        found = _found_in(self.images, path)
        if found is not None:
            return found
        same = self._lowered.get(path.lower(), [])
        return same[0] if len(same) == 1 else None

    @cached_property
    def _lowered(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for image in self.images:
            found.setdefault(image.lower(), []).append(image)
        return found

    @cached_property
    def _lowered_texts(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self.texts:
            found.setdefault(path[:-4].lower(), []).append(path)
        return found

    @cached_property
    def _decoded_texts(self) -> dict[str, list[str]]:
        """Those that are called as in addresses (`a%20b.txt`), as Label Studio may call them, by what that means."""
        found: dict[str, list[str]] = {}
        for path in self.texts:
            if "%" in path:
                found.setdefault(unquote(path[:-4]).lower(), []).append(path)
        return found

    def label_of(self, image: str) -> tuple[str, bool]:
        """An image's label file, and whether it is there.

        The last folder called images becomes labels; where there is none, or nothing in it, labels are looked for
        beside the image.
        """
        folder, _, name = image.rpartition("/")
        stem = name.rpartition(".")[0]
        labels = labels_folder(folder)
        wanted = f"{labels}/{stem}" if labels else stem
        found = self._text(wanted)
        if found is None and labels != folder and labels.lower() not in self._folders:
            found = self._text(f"{folder}/{stem}")
        return (f"{wanted}.txt", False) if found is None else (found, True)

    def _text(self, stem: str) -> str | None:
        """The text file of a name without ending: in whatever letter case if only one fits."""
        plain = _found_in(self.texts, f"{stem}.txt") if self._plain else None
        if plain is not None:
            return plain
        same = self._lowered_texts.get(stem.lower()) or self._decoded_texts.get(stem.lower(), [])
        exact = [path for path in same if path[:-4] == stem]
        fitting = exact or same
        return fitting[0] if len(fitting) == 1 else None


def _found_in(ordered: Sequence[str], text: str) -> str | None:
    """The text out of sorted ones, so that it is in memory once; None if it is not there."""
    place = bisect_left(ordered, text)
    return ordered[place] if place < len(ordered) and ordered[place] == text else None


def labels_folder(folder: str) -> str:
    """The folder of labels of a folder of images; the folder itself where no part of it is called images."""
    parts = folder.split("/")
    for place in reversed(range(len(parts))):
        if parts[place].lower() == "images":
            return "/".join([*parts[:place], _LABELS, *parts[place + 1 :]])
    return folder


def _walk(root: Path) -> Iterator[str]:
    """All files that are not hidden; links to folders are followed, each folder once."""
    seen: set[str] = set()
    for parent, folders, files in os.walk(root, followlinks=True):
        place = os.path.realpath(parent)
        if place in seen:
            folders.clear()
            continue
        seen.add(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inner = os.path.relpath(parent, root).replace(os.sep, "/")
        before = "" if inner == "." else f"{inner}/"
        yield from (before + name for name in files if not name.startswith("."))
