"""Grey PNGs at first hand: every chunk checked, and only the rows that hold something unpacked into pixels.

Most of a mask is background, and most of the time that a PNG decoder takes goes into unpacking it. libdeflate unpacks
such runs many times faster than zlib; what is left for the decoder is the band of rows in which anything is marked.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import deflate
import numpy as np
import numpy.typing as npt
from PIL import Image

from toolkit.errors import ToolkitError

__all__ = [
    "PNG_SIGNATURE",
    "REPLACE",
    "check_extent",
    "check_png",
    "cut_short",
    "is_grey_png",
    "read_grey_png",
    "several_pictures",
]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
REPLACE = "replace the file, or leave the sample out with --on-problem skip"
"""The way out of a damaged image file."""

_EIGHT_BIT_GREY, _PLAIN = b"\x08\x00", bytes(3)  # in the header: depth and colour type; compression, filter, interlace
_MOST_OF_A_BYTE = 1032  # bytes that deflate makes of one
_LARGE_CROP = 1 << 26  # pixels
_FIRST_COPYING_FILTER = 2  # row filters 2 to 4 add the row above, so that a row of zeros may repeat it


def cut_short(path: Path) -> ToolkitError:
    """The error for a file that lacks its end."""
    return ToolkitError(path, "truncated: the file ends before the image does", REPLACE)


def several_pictures(path: Path, count: int) -> ToolkitError:
    """The error for an animation: programs differ in which of its pictures they show."""
    return ToolkitError(path, f"is an animation of {count} pictures, and one is read", "save the right one as PNG")


def check_png(path: Path, data: bytes) -> bytes:
    """Walk the chunks of a PNG: all there, in one piece, with the right checksums. Returns the compressed pixels.

    Raises:
        ToolkitError: the file is cut short, a checksum does not match, or it is an animation of several pictures.
    """
    position = 8
    packed: list[bytes] = []
    pictures = 0
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        end = position + 12 + length
        if end > len(data):
            break
        if zlib.crc32(data[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise ToolkitError(path, "damaged: a checksum of this PNG does not match", REPLACE)
        kind = data[position + 4 : position + 8]
        if kind == b"IDAT":
            pictures += not packed and not pictures  # one that no frame control precedes is shown by few
            packed.append(data[position + 8 : end - 4])
        elif kind == b"fcTL":
            pictures += 1
        elif kind == b"IEND":
            if pictures > 1:
                raise several_pictures(path, pictures)
            return b"".join(packed)
        position = end
    raise cut_short(path)


def check_extent(path: Path, width: int, height: int) -> None:
    """Raise where a PNG has no pixels: chapter 11 of the specification wants one at least."""
    if not width or not height:
        raise ToolkitError(path, f"not a readable image (it declares {width} x {height} pixels)", REPLACE)


def is_grey_png(data: bytes) -> bool:
    """Whether a file is a PNG of one channel of 8 bits, without interlacing, as far as its header says."""
    return data[:8] == PNG_SIGNATURE and data[24:26] == _EIGHT_BIT_GREY and data[26:29] == _PLAIN


def read_grey_png(path: Path, data: bytes) -> tuple[int, int, int, int, npt.NDArray[np.uint8]]:
    """Decode such a PNG.

    Returns:
        width, height; x, y of the crop; the crop: uint8 (h, w), the tight box of the pixels that are not 0.

    Raises:
        ToolkitError: as `check_png`, or the pixels do not unpack.
    """
    packed = check_png(path, data)
    width, height = struct.unpack(">II", data[16:24])
    check_extent(path, width, height)
    if height * (width + 1) > _MOST_OF_A_BYTE * (len(packed) + 1):
        problem = f"not a readable image (it declares {width} x {height} pixels, more than its data can hold)"
        raise ToolkitError(path, problem, REPLACE)
    try:
        top, rows, packed = _mask_rows(packed, width, height)
        band = Image.frombytes("L", (width, rows), packed, "zip", "L", 0)
    except (OSError, ValueError, SyntaxError, MemoryError) as error:
        reason = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        raise ToolkitError(path, f"not a readable image ({reason})", REPLACE) from error
    x0, y0, x1, y1 = band.getbbox() or (0, 0, 0, 0)
    small = (x1 - x0) * (y1 - y0) < _LARGE_CROP  # Pillow's own crop has a limit
    crop = np.asarray(band.crop((x0, y0, x1, y1)) if small else np.asarray(band)[y0:y1, x0:x1], np.uint8)
    return width, height, x0, top + y0, np.ascontiguousarray(crop)


def _mask_rows(packed: bytes, width: int, height: int) -> tuple[int, int, bytes]:
    """The band of rows outside of which every pixel is 0: its first row, its rows, and its own compressed pixels.

    A row begins with the number of its filter (PNG specification, chapter 9). Above the first row with anything in it
    all filters give 0. Below the last one, rows may still repeat what is above them, up to one whose filter does not.
    """
    try:
        raw = deflate.zlib_decompress(packed, height * (width + 1))
    except deflate.DeflateError:
        return 0, height, packed  # what is wrong with it is for the decoder to say
    if len(raw) != height * (width + 1):
        return 0, height, packed
    lines = np.frombuffer(raw, np.uint8).reshape(height, width + 1)
    marked = np.flatnonzero(np.bitwise_or.reduce(lines[:, 1:], axis=1))
    if not len(marked):
        return 0, 1, zlib.compress(bytes(width + 1), 0)
    top, last = int(marked[0]), int(marked[-1])
    ends = np.flatnonzero(lines[last + 1 :, 0] < _FIRST_COPYING_FILTER)
    bottom = last + 1 + (int(ends[0]) if len(ends) else height - last - 1)
    return top, bottom - top, zlib.compress(memoryview(raw)[top * (width + 1) : bottom * (width + 1)], 0)
