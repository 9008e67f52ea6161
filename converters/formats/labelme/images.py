"""Which image a LabelMe file is of: the one that its `imagePath` leads to, else one of its name, else of the file's."""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from converters.formats.image_files import plain_name

__all__ = ["Found", "ImageNames"]

_ABSOLUTE = re.compile(r"^(/|[A-Za-z]:)")

Way = Literal["path", "name", "stem"]


class Found(NamedTuple):
    """An image, as a path below the root, and what it was found by: where the file says, its name, or the file's."""

    image: str
    way: Way


def _folded(name: str) -> str:
    """A name as file systems compare it that know no letter case."""
    return unicodedata.normalize("NFC", name).casefold()


class ImageNames:
    """Images by their paths below a root, '/' between the parts."""

    def __init__(self, images: Iterable[str]) -> None:
        self.images = tuple(images)
        self._paths: dict[str, str] = {}
        self._names: dict[str, list[str]] = {}
        self._stems: dict[str, list[str]] = {}
        for path in self.images:
            self._paths.setdefault(_folded(path), path)
            self._names.setdefault(_folded(PurePosixPath(path).name), []).append(path)
            self._stems.setdefault(_folded(PurePosixPath(path).stem), []).append(path)
        self._exact = frozenset(self.images)

    def of(self, label: str, told: str) -> Found | None:
        """The image of a label file.

        Args:
            label: the file, as a path below the root.
            told: its `imagePath`: with slashes of either kind, of another machine, or leading out of the root.

        Returns:
            None where there is none, or several and nothing tells the right one.
        """
        folder, stem = posixpath.dirname(label), PurePosixPath(label).stem
        if (place := self._at(folder, told)) is not None:
            return Found(place, "path")
        own = self._stems.get(_folded(stem), [])
        image = self._beside(folder, told)
        if image is not None:
            return Found(image, "name")
        beside = [path for path in own if posixpath.dirname(path) == folder]
        if len(beside) == 1:
            return Found(beside[0], "stem")
        if self.alike(told):
            return self.named(folder, told)
        image = _closest(posixpath.join(folder, stem), own, bare=True)
        return Found(image, "stem") if image is not None else None

    def named(self, folder: str, told: str) -> Found | None:
        """The image that a name leads to, from a folder: as `of`, where the file's own name tells nothing."""
        if (place := self._at(folder, told)) is not None:
            return Found(place, "path")
        named = self.alike(told)
        own = posixpath.join(folder, posixpath.basename(plain_name(told)))
        image = self._beside(folder, told) or _closest(plain_name(told), named) or _closest(own, named)
        return Found(image, "name") if image is not None else None

    def beside(self, folder: str, name: str) -> str | None:
        """The image of a name in a folder, or the only one there that is so called but for its ending."""
        image = self._at(folder, name) if name == posixpath.basename(name) else None
        stems = [path for path in self._stems.get(_folded(name), []) if posixpath.dirname(path) == folder]
        return image or (stems[0] if len(stems) == 1 else None)

    def _beside(self, folder: str, told: str) -> str | None:
        """The only image of the bare name of a path in a folder."""
        found = [path for path in self.alike(told) if posixpath.dirname(path) == folder]
        return found[0] if len(found) == 1 else None

    def _at(self, folder: str, told: str) -> str | None:
        """The image that a path leads to from a folder, where it does not leave the root."""
        text = told.replace("\\", "/")
        if not text or _ABSOLUTE.match(text) or "\0" in text:
            return None
        place = posixpath.normpath(posixpath.join(folder, text))
        return place if place in self._exact else self._paths.get(_folded(place))

    def alike(self, told: str) -> list[str]:
        """Images of the bare name of a path."""
        name = posixpath.basename(plain_name(told))
        return self._names.get(_folded(name), []) if name else []


def _closest(wanted: str, paths: Sequence[str], *, bare: bool = False) -> str | None:
    """The one path that shares the most of its end with another; None where several do.

    Args:
        wanted: the other.
        paths: of which one is looked for.
        bare: whether `wanted` has no ending.
    """
    if not paths:
        return None
    counts = [_shared(wanted, os.path.splitext(path)[0] if bare else path) for path in paths]
    best = [path for path, count in zip(paths, counts, strict=True) if count == max(counts)]
    return best[0] if len(best) == 1 else None


def _shared(wanted: str, there: str) -> int:
    """Parts that two paths have alike, counted from their ends."""
    count = 0
    for one, other in zip(reversed(wanted.split("/")), reversed(there.split("/")), strict=False):
        if _folded(one) != _folded(other):
            break
        count += 1
    return count
