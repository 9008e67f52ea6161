"""Reading archives that may be hostile: their members come one by one and checked; nothing is written here.

Neither tarfile nor zipfile extracts anything, so nothing of theirs decides where a byte goes: they hand out names and
streams, and whoever takes them chooses the place. A link comes as the name that it stands for, and is never followed.
"""

from __future__ import annotations

import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from posixpath import dirname
from typing import IO

from toolkit.errors import ToolkitError
from toolkit.intake.guards import (
    AGAIN,
    DAMAGE,
    Limits,
    Member,
    Names,
    check_ratio,
    damaged,
    link_target,
    no_content,
    read_content,
    refusal,
    split_name,
)
from toolkit.intake.tars import COMPRESSIONS, is_tar_header, tar_members

__all__ = ["Limits", "Member", "Source", "members", "recognise"]

_TARGET_ROOM = 4096  # bytes of a link's target
_UNPACK_IT = "unpack it with the program that made it, and prepare the folder"
_FOREIGN = {
    b"\x28\xb5\x2f\xfd": ("is compressed with zstd, which is not read here", "decompress it with 'zstd -d'"),
    b"7z\xbc\xaf\x27\x1c": ("is a 7z archive, which is not read here", _UNPACK_IT),
    b"Rar!": ("is a RAR archive, which is not read here", _UNPACK_IT),
}
_HTML = re.compile(rb"\s*(<!doctype html|<html)", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """An archive or a folder: its path, and "tar", "tar.xz", "tar.gz", "tar.bz2", "zip" or "folder"."""

    path: Path
    kind: str

    @property
    def streamed(self) -> bool:
        """Whether what is in it is known only when all of it has been read."""
        return self.kind.startswith("tar")


def recognise(path: Path) -> Source:
    """Tell by its content what an archive is.

    Raises:
        ToolkitError: it cannot be read, or is no archive of a known kind.
    """
    if path.is_dir():
        return Source(path, "folder")
    try:
        with open(path, "rb") as file:
            head = file.read(tarfile.BLOCKSIZE)
    except OSError as error:
        raise ToolkitError(path, f"cannot be read ({error.strerror or error})", "check the path") from error
    if not head:
        raise ToolkitError(path, "is empty (0 bytes)", AGAIN)
    kind = _kind_of(head) or ("zip" if zipfile.is_zipfile(path) else None)  # one that unpacks itself begins otherwise
    if kind is not None:
        return Source(path, kind)
    for magic, (problem, remedy) in _FOREIGN.items():
        if head.startswith(magic):
            raise ToolkitError(path, problem, remedy)
    if _HTML.match(head):
        raise ToolkitError(path, "is a web page, not an archive", "download the file that the page leads to")
    raise ToolkitError(path, "is not an archive", "name a tar (plain, xz, gz, bz2), a zip, or an unpacked folder")


def _kind_of(head: bytes) -> str | None:
    compressed = [f"tar.{name}" for magic, name in COMPRESSIONS.items() if head.startswith(magic)]
    if compressed:
        return compressed[0]
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    return "tar" if is_tar_header(head) else None


def members(
    source: Source, limits: Limits | None = None, progress: Callable[[int, int], None] | None = None
) -> Iterator[Member]:
    """The files and links of an archive, in its order; folders are looked at and left out.

    Args:
        source: what `recognise` found.
        limits: of the number of members, and of the ratio. Sizes are for the caller to add up.
        progress: called with bytes (done, total): of the archive, or of the files in a folder.

    Raises:
        ToolkitError: the archive is damaged or encrypted, holds too much, or has a member whose name or kind could do
            harm: absolute, with "..", a drive, a backslash or control characters, doubled, a device, a link out of it.
    """
    if source.streamed:
        return tar_members(source.path, source.kind, limits or Limits(), progress)
    read = _folder_members if source.kind == "folder" else _zip_members
    return read(source.path, limits or Limits(), progress)


def _zip_members(archive: Path, limits: Limits, progress: Callable[[int, int], None] | None) -> Iterator[Member]:
    names = Names(archive, limits)
    try:
        with zipfile.ZipFile(archive) as opened:
            infos = opened.infolist()
            check_ratio(archive, sum(info.file_size for info in infos), archive.stat().st_size, limits)
            total = sum(info.compress_size for info in infos)
            done = 0
            for info in infos:
                yield from _zip_member(archive, opened, info, names)
                done += info.compress_size
                if progress is not None:
                    progress(done, total)
    except DAMAGE as error:
        raise damaged(archive, error) from error


def _zip_member(archive: Path, opened: zipfile.ZipFile, info: zipfile.ZipInfo, names: Names) -> Iterator[Member]:
    """One member of a zip, if it is a file or a link."""
    split_name(archive, info.orig_filename)  # zipfile cuts names at a NUL
    mode = stat.S_IFMT(info.external_attr >> 16)
    folder = info.is_dir() or mode == stat.S_IFDIR
    parts = names.take(info.filename, folder=folder)
    if folder:
        return
    if mode not in (0, stat.S_IFREG, stat.S_IFLNK):
        raise refusal(archive, info.filename, "is a device, a pipe or the like")
    if info.flag_bits & 1:
        raise refusal(archive, info.filename, "is encrypted", "unpack it with its password, and prepare the folder")

    start = partial(read_content, archive, info.filename, partial(opened.open, info))
    if mode == stat.S_IFLNK:
        with start() as content:
            target = content.read(_TARGET_ROOM).decode("utf-8", "surrogateescape")
        yield Member(parts, 0, no_content, link_target(archive, info.filename, target, dirname("/".join(parts))))
    else:
        yield Member(parts, info.file_size, start)


def _folder_members(root: Path, limits: Limits, progress: Callable[[int, int], None] | None) -> Iterator[Member]:
    names = Names(root, limits)
    files = list(_walk(root))
    total = sum(size for _, size in files)
    done = 0
    for path, size in files:
        parts = names.take(path.relative_to(root).as_posix(), folder=False)
        start = partial(read_content, root, str(path), partial(_open, path))
        yield Member(parts, size, start, path=path)
        done += size
        if progress is not None:
            progress(done, total)


def _open(path: Path) -> IO[bytes]:
    return open(path, "rb")


def _walk(root: Path) -> Iterator[tuple[Path, int]]:
    """Regular files below a folder and their sizes, sorted; hidden folders are passed over."""

    def fail(error: OSError) -> None:
        raise ToolkitError(error.filename, f"cannot be read ({error.strerror})", "check its permissions") from error

    for folder, folders, files in os.walk(root, onerror=fail):
        for name in sorted(folders + files):
            path = Path(folder, name)
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                raise ToolkitError(path, "is a link", "put what it leads to in its place (cp -rL copies so)")
            if stat.S_ISREG(status.st_mode):
                yield path, status.st_size
            elif not stat.S_ISDIR(status.st_mode):
                raise ToolkitError(path, "is a device, a pipe or the like", "remove it")
        folders[:] = sorted(name for name in folders if not name.startswith("."))
