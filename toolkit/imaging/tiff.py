"""The directories of a TIFF: how many pages it has, and whether its pixels are only near to what was saved."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from toolkit.errors import ToolkitError

__all__ = ["check_one_page", "is_jpeg_tiff", "is_tiff"]

_SUBFILE, _COMPRESSION, _REDUCED_OR_MASK = 254, 259, 0b101  # a thumbnail, or the transparency of a page
_OLD_SUBFILE, _OLD_REDUCED = 255, 2
_LOSSY = frozenset({6, 7, 33003, 33005, 34712, 34892, 34933, 50001, 50002, 52546})  # JPEG, JPEG 2000, WebP, JPEG XL
_MOST_PAGES = 100_000
_SHORT = 3  # type of a value


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


def is_jpeg_tiff(data: bytes) -> bool:
    """Whether the pixels of a TIFF are packed in a way that changes them."""
    return is_tiff(data) and next(_directories(data), {}).get(_COMPRESSION) in _LOSSY
