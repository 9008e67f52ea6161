"""Keys of images and the file names that stand for them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePath

from toolkit.errors import ToolkitError

__all__ = ["file_name", "key_finder", "key_of_file_name", "unique_keys"]


def file_name(key: str) -> str:
    """File name, without ending, that stands for a key: "/" becomes "__".

    Reversible (`key_of_file_name`): underscores that could be taken for a separator, "%", and the backslash, which
    readers of label files take for a separator of folders, are written as in URLs.
    """
    return "__".join(_escape(part) for part in key.split("/"))


def _escape(part: str) -> str:
    if "_" not in part and "%" not in part and "\\" not in part:
        return part
    part = part.replace("%", "%25").replace("\\", "%5C").replace("__", "%5F%5F")
    if part.startswith("_"):
        part = "%5F" + part[1:]
    return part[:-1] + "%5F" if part.endswith("_") else part


def key_of_file_name(name: str) -> str:
    """The key that `file_name` made a name (without ending) from."""
    return "/".join(part.replace("%5F", "_").replace("%5C", "\\").replace("%25", "%") for part in name.split("__"))


def key_finder(keys: Iterable[str], *, bare: bool = True) -> Callable[[str], str | None]:
    """What finds the key that the name of an image in a label tree stands for; None if none of `keys` does.

    The name may be the key, the file name that stands for it, either below folders of the tree's own (as the MVTec
    layout has them), or (with `bare`) its bare name where only one key has it.
    """
    known: Mapping[str, object] = keys if isinstance(keys, Mapping) else dict.fromkeys(keys)
    tables: list[tuple[dict[str, str], dict[str, list[str]]]] = []  # made when a name is no key: they are large

    def named(name: str) -> str | None:
        if name in known:
            return name
        key = key_of_file_name(name)
        return key if key in known and file_name(key) == name else None

    def find(name: str) -> str | None:
        found = named(name)
        if found:
            return found
        if not tables:
            tables.append(_tables(known))
        moved, stems = tables[0]
        last = name.rpartition("/")[2]
        same = stems.get(last, []) if bare else []
        found = moved.get(name) or named(last) or moved.get(last)
        return found or (same[0] if len(same) == 1 else None)

    return find


def _tables(known: Iterable[str]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The keys by where a tree in the MVTec layout may have put their images, and by their bare names."""
    moved: dict[str, str] = {}
    stems: dict[str, list[str]] = {}
    for key in known:
        stems.setdefault(key.rpartition("/")[2], []).append(key)
        for place in _moved(key):
            moved.setdefault(place, key)
    return moved, stems


def _moved(key: str) -> list[str]:
    """Where a tree in the MVTec layout puts an image that cannot stay in its folder: below test, or below good."""
    parts = key.split("/")
    if len(parts) != 4:
        return []
    category, split, defect, stem = parts
    return [f"{category}/test/{defect}/{split}__{stem}", f"{category}/{split}/good/{defect}__{stem}"]


def unique_keys(paths: Sequence[Path]) -> list[str]:
    """A key for each image file: its name, with as many folders before it as tell all apart.

    The ending is left out where that keeps them apart.

    Raises:
        ToolkitError: a file is named twice.
    """
    whole = [os.path.realpath(path) for path in paths]  # texts, since there may be very many
    twice = next((path for path, count in Counter(whole).items() if count > 1), None)
    if twice is not None:
        raise ToolkitError(twice, "is named twice", "name each image once")
    depth, bare = 1, len({_end(path, bare=True) for path in whole}) == len(whole)
    while len({_end(path, depth, bare=bare) for path in whole}) < len(whole):
        depth += 1
    return [_end(path, depth, bare=bare) for path in whole]


def _end(path: str, depth: int = 0, *, bare: bool) -> str:
    """The last `depth` parts of a whole path, or all of them, with the file's ending or without."""
    pure = PurePath(path)
    parts = (pure.with_suffix("") if bare else pure).parts
    return "/".join(part for part in parts[-depth:] if part != "/")
