"""The directories of a TIFF: how many pages it has, and whether its pixels are only near to what was saved."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from toolkit.errors import ToolkitError

__all__ = ["check_one_page", "check_photo_values", "is_jpeg_tiff", "is_tiff"]

_SUBFILE, _COMPRESSION, _REDUCED_OR_MASK = 254, 259, 0b101  # a thumbnail, or the transparency of a page
_OLD_SUBFILE, _OLD_REDUCED = 255, 2
_LOSSY = frozenset({6, 7, 33003, 33005, 34712, 34892, 34933, 50001, 50002, 52546})  # JPEG, JPEG 2000, WebP, JPEG XL
_MOST_PAGES = 100_000
_SHORT = 3  # type of a value
_BITS, _KIND = 258, 339  # of a value of a pixel
_KINDS = {1: "uint", 2: "int", 3: "float", 5: "complex int", 6: "complex float"}
_MOST_BITS, _MOST_CHANNELS = 16, 64


def is_tiff(data: bytes) -> bool:
    """Whether a file begins as a TIFF does."""
    return data[:4] in (b"II*\0", b"MM\0*")


def _directories(data: bytes) -> Iterator[dict[int, int]]:
    """Tag -> first value, where that is a number, of each directory in the chain, as far as it is well formed."""
    order = "<" if data[:2] == b"II" else ">"
    seen: set[int] = set()
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        while start and start not in seen and len(seen) < _MOST_PAGES:
            seen.add(start)
            (entries,) = struct.unpack_from(f"{order}H", data, start)
            found = {}
            for place in range(start + 2, start + 2 + 12 * entries, 12):
                tag, kind = struct.unpack_from(f"{order}HH", data, place)
                found[tag] = struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", data, place + 8)[0]
            yield found
            (start,) = struct.unpack_from(f"{order}I", data, start + 2 + 12 * entries)
    except struct.error:
        return


def check_one_page(path: Path, data: bytes) -> None:
    """Raise where a TIFF has several pages: decoders read the first alone. Thumbnails are no pages.

    Raises:
        ToolkitError: with the number of pages.
    """
    pages = sum(
        not found.get(_SUBFILE, 0) & _REDUCED_OR_MASK and found.get(_OLD_SUBFILE) != _OLD_REDUCED
        for found in _directories(data)
    )
    if pages > 1:
        raise ToolkitError(path, f"has {pages} pages, and one is read", "save the right one as PNG")


def check_photo_values(path: Path, data: bytes) -> None:
    """Raise where the values of a TIFF are none that a photo is made of: fractions, signed, or of more than 16 bits.

    Raises:
        ToolkitError: with what they are.
    """
    told = _odd_values(data)
    if told:
        problem = f"holds {told}, and of photos uint8 and uint16 are read"
        remedy = "scale its values to 0..255 or 0..65535 and save it as uint8 or uint16"
        raise ToolkitError(path, problem, f"{remedy}, or leave the sample out with --on-problem skip")


def _odd_values(data: bytes) -> str:
    """What the values of a TIFF are, such as "float32"; "" for uint8, uint16 and less, and for other files."""
    if not is_tiff(data):
        return ""
    bits, kind = max(_shorts(data, _BITS), default=1), max(_shorts(data, _KIND), default=1)
    return f"{_KINDS.get(kind, 'uint')}{bits}" if bits > _MOST_BITS or kind in _KINDS.keys() - {1} else ""


def _shorts(data: bytes, tag: int) -> tuple[int, ...]:
    """The 16-bit numbers that the first directory has under a tag; none where it has no such tag, or is damaged."""
    order = "<" if data[:2] == b"II" else ">"
    with suppress(struct.error):
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (entries,) = struct.unpack_from(f"{order}H", data, start)
        for place in range(start + 2, start + 2 + 12 * entries, 12):
            found, kind, count = struct.unpack_from(f"{order}HHI", data, place)
            if found == tag and kind == _SHORT:
                where = place + 8 if count <= 2 else struct.unpack_from(f"{order}I", data, place + 8)[0]
                return struct.unpack_from(f"{order}{min(count, _MOST_CHANNELS)}H", data, where)
    return ()


def is_jpeg_tiff(data: bytes) -> bool:
    """Whether the pixels of a TIFF are packed in a way that changes them."""
    return is_tiff(data) and next(_directories(data), {}).get(_COMPRESSION) in _LOSSY
