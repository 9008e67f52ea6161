"""Archives by hand, each with what `prepare` should make of it."""

from __future__ import annotations

import gzip
import lzma
import stat
import struct
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from tests.fuzz.making.archives import FILES, MASK, PNG, checksummed, tar_bytes, zip_bytes
from tests.packing import link, special

__all__ = ["ArchiveCase", "archive_cases"]

Want = Literal["unpack", "refuse", "any"]
_TEST, _TRUTH, _SCRATCH = "part/test", "part/ground_truth", "part/test/scratch"
_LINK = (stat.S_IFLNK | 0o777) << 16
_ZEROS = 50 << 20  # bytes of one part of a bomb


class ArchiveCase(NamedTuple):
    """A file of this name, made only when it is its turn, in a folder that is given."""

    name: str
    make: Callable[[Path], bytes]
    want: Want


def archive_cases() -> tuple[ArchiveCase, ...]:
    """All of them; those that take longest come last."""
    groups = (_paths(), _links(), _names(), _kinds(), _headers(), _zips(), _zip_records(), _others(), _bombs())
    return tuple(ArchiveCase(*row) for group in groups for row in group)


_Row = tuple[str, Callable[[Path], bytes], Want]


def _tar(*extra: tuple[tarfile.TarInfo, bytes]) -> Callable[[Path], bytes]:
    return lambda home: tar_bytes(FILES, extra)


def _file(name: str, data: bytes = PNG, **more: object) -> tuple[tarfile.TarInfo, bytes]:
    info, data = special(name, data=data)
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def _paths() -> Iterator[_Row]:
    yield "a sound tar", _tar(), "unpack"
    yield "an absolute path", lambda home: tar_bytes(FILES, [_file(f"{home}/evil.png")]), "refuse"
    names = ("../evil.png", f"{_TEST}/../../../evil.png", "C:/evil.png", "..\\evil.png", "//server/share/a.png")
    for name in names:
        yield f"a path {name}", _tar(_file(name)), "refuse"
    yield "a path in a pax header", _tar(_file(f"{_SCRATCH}/1.png", pax_headers={"path": "../../evil.png"})), "refuse"
    yield "a product ..", lambda home: tar_bytes({n.replace("part/", "../"): d for n, d in FILES.items()}), "refuse"
    hidden = {n.replace("part/", ".defectkit-partial/"): d for n, d in FILES.items()}
    yield "a product of a hidden name", lambda home: tar_bytes(hidden), "refuse"


def _links() -> Iterator[_Row]:
    one, hard = f"{_SCRATCH}/001.png", tarfile.LNKTYPE
    for target in ("/etc/passwd", "../../../../../etc/passwd"):
        yield f"a link to {target}", _tar(link(one, target)), "refuse"
        yield f"a hard link to {target}", _tar(link(one, target, hard)), "refuse"
    through = _file(f"{_TEST}/evil/pwn.png")
    yield (
        "a file through a link out",
        lambda home: tar_bytes(FILES, [link(f"{_TEST}/evil", str(home)), through]),
        "refuse",
    )
    yield "a file through a link inside", _tar(link(f"{_TEST}/evil", "scratch"), through), "refuse"
    chain = (link(f"{_TEST}/a", "."), link(f"{_TEST}/b", "a/.."), _file(f"{_TEST}/b/../c.png"))
    yield "a chain of links", _tar(*chain), "refuse"
    mask = _file(f"{_TRUTH}/scratch/001_mask.png", MASK)
    yield "a hard link to a member", _tar(link(one, f"{_SCRATCH}/000.png", hard), mask), "unpack"
    yield "a hard link to itself", _tar(link(one, one, hard)), "refuse"
    yield "links in a circle", _tar(link(one, "002.png"), link(f"{_SCRATCH}/002.png", "001.png")), "refuse"


