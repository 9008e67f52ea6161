"""The image files of a label tree, found by the names that label files have for them."""

from __future__ import annotations

import base64
import binascii
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from toolkit.imaging.images import is_image

if TYPE_CHECKING:
    from toolkit.imaging.images import ImageHeader

__all__ = ["ImageFinder", "image_header", "names_of", "plain_name", "subset_of_name"]

_LONGEST = 255  # bytes of a name that file systems take
_DRIVE = re.compile(r"^[A-Za-z]:(?=[/\\])")


def plain_name(name: str) -> str:
    """A file name of a label file as a path inside a tree, parts separated by "/"; "" if it cannot be one.

    Backslashes separate parts too; drives, leading slashes and parts that lead upward are left out.
    """
    parts: list[str] = []
    for part in _DRIVE.sub("", name).replace("\\", "/").split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "" if any(len(part.encode()) > _LONGEST or "\0" in part for part in parts) else "/".join(parts)


def names_of(told: str) -> list[str]:
    """Names of a file, the likeliest first, that a link may mean; none where it holds the image.

    Uploads to Label Studio (`/data/upload/1/ab12cd34-a.png`), local files (`/data/local-files/?d=a.png`), buckets
    (`s3://b/a.png`), also behind Label Studio's own links to these, addresses, and bare paths with slashes of any kind.
    """
    text = told.strip()
    if text.startswith("data:"):
        return []
    return list(dict.fromkeys(name for name in _names_in(text) if name))


def _names_in(text: str) -> Iterator[str]:
    try:
        parts = urlsplit(text.replace("\\", "/"))
        asked = parse_qs(parts.query)
    except ValueError:
        yield text
        return
    if "/local-files" in parts.path and asked.get("d"):
        yield asked["d"][0]
        return
    if asked.get("fileuri"):
        yield from _names_in(_from_base64(asked["fileuri"][0]))
        return
    if parts.scheme in ("http", "https") or (parts.path.startswith("/data/") and not parts.scheme):
        yield unquote(parts.path)
        yield parts.path
        yield "" if parts.scheme else text
    elif len(parts.scheme) > 1:  # a letter is a drive
        bucket, _, inner = text.partition("://")[2].partition("/")  # names in a bucket may hold ? and #
        yield inner or bucket
        yield unquote(inner or bucket)
    else:
        yield text
        yield unquote(text)


