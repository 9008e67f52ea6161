"""Making archives: sound ones, and such as nobody should unpack."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

__all__ = ["DATE", "edited", "files_of", "link", "pack", "pack_tar", "pack_zip", "special"]

DATE = (2020, 1, 1, 0, 0, 0)
Extra = tuple[tarfile.TarInfo, bytes]


def files_of(root: Path) -> dict[str, bytes]:
    """Name -> content of every file in a folder."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def special(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", data: bytes = b"") -> Extra:
    """A member of any type."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, len(data)
    return info, data


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Extra:
    """A symbolic or hard link."""
    return special(name, kind, target)


def pack_tar(path: Path, files: Mapping[str, bytes], extra: Iterable[Extra] = (), compression: str = "") -> Path:
    """Write a tar; `compression` is "", "gz", "bz2" or "xz"."""
    mode: Literal["w"] = f"w:{compression}" if compression else "w"  # type: ignore[assignment]
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as archive:
        for info, data in [*(special(name, data=data) for name, data in files.items()), *extra]:
            archive.addfile(info, io.BytesIO(data))
    return path


def pack_zip(
    path: Path,
    files: Mapping[str, bytes],
    extra: Iterable[tuple[zipfile.ZipInfo, bytes]] = (),
    method: int = zipfile.ZIP_STORED,
) -> Path:
    """Write a zip; names stand in it as they are given."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, DATE), data, method)
        for info, data in extra:
            archive.writestr(info, data)
    return path


def pack(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write the kind of archive that the name asks for, or a folder."""
    if path.suffix == ".zip":
        return pack_zip(path, files, method=zipfile.ZIP_DEFLATED)
    if ".tar" in path.suffixes:
        return pack_tar(path, files, compression=path.suffix.removeprefix(".").replace("tar", ""))
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def edited(path: Path, name: str, *, local: tuple[int, str, int] | None, central: tuple[int, str, int]) -> Path:
    """Change a field, (offset, struct format, value), of a member's local header and of its entry in the directory."""
    data = bytearray(path.read_bytes())
    end = data.rfind(name.encode())
    start = data.rfind(b"PK\x01\x02", 0, end)
    struct.pack_into("<" + central[1], data, start + central[0], central[2])
    if local is not None:
        start = data.rfind(b"PK\x03\x04", 0, data.find(name.encode()))
        struct.pack_into("<" + local[1], data, start + local[0], local[2])
    path.write_bytes(data)
    return path