def _names() -> Iterator[_Row]:
    for name in ("∕etc／x", "gnp\u202e.exe", "scratch.", "CON"):  # what looks like something else, or is it elsewhere
        pair = (_file(f"{_TEST}/{name}/0.png"), _file(f"{_TRUTH}/{name}/0_mask.png", MASK))
        yield f"a folder {name!r}", _tar(*pair), "any"
    yield "a newline in a name", _tar(_file(f"{_SCRATCH}/a\nb.png")), "refuse"
    yield "a NUL in a name", _tar(_file(f"{_SCRATCH}/a\0b.png")), "any"
    yield "an escape in a name", _tar(_file(f"{_SCRATCH}/\x1b[2Jb.png")), "refuse"
    yield "a name of 300 letters", _tar(_file(f"{_SCRATCH}/{'a' * 300}.png")), "refuse"
    yield "seventy folders deep", _tar(_file(f"{_TEST}/{'a/' * 70}x.png")), "refuse"
    yield "a name twice", _tar(_file(f"{_SCRATCH}/000.png", MASK)), "refuse"
    yield "names that differ in case", _tar(_file(f"{_TEST}/SCRATCH/000.png", MASK)), "refuse"
    twins = (_file(f"{_TEST}/caf\u00e9/0.png"), _file(f"{_TEST}/cafe\u0301/0.png"))
    yield "names that differ in composition", _tar(*twins), "refuse"
    yield "a file as a folder", _tar(_file(f"{_SCRATCH}/000.png/x.png")), "refuse"


def _kinds() -> Iterator[_Row]:
    kinds = {"a character device": tarfile.CHRTYPE, "a block device": tarfile.BLKTYPE, "a pipe": tarfile.FIFOTYPE}
    for name, kind in kinds.items():
        yield name, _tar(special(f"{_SCRATCH}/dev.png", kind)), "refuse"
    yield "a contiguous file", _tar(special(f"{_SCRATCH}/000b.png", tarfile.CONTTYPE)), "any"
    modes = (_file(f"{_SCRATCH}/2.png", mode=0o6777), _file(f"{_TRUTH}/scratch/2_mask.png", MASK, mode=0))
    yield "modes of root, and none", _tar(*modes), "unpack"
    ours = (_file(".defectkit-partial/state.json", b"{}"), _file(f"{_TEST}/.defectkit-partial/x.png"))
    yield "a staging folder of ours", _tar(*ours), "any"
    yield "a record of ours", _tar(_file(".defectkit-prepared.json", b'{"products":{"x":1}}')), "any"
    junk = (_file("__MACOSX/part/test/scratch/._000.png", b"\0\5\x16\7"), _file("part/.DS_Store", b"x"))
    yield "what a Mac leaves", _tar(*junk), "unpack"


def _bombs() -> Iterator[_Row]:
    """A header that says much, and streams of zeros one behind the other."""
    pack: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "xz": lambda data: lzma.compress(data, preset=1)}

    def bomb(kind: str, info: tarfile.TarInfo, parts: int, format_: int = tarfile.USTAR_FORMAT) -> bytes:
        return pack[kind](info.tobuf(format_)) + pack[kind](bytes(_ZEROS)) * parts

    for kind in pack:
        info = tarfile.TarInfo(f"{_SCRATCH}/000.png")
        info.size = 3 << 30
        yield f"3 GB of zeros in {kind}", lambda home, kind=kind, info=info: bomb(kind, info, 62), "refuse"  # type: ignore[misc]
    header, name = tarfile.TarInfo("pax"), tarfile.TarInfo("long")
    header.type, header.size = tarfile.XHDTYPE, 1 << 30
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    yield "a pax header of 1 GB", lambda home: bomb("gz", header, 20), "refuse"
    yield "a name of 1 GB", lambda home: bomb("gz", name, 20, tarfile.GNU_FORMAT), "refuse"
    many = [(f"{_SCRATCH}/b{number}.png", bytes(200 << 20), 0) for number in range(6)]
    yield "1.2 GB of zeros in a zip", lambda home: zip_bytes(FILES, extra=many), "refuse"
    yield "one file under 500 names", lambda home: _overlapping(), "refuse"


def _overlapping() -> bytes:
    raw = zip_bytes({"part/test/good/0.png": bytes(20 << 20)})
    end = raw.rfind(b"PK\5\6")
    (start,) = struct.unpack_from("<I", raw, end + 16)
    entry, directory = raw[start:end], b""
    for number in range(500):
        name = b"part/test/good/%d.png" % number
        head = bytearray(entry[:46])
        old = struct.unpack_from("<H", head, 28)[0]
        struct.pack_into("<H", head, 28, len(name))
        directory += bytes(head) + name + entry[46 + old :]
    return raw[:start] + directory + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 500, 500, len(directory), start, 0)


