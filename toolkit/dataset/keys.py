"""Keys of images and the file names that stand for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from toolkit.errors import ToolkitError

__all__ = ["file_name", "key_of_file_name", "unique_keys"]


def file_name(key: str) -> str:
    """File name, without ending, that stands for a key: "/" becomes "__".

    Reversible (`key_of_file_name`): underscores that could be taken for a separator, and "%", are written as in URLs.
    """
    return "__".join(_escape(part) for part in key.split("/"))


def _escape(part: str) -> str:
    if "_" not in part and "%" not in part:
        return part
    part = part.replace("%", "%25").replace("__", "%5F%5F")
    if part.startswith("_"):
        part = "%5F" + part[1:]
    return part[:-1] + "%5F" if part.endswith("_") else part


def key_of_file_name(name: str) -> str:
    """The key that `file_name` made a name (without ending) from."""
    return "/".join(part.replace("%5F", "_").replace("%25", "%") for part in name.split("__"))


def unique_keys(paths: Sequence[Path]) -> list[str]:
    """A key for each image file: its name, with as many folders before it as tell all apart.

    The ending is left out where that keeps them apart.

    Raises:
        ToolkitError: a file is named twice.
    """
    whole = [path.resolve() for path in paths]
    twice = next((path for path, count in Counter(whole).items() if count > 1), None)
    if twice is not None:
        raise ToolkitError(twice, "is named twice", "name each image once")
    bare = [path.with_suffix("").parts for path in whole]
    parts = bare if len(set(bare)) == len(bare) else [path.parts for path in whole]
    depth = 1
    while len({one[-depth:] for one in parts}) < len(parts):
        depth += 1
    return ["/".join(part for part in one[-depth:] if part != "/") for one in parts]