def _from_base64(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return text


def _folded(name: str) -> str:
    """A name as file systems compare it that know no letter case."""
    return unicodedata.normalize("NFC", name).casefold()


class ImageFinder:
    """Finds images below a folder. Only folders that are asked for are looked into, until an image is missed there.

    Args:
        root: folder that no image lies outside of.
        labels: folders below it whose pictures are labels.
    """

    def __init__(self, root: Path, labels: Iterable[Path] = ()) -> None:
        self.root = root
        self._labels = frozenset(labels)
        self._listings: dict[Path, list[str]] = {}

    def folders(self, places: Iterable[str]) -> list[Path]:
        """The folders that are there of some places relative to the root, each once, whatever their letter case."""
        found: dict[Path, None] = {}
        for place in places:
            here: Path | None = self.root
            for part in place.split("/") if place else []:
                here = self._child(here, part) if here is not None else None
            if here is not None and here not in self._labels:
                found[here] = None
        return list(found)

    def _child(self, folder: Path, name: str) -> Path | None:
        if folder not in self._listings:
            try:
                self._listings[folder] = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
            except OSError:
                self._listings[folder] = []
        same = [one for one in self._listings[folder] if _folded(one) == _folded(name)]
        return folder / (name if name in same else same[0]) if same else None

    def find(self, name: str, folders: Sequence[Path], *, anywhere: bool = True) -> Path | None:
        """The image of this name in the first of the folders that has it; else the only one below the root.

        Where there is none, and the name is an address or written as in one (`a%20b.png`), it is what this means.

        Args:
            name: as a label file has it, with or without folders. What would lead out of the root is not followed.
            folders: where to look first.
            anywhere: whether to look elsewhere.

        Returns:
            None where there is none, or several of which no folder in the name tells the right one.
        """
        plain = plain_name(name)
        if not plain:
            return None
        for folder in folders:
            place = folder / plain
            if place.parent not in self._labels and os.path.isfile(place):  # noqa: PTH113 - Path.is_file raises where a name is too long
                return place
        if not anywhere:
            return None
        alike = [path for path in self.namesakes(name) if path.name == plain.rpartition("/")[2]]
        found = _closest(plain, alike) or _closest(plain, self.namesakes(name))
        if found is None and not alike and "://" in name:
            names = (one for one in names_of(name) if "://" not in one)
            return next((image for one in names if (image := self.find(one, folders)) is not None), None)
        decoded = unquote(plain)
        return self.find(decoded, folders) if found is None and not alike and decoded != plain else found

    def namesakes(self, name: str) -> list[Path]:
        """Images below the root of the same bare name, in whatever letter case, sorted."""
        return self._by_name.get(_folded(plain_name(name).rpartition("/")[2]), [])

    @property
    def empty(self) -> bool:
        """Whether no image lies below the root."""
        return not self._by_name

    def every(self) -> list[Path]:
        """All images below the root, sorted."""
        return sorted(path for paths in self._by_name.values() for path in paths)

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for path in self._walk():
            found.setdefault(_folded(path.name), []).append(path)
        return found

    def _walk(self) -> Iterator[Path]:
        seen: set[str] = set()
        for parent, folders, files in os.walk(self.root, followlinks=True):
            here = Path(parent)
            real = os.path.realpath(parent)
            if real in seen or here in self._labels:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
            images = (here / name for name in sorted(files) if is_image(name))
            yield from (image for image in images if not image.is_symlink() or image.is_file())


def _closest(plain: str, paths: Sequence[Path]) -> Path | None:
    """The one path that shares the most of its end with a name; None where several do."""
    if not paths:
        return None
    shared = [_shared(plain.split("/"), path.parts) for path in paths]
    best = [path for path, count in zip(paths, shared, strict=True) if count == max(shared)]
    return best[0] if len(best) == 1 else None


def _shared(wanted: Sequence[str], there: Sequence[str]) -> int:
    """Parts that two paths have alike, counted from their ends."""
    count = 0
    for one, other in zip(reversed(wanted), reversed(there), strict=False):
        if _folded(one) != _folded(other):
            break
        count += 1
    return count


def image_header(image: Path) -> ImageHeader:
    """What an image file declares, read once for all who ask.

    Raises:
        ToolkitError: it cannot be read.
    """
    try:
        told = os.stat(image)
    except OSError:
        return _read_header(image, 0, 0)
    return _read_header(image, told.st_size, told.st_mtime_ns)


@lru_cache(maxsize=4096)  # a conversion asks when it looks at an image and when it writes it, a proof for each reading
def _read_header(image: Path, length: int, changed: int) -> ImageHeader:
    from toolkit.imaging.images import read_header

    return read_header(image)


_SUBSET_WORDS = {
    "train": ("train", "training", "trainset", "trainval"),
    "val": ("val", "valid", "validation", "valset"),
    "test": ("test", "testing", "testset"),
}
_SUBSETS = {word: subset for subset, words in _SUBSET_WORDS.items() for word in words}
_NEUTRAL = re.compile(
    r"v?\d*|all|ann(s|otated|otations?)?|bbox|boxes|coco|data(set)?|detection|final|folder|full|images?|imgs?|instances?"
    r"|json|label(s|led)?|masks?|new|of|panoptic|segm(entation)?|set|split|subset"
)
"""Words that stand beside the name of a subset and mean nothing."""


def subset_of_name(name: str) -> str | None:
    """Subset that a folder or file name speaks of, for instance "valid" or "instances_train2017"; None if none.

    Whole words count, the last of those that mean something: "crash_train" is of train, "test piece" and "valve" are
    not of any subset.
    """
    words = re.split(r"[\W_]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
    telling = [word for word in words if not _NEUTRAL.fullmatch(word)]
    return _SUBSETS.get(telling[-1].rstrip("0123456789")) if telling else None