def _headers() -> Iterator[_Row]:
    def sparse(home: Path) -> bytes:
        info = tarfile.TarInfo(f"{_SCRATCH}/sparse.png")
        info.type, info.size = tarfile.GNUTYPE_SPARSE, 512
        raw = bytearray(info.tobuf(tarfile.GNU_FORMAT))
        raw[386:410], raw[483:495] = b"00000000000\0" + b"00000001000\0", b"77777777777\0"
        return checksummed(raw) + bytes(1536)

    def negative(home: Path) -> bytes:
        raw = bytearray(tarfile.TarInfo(f"{_SCRATCH}/0.png").tobuf(tarfile.GNU_FORMAT))
        raw[124:136] = b"\xff" * 12
        return checksummed(raw) + bytes(1024)

    huge, chain = tarfile.TarInfo(f"{_SCRATCH}/huge.png"), tarfile.TarInfo("p")
    huge.size, chain.type = 1 << 62, tarfile.XHDTYPE
    yield "a sparse file", sparse, "refuse"
    yield "a size below 0", negative, "refuse"
    yield "a size of 2^62", lambda home: huge.tobuf(tarfile.GNU_FORMAT) + bytes(2048), "refuse"
    yield "3000 pax headers", lambda home: chain.tobuf(tarfile.USTAR_FORMAT) * 3000 + bytes(1024), "refuse"
    lie = _file(f"{_SCRATCH}/lie.png", b"0123456789", pax_headers={"size": "99999999999999"})
    yield "a size in a pax header that lies", _tar(lie), "refuse"
    yield "a cut tar", lambda home: tar_bytes(FILES)[:2000], "refuse"
    yield "a tar without its end", lambda home: tar_bytes(FILES)[: 512 * 6], "refuse"


def _zips() -> Iterator[_Row]:
    yield "a sound zip", lambda home: zip_bytes(FILES), "unpack"
    names = (
        "../evil.png",
        "/evil.png",
        "C:\\evil.png",
        "..\\evil.png",
        "part/test/x\0.png",
        "part/test/Scratch/000.png",
    )
    for name in (*names, "part/test/scratch/000.png"):
        yield f"a path {name!r} in a zip", lambda home, name=name: zip_bytes(FILES, extra=[(name, PNG, 0)]), "refuse"  # type: ignore[misc]
    out = [("part/test/scratch/9.png", b"/etc/passwd", _LINK)]
    yield "a link in a zip", lambda home: zip_bytes(FILES, extra=out), "refuse"
    device = [("part/test/scratch/9.png", b"", (stat.S_IFCHR | 0o666) << 16)]
    yield "a device in a zip", lambda home: zip_bytes(FILES, extra=device), "refuse"

    def through(home: Path) -> bytes:
        return zip_bytes(FILES, extra=[("part/test/evil", str(home).encode(), _LINK), ("part/test/evil/p.png", PNG, 0)])

    yield "a file through a link in a zip", through, "refuse"


def _zip_records() -> Iterator[_Row]:
    """Fields of the first entry of the directory (PKWARE's APPNOTE, 4.3.12), or of its end, that say something else."""

    def changed(mark: bytes, place: int, value: bytes, *, last: bool = False) -> Callable[[Path], bytes]:
        def make(home: Path) -> bytes:
            raw = bytearray(zip_bytes(FILES))
            start = raw.rfind(mark) if last else raw.find(mark)
            raw[start + place : start + place + len(value)] = value
            return bytes(raw)

        return make

    entry, end, local = b"PK\1\2", b"PK\5\6", b"PK\3\4"
    yield "a zip that says 5 bytes", changed(entry, 24, struct.pack("<I", 5)), "refuse"
    yield "a zip that says zip64", changed(entry, 24, struct.pack("<I", 0xFFFFFFFF)), "refuse"
    yield "a zip of 65535 files", changed(end, 8, b"\xff" * 4, last=True), "any"
    yield "an encrypted zip", changed(entry, 8, b"\1"), "refuse"
    yield "a zip of method 99", changed(entry, 10, struct.pack("<H", 99)), "refuse"
    yield "a zip whose names differ", changed(local, 30, b"evil"), "refuse"

    def damaged(home: Path) -> bytes:
        raw = bytearray(zip_bytes(FILES))
        raw[60] ^= 255
        return bytes(raw)

    yield "a zip of damaged content", damaged, "refuse"


def _others() -> Iterator[_Row]:
    yield "a zip that runs", lambda home: b"#!/bin/sh\n" * 100 + zip_bytes(FILES), "unpack"
    yield "a zip in a zip", lambda home: zip_bytes({"inner.zip": zip_bytes(FILES)}), "refuse"
    yield "nothing", lambda home: b"", "refuse"
    yield "zeros", lambda home: bytes(10240), "refuse"
