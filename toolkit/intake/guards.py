"""What a member of an archive may be: names that stay inside, kinds that do no harm, sizes that are no bomb."""

from __future__ import annotations

import lzma
import re
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from posixpath import join, normpath
from typing import IO, Protocol

from toolkit.errors import ToolkitError

__all__ = [
    "AGAIN",
    "CHUNK",
    "DAMAGE",
    "DISTRUST",
    "Content",
    "Limits",
    "Member",
    "Names",
    "check_ratio",
    "damaged",
    "link_target",
    "no_content",
    "read_content",
    "refusal",
    "split_name",
]

CHUNK = 1 << 20
"""Bytes that are read at a time."""

DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    RecursionError,
    MemoryError,
    NotImplementedError,
)
"""What the standard library raises on archives that are damaged, by accident or on purpose."""

AGAIN = "get the archive again"
DISTRUST = "do not trust this archive; get the dataset from its publisher"

_DEPTH = 64  # folders inside one another
_SHOWN = 100  # letters of a member's name in a message


class Reader(Protocol):
    """Where the bytes of a member come from."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, none at the end."""


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold.

    Attributes:
        max_bytes: unpacked bytes.
        members: files and folders.
        ratio: unpacked bytes for each byte of the archive, looked at beyond `ratio_from` unpacked bytes. Images hardly
            compress; blank bitmaps reach 300.
        ratio_from: unpacked bytes: blank masks that stand together may be smaller yet for a while.
    """

    max_bytes: int = 20_000_000_000
    members: int = 500_000
    ratio: int = 500
    ratio_from: int = 1 << 26


@dataclass(frozen=True, eq=False)
class Member:
    """One file of an archive.

    Attributes:
        parts: its checked name, folder by folder; never empty, absolute, or with "..".
        size: bytes that it says it has; 0 for a link.
        open: its content, to be read before the next member is asked for.
        target: `parts` of the member that a link stands for; None if it is no link.
        path: the file, where the source is a folder.
    """

    parts: tuple[str, ...]
    size: int
    open: Callable[[], AbstractContextManager[Reader]]
    target: tuple[str, ...] | None = None
    path: Path | None = None


def refusal(archive: Path, name: str, problem: str, remedy: str = DISTRUST) -> ToolkitError:
    """What is wrong with one member."""
    shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
    return ToolkitError(archive, f"its member {shown!r} {problem}", remedy)


def damaged(archive: Path, error: BaseException, name: str | None = None) -> ToolkitError:
    """What the standard library has found wrong with an archive, or with one member."""
    cause = "cut short" if isinstance(error, EOFError) else str(error) or type(error).__name__
    if name is not None:
        return refusal(archive, name, f"is damaged ({cause})", AGAIN)
    return ToolkitError(archive, f"is damaged ({cause})", AGAIN)


def split_name(archive: Path, name: str) -> tuple[str, ...]:
    """A member's name as folders and a file.

    Raises:
        ToolkitError: it could be taken for a place outside the folder that the archive is unpacked into.
    """
    kinds = {unicodedata.category(letter) for letter in name}
    if "Cc" in kinds:
        raise refusal(archive, name, "has control characters in its name")
    if "Cs" in kinds:
        raise refusal(archive, name, "has a name that is not UTF-8", "unpack it by hand, rename it, prepare the folder")
    if "\\" in name:
        raise refusal(archive, name, "has a backslash in its name", "pack it again with / between folders")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        raise refusal(archive, name, "has an absolute name")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise refusal(archive, name, "leads out of the archive (..)")
    if len(parts) > _DEPTH:
        raise refusal(archive, name, f"lies more than {_DEPTH} folders deep")
    return parts


class Names:
    """The names of an archive so far: each is safe, and stands there once, on any file system."""

    def __init__(self, archive: Path, limits: Limits) -> None:
        self._archive = archive
        self._limits = limits
        self._count = 0
        self._known: dict[str, tuple[str, bool]] = {}  # folded name -> name, whether it is a folder
        self._files: set[str] = set()

    def take(self, name: str, *, folder: bool) -> tuple[str, ...]:
        """Split a name and remember it; () for the root folder."""
        parts = split_name(self._archive, name)
        if not parts and not folder:
            raise refusal(self._archive, name, "has no name")
        self._count += 1
        if self._count > self._limits.members:
            raise ToolkitError(self._archive, f"has more than {self._limits.members} members", DISTRUST)
        for depth in range(1, len(parts) + 1):
            self._claim("/".join(parts[:depth]), folder or depth < len(parts))
        return parts

    def _claim(self, path: str, folder: bool) -> None:
        key = unicodedata.normalize("NFC", path).casefold()
        known, was_folder = self._known.setdefault(key, (path, folder))
        if known != path:
            raise refusal(self._archive, path, f"has the name of {known!r} but for the case or the code of its letters")
        if folder != was_folder:
            raise refusal(self._archive, path, "is a file and a folder")
        if not folder and path in self._files:
            raise refusal(self._archive, path, "stands in it twice")
        if not folder:
            self._files.add(path)


class Content:
    """The content of one member; what goes wrong in it names the member."""

    def __init__(self, archive: Path, name: str, stream: IO[bytes]) -> None:
        self._archive = archive
        self._name = name
        self._stream = stream

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, none at the end.

        Raises:
            ToolkitError: the archive is damaged here.
        """
        try:
            return self._stream.read(size)
        except DAMAGE as error:
            raise damaged(self._archive, error, self._name) from error


@contextmanager
def read_content(archive: Path, name: str, start: Callable[[], IO[bytes]]) -> Iterator[Reader]:
    """The content of one member, closed at the end.

    Raises:
        ToolkitError: it cannot be opened or read.
    """
    try:
        stream = start()
    except NotImplementedError as error:
        remedy = "unpack it with the program that made it, and prepare the folder"
        raise refusal(archive, name, "is compressed in a way that is not read here", remedy) from error
    except DAMAGE as error:
        raise damaged(archive, error, name) from error
    with stream:
        yield Content(archive, name, stream)


def no_content() -> AbstractContextManager[Reader]:
    """What a link has."""
    raise ValueError("a link has no content")


def check_ratio(archive: Path, unpacked: int, packed: int, limits: Limits) -> None:
    """Refuse what is too large for the archive that it came from.

    Args:
        archive: its name.
        unpacked, packed: bytes.
        limits: the ratio that they may have.

    Raises:
        ToolkitError: it is a bomb.
    """
    if unpacked > limits.ratio_from and unpacked > limits.ratio * packed:
        problem = f"unpacks to more than {limits.ratio} times its size, as a bomb does ({unpacked >> 20} MB so far)"
        raise ToolkitError(archive, problem, f"{DISTRUST}; if you trust it, unpack it by hand, and prepare the folder")


def link_target(archive: Path, name: str, target: str, place: str) -> tuple[str, ...]:
    """The member that a link in the folder `place` stands for.

    Raises:
        ToolkitError: it lies outside the archive.
    """
    path = normpath(join(place, target))
    if not target or path.startswith("/") or ".." in path.split("/"):
        raise refusal(archive, name, f"is a link out of the archive, to {target[:_SHOWN]!r}")
    return split_name(archive, path)
