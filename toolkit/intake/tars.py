"""Reading a tar, compressed or not, as a stream: member after member, and up to its very end."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from posixpath import dirname
from typing import IO, Any

from toolkit.errors import ToolkitError
from toolkit.intake.guards import (
    CHUNK,
    DAMAGE,
    DISTRUST,
    Content,
    Limits,
    Member,
    Names,
    check_ratio,
    damaged,
    link_target,
    no_content,
    refusal,
)

__all__ = ["COMPRESSIONS", "is_tar_header", "tar_members"]

COMPRESSIONS = {b"\xfd7zXZ\0": "xz", b"\x1f\x8b": "gz", b"BZh": "bz2"}
"""How compressed files begin, and what they are called."""

_HEADER_ROOM = 4 << 20  # bytes between two members: a long name takes some kB, and tarfile reads a header at once


def is_tar_header(head: bytes) -> bool:
    """Whether a file that begins with these 512 bytes is a tar."""
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return len(head) == tarfile.BLOCKSIZE and not any(head)  # an archive of nothing
    return True


class _Header(tarfile.TarInfo):
    """A tar header that is whole: tarfile takes a damaged one, and a missing end, for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise  # the end, as it should be
            raise tarfile.ReadError("cut short" if len(buf) < tarfile.BLOCKSIZE else "a bad header") from error


class _Unpacked:
    """The decompressed stream of a tar, watched for bombs.

    Attributes:
        count: bytes so far.
        ceiling: bytes that it may not go beyond for now; tarfile reads a header into memory, whatever its length.
    """

    def __init__(self, archive: Path, stream: IO[bytes], raw: IO[bytes], limits: Limits) -> None:
        self.count = 0
        self.ceiling: int | None = None
        self._archive = archive
        self._stream = stream
        self._raw = raw
        self._limits = limits

    def read(self, size: int) -> bytes:
        try:
            data = self._stream.read(size)
        except DAMAGE as error:
            raise damaged(self._archive, error) from error
        self.count += len(data)
        if self.ceiling is not None and self.count > self.ceiling:
            raise ToolkitError(self._archive, f"has a header of more than {_HEADER_ROOM >> 20} MB", DISTRUST)
        check_ratio(self._archive, self.count, self._raw.tell(), self._limits)
        return data


def tar_members(
    archive: Path, kind: str, limits: Limits, progress: Callable[[int, int], None] | None
) -> Iterator[Member]:
    """The files and links of a tar: see `toolkit.intake.archives.members`.

    Raises:
        ToolkitError: as there.
    """
    names, seen = Names(archive, limits), 0
    try:
        with open(archive, "rb") as raw, _decompressed(kind, raw) as stream:
            total = os.fstat(raw.fileno()).st_size
            unpacked = _Unpacked(archive, stream, raw, limits)
            unpacked.ceiling = _HEADER_ROOM
            with _open_tar(unpacked) as tar:
                while (info := tar.next()) is not None:
                    seen += 1
                    unpacked.ceiling = None
                    yield from _tar_member(archive, tar, info, names)
                    unpacked.ceiling = unpacked.count + _HEADER_ROOM
                    if progress is not None:
                        progress(raw.tell(), total)
            unpacked.ceiling = None
            while unpacked.read(CHUNK):  # up to the checksum at the end
                pass
    except DAMAGE as error:
        if not seen and isinstance(error, tarfile.ReadError) and kind != "tar":
            problem = "is compressed, but there is no tar archive in it"
            raise ToolkitError(archive, problem, "name the archive of the dataset") from error
        raise damaged(archive, error) from error


def _decompressed(kind: str, raw: IO[bytes]) -> IO[bytes]:
    opened: Any = raw
    if kind == "tar.xz":
        opened = lzma.LZMAFile(raw)  # noqa: SIM115 - the caller closes it
    elif kind == "tar.gz":
        opened = gzip.GzipFile(fileobj=raw)
    elif kind == "tar.bz2":
        opened = bz2.BZ2File(raw)
    stream: IO[bytes] = opened
    return stream


def _open_tar(unpacked: _Unpacked) -> tarfile.TarFile:
    stream: Any = unpacked
    return tarfile.open(
        fileobj=stream, mode="r|", bufsize=CHUNK, tarinfo=_Header, encoding="utf-8", errors="surrogateescape"
    )


def _tar_member(archive: Path, tar: tarfile.TarFile, info: tarfile.TarInfo, names: Names) -> Iterator[Member]:
    """One member of a tar, if it is a file or a link; its content is read to the end when this one ends."""
    parts = names.take(info.name, folder=info.isdir())
    if info.isdir():
        return
    if info.issym() or info.islnk():
        place = dirname("/".join(parts)) if info.issym() else ""
        yield Member(parts, 0, no_content, link_target(archive, info.name, info.linkname, place))
        return
    stream = tar.extractfile(info) if info.isreg() and not info.issparse() else None
    if stream is None:
        kind = "a sparse file" if info.isreg() else "a device, a pipe or the like"
        raise refusal(archive, info.name, f"is {kind}")
    content = Content(archive, info.name, stream)
    yield Member(parts, info.size, lambda: nullcontext(content))
    while content.read(CHUNK):
        pass
