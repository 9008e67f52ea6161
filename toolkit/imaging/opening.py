"""Image files opened and found whole, before anything is decoded.

OpenCV fills what is missing from a damaged file with zeros and says nothing, so damage is looked for before decoding:
in PNG chunks and their checksums, in the end markers of JPEG, in the lengths that BMP, TIFF and WebP declare.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from toolkit.errors import ToolkitError
from toolkit.imaging.jpeg import JPEG_SIGNATURE
from toolkit.imaging.limits import check_room, without_pillow_limit
from toolkit.imaging.png import PNG_SIGNATURE, REPLACE, check_png, cut_short, several_pictures
from toolkit.imaging.tiff import check_one_page, check_photo_values, is_tiff

__all__ = ["check_whole", "open_with_pillow", "read_file", "unreadable"]

Image.preinit()  # else the first image pays for the import of the common formats

_UNKNOWN = (UnidentifiedImageError, ImportError)  # the latter where ultralytics was loaded: it looks for a plugin
_SIGNATURES = (PNG_SIGNATURE, JPEG_SIGNATURE, b"BM", b"II*\0", b"MM\0*", b"RIFF")
_TAIL = 65536  # bytes at the end in which a JPEG's end marker is looked for: cameras append data after it
_TIFF_SIZES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8)  # bytes of a value, by its type; 3 and 4 are unsigned integers
_TIFF_PIECES = ((273, 279), (324, 325))  # tags: offsets and lengths of strips, and of tiles


@contextmanager
def open_with_pillow(path: Path, data: bytes) -> Iterator[Image.Image]:
    """An image opened with Pillow, of any size that the file can hold; failures name the file."""
    try:
        with without_pillow_limit(), Image.open(BytesIO(data)) as image:
            check_room(path, data, *image.size, mode=image.mode)
            yield image
    except (*_UNKNOWN, OSError, ValueError, SyntaxError, MemoryError) as error:
        if isinstance(error, _UNKNOWN):
            check_photo_values(path, data)
        raise ToolkitError(path, f"not a readable image ({_brief(error)})", REPLACE) from error


def read_file(path: Path) -> bytes:
    """All bytes of a file.

    Raises:
        ToolkitError: it cannot be read.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError as error:
        raise unreadable(path, error) from error


def check_whole(path: Path, data: bytes) -> None:
    """Raise where an encoded image is empty or visibly cut short or damaged."""
    if not data:
        raise ToolkitError(path, "the file is empty (0 bytes)", REPLACE)
    if not data.startswith(_SIGNATURES):
        raise ToolkitError(path, "not a readable image (its content is of no known format)", REPLACE)
    if data[:8] == PNG_SIGNATURE:
        check_png(path, data)
    elif _declared_length(data) > len(data):
        raise cut_short(path)
    elif data.startswith(b"RIFF") and (pictures := _webp_pictures(data)) > 1:
        raise several_pictures(path, pictures)
    elif is_tiff(data):
        check_one_page(path, data)
        with open_with_pillow(path, data) as image:  # OpenCV leaves strips that do not unpack at zero
            image.load()


def _webp_pictures(data: bytes) -> int:
    """Frames of a WebP."""
    place, frames = 12, 0
    while place + 8 <= len(data):
        frames += data[place : place + 4] == b"ANMF"
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        place += 8 + length + length % 2
    return frames


def _declared_length(data: bytes) -> int:
    """Bytes that a file other than PNG has to have by what stands in it; more than it has if its end is missing."""
    if data[:2] == JPEG_SIGNATURE:
        return len(data) + (b"\xff\xd9" not in data[-_TAIL:])
    if data[:2] == b"BM":
        return _bmp_length(data) if len(data) >= 26 else 26
    if data[:2] in (b"II", b"MM"):
        return _tiff_length(data)
    return int(struct.unpack("<I", data[4:8])[0]) + 8 if len(data) >= 8 else 8


def _bmp_length(data: bytes) -> int:
    """Bytes that the pixels of an uncompressed BMP end at; some writers leave the declared file size at 0."""
    offset, header, width, height = struct.unpack("<IIii", data[10:26])
    if header < 40 or len(data) < 34 or data[30] != 0:
        return int(struct.unpack("<I", data[2:6])[0])
    bits = struct.unpack("<H", data[28:30])[0]
    return int(offset + (width * bits + 31) // 32 * 4 * abs(height))


def _tiff_length(data: bytes) -> int:
    """Bytes that the first directory of a TIFF, what it points to, and its strips or tiles end at."""
    order = "<" if data[:2] == b"II" else ">"
    start = int.from_bytes(data[4:8], "little" if order == "<" else "big")
    end = start + 2
    if end > len(data):
        return end
    (entries,) = struct.unpack_from(f"{order}H", data, start)
    end += 12 * int(entries) + 4
    if end > len(data):
        return end
    pieces: dict[int, tuple[int, ...]] = {}
    for place in range(start + 2, start + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from(f"{order}HHI", data, place)
        size = _TIFF_SIZES[kind] if kind < len(_TIFF_SIZES) else 0
        where = place + 8 if size * count <= 4 else struct.unpack_from(f"{order}I", data, place + 8)[0]
        end = max(end, int(where + size * count))
        if kind in (3, 4) and end <= len(data):
            pieces[tag] = struct.unpack_from(f"{order}{count}{'HI'[kind - 3]}", data, where)
    for offsets, lengths in _TIFF_PIECES:
        pairs = zip(pieces.get(offsets, ()), pieces.get(lengths, ()), strict=False)
        end = max([end, *(sum(pair) for pair in pairs)])
    return end


def unreadable(path: Path, error: OSError) -> ToolkitError:
    """The error for a file that cannot be opened or read."""
    remedy = "check that it exists and that you may read it" if not isinstance(error, IsADirectoryError) else REPLACE
    if path.exists() and path.is_file() and path.stat().st_size == 0:
        return ToolkitError(path, "the file is empty (0 bytes)", REPLACE)
    return ToolkitError(path, f"cannot be read ({error.strerror or error})", remedy)


def _brief(error: Exception) -> str:
    if isinstance(error, _UNKNOWN):
        return "its content is of no known format"
    return str(error).splitlines()[0][:80] if str(error) else type(error).__name__
