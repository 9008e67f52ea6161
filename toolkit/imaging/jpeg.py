"""The segments ahead of a JPEG's pixels, which say its size and how it was held."""

from __future__ import annotations

import struct
from collections.abc import Iterator

__all__ = ["JPEG_SIGNATURE", "jpeg_segments", "jpeg_size"]

JPEG_SIGNATURE = b"\xff\xd8"

_FILL, _SCAN, _END = 0xFF, 0xDA, 0xD9
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame, of whatever coding (ITU T.81, table B.1)


def jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of each segment up to the first scan, as far as the file is well formed."""
    place = 2
    while place + 4 <= len(data) and data[place] == _FILL:
        marker = data[place + 1]
        if marker == _FILL:
            place += 1
            continue
        if marker in (_SCAN, _END):
            return
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        yield marker, data[place + 4 : place + 2 + length]
        place += 2 + length


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height of the pixels as stored; 0, 0 where the file does not say."""
    for marker, content in jpeg_segments(data):
        if marker in _FRAMES and len(content) >= 5:
            height, width = struct.unpack_from(">HH", content, 1)
            return width, height
    return 0, 0
