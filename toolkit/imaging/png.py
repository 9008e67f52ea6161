"""Grey PNGs at first hand: every chunk checked, and only the rows that hold something unpacked into pixels.

Most of a mask is background, and most of the time that a PNG decoder takes goes into unpacking it. libdeflate unpacks
such runs many times faster than zlib; what is left is the band of rows in which anything is marked. Where its rows say
how pixels differ from their left neighbours, as OpenCV writes them, only the places where they do are looked at.
A row filter treats the three bytes of an RGB pixel alike and apart from each other, so that channels are equal if and
only if they are so before the filters are undone: then one of them is a grey image.
"""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise
from pathlib import Path

import cv2
import deflate
import numpy as np
import numpy.typing as npt
from PIL import Image

from toolkit.errors import ToolkitError

__all__ = [
    "PNG_BEGIN",
    "PNG_SIGNATURE",
    "REPLACE",
    "Grey",
    "check_extent",
    "check_png",
    "cut_short",
    "encode_rgb_png",
    "is_grey_png",
    "is_rgb_png",
    "read_grey_png",
    "read_packed_png",
    "read_rgb_png",
    "several_pictures",
]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
REPLACE = "replace the file, or leave the sample out with --on-problem skip"
"""The way out of a damaged image file."""

PNG_BEGIN = PNG_SIGNATURE + b"\0\0\0\rIHDR"  # the header is the first chunk, and of 13 bytes
_EIGHT_BIT_GREY, _EIGHT_BIT_RGB = b"\x08\x00", b"\x08\x02"  # bit depth and colour type in the header
_PLAIN = bytes(3)  # the rest of it: compression, filter method, no interlacing
_MOST_OF_A_BYTE = 1032  # bytes that deflate makes of one
_NONE, _SUB, _UP = 0, 1, 2  # row filters: the pixels as they are, less the pixel on their left, less the one above
_LEVEL = 2  # of libdeflate: of its quick ones the one that makes flat maps smallest
_FEW = 8  # a row filter is undone by the differences where they are no more than the pixels by this
_LAST_FILTER = 4
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
        ToolkitError: the file is cut short, a checksum does not match, it has no header, a cut one or two, or it is an
            animation of several pictures.
    """
    _check_begin(path, data)
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
        if kind == b"IHDR" and position > len(PNG_SIGNATURE):
            raise ToolkitError(path, "damaged: this PNG has two headers", REPLACE)
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


def _check_begin(path: Path, data: bytes) -> None:
    if len(data) >= len(PNG_BEGIN) and not data.startswith(PNG_BEGIN):
        raise ToolkitError(path, "not a readable image (this PNG does not begin with a header)", REPLACE)


def check_extent(path: Path, width: int, height: int) -> None:
    """Raise where a PNG has no pixels: chapter 11 of the specification wants one at least."""
    if not width or not height:
        raise ToolkitError(path, f"not a readable image (it declares {width} x {height} pixels)", REPLACE)


def is_grey_png(data: bytes) -> bool:
    """Whether a file is a PNG of one channel of 8 bits, without interlacing, as far as its header says."""
    return data[:16] == PNG_BEGIN and data[24:26] == _EIGHT_BIT_GREY and data[26:29] == _PLAIN


def is_rgb_png(data: bytes) -> bool:
    """Whether a file is a PNG of three channels of 8 bits, without interlacing, transparency or animation."""
    plain = data[:16] == PNG_BEGIN and data[24:26] == _EIGHT_BIT_RGB and data[26:29] == _PLAIN
    return plain and b"tRNS" not in data and b"acTL" not in data


Grey = tuple[int, int, int, int, npt.NDArray[np.uint8]]
"""Width, height; x, y of the crop; the crop: uint8 (h, w), the tight box of the pixels that are not 0."""


Packed = tuple[int, int, int, int, npt.NDArray[np.unsignedinteger]]
"""As `Grey`, of numbers that may need more than a byte: uint8 or uint32 (h, w)."""


def read_grey_png(path: Path, data: bytes) -> Grey:
    """Decode a PNG that `is_grey_png`.

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
        lines = _unpacked(packed, width + 1, height)
        if lines is None:  # what is wrong with it is for the decoder to say
            return width, height, *_tight(0, _decoded(packed, width, height))
        top, band = _marked_rows(lines)
        return width, height, *_tight(top, _unfiltered(band))
    except (OSError, ValueError, SyntaxError, MemoryError) as error:
        reason = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        raise ToolkitError(path, f"not a readable image ({reason})", REPLACE) from error


def read_rgb_png(path: Path, data: bytes) -> Grey | None:
    """Decode a PNG that `is_rgb_png` as a grey one, where its channels are equal; None where they differ.

    Also None where its pixels do not unpack, which the decoder of colours has to say.

    Raises:
        ToolkitError: as `check_png`.
    """
    found = _filtered_channels(path, data)
    if found is None:
        return None
    (width, height), top, filters, (red, *others) = found
    if not all(np.array_equal(red, other) for other in others):
        return None
    return width, height, *_tight(top, _unfiltered(np.concatenate([filters, red], axis=1)))


def read_packed_png(path: Path, data: bytes) -> Packed | None:
    """Decode a PNG that `is_rgb_png` as one number a pixel, R + 256 G + 256^2 B.

    None where its pixels do not unpack, which the decoder of colours has to say.

    Raises:
        ToolkitError: as `check_png`.
    """
    found = _filtered_channels(path, data)
    if found is None:
        return None
    size, top, filters, channels = found
    # What is 0 before the filters are undone is 0: few maps hold more than 255 numbers.
    planes = {
        place: _unfiltered(np.concatenate([filters, channel], axis=1))
        for place, channel in enumerate(channels)
        if not place or channel.any()
    }
    if len(planes) == 1:
        return *size, *_tight(top, planes[0])
    x, y, tight = _tight(top, np.bitwise_or.reduce(list(planes.values())))
    h, w = tight.shape
    crop = np.zeros((h, w), np.uint32)
    for place, plane in planes.items():
        crop |= plane[y - top : y - top + h, x : x + w].astype(np.uint32) << (8 * place)
    return *size, x, y, crop


def _filtered_channels(
    path: Path, data: bytes
) -> tuple[tuple[int, int], int, npt.NDArray[np.uint8], list[npt.NDArray[np.uint8]]] | None:
    """The size of an RGB PNG, and the band of rows that hold anything; None where it does not unpack.

    Of the band: its first row, the filters (h, 1), and the three channels (h, w) before these are undone.
    """
    packed = check_png(path, data)
    width, height = struct.unpack(">II", data[16:24])
    check_extent(path, width, height)
    if height * (3 * width + 1) > _MOST_OF_A_BYTE * (len(packed) + 1):
        return None
    lines = _unpacked(packed, 3 * width + 1, height)
    if lines is None or not lines.size or lines[:, 0].max() > _LAST_FILTER:
        return None
    top, band = _marked_rows(lines)
    colours = band[:, 1:].reshape(len(band), width, 3)
    channels = [np.asarray(cv2.extractChannel(colours, channel), np.uint8) for channel in range(3)]
    return (width, height), top, band[:, :1], channels


def encode_rgb_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Encode a flat map, uint8 RGB (H, W, 3), as PNG; the same pixels give the same bytes.

    Of flat maps few pixels differ from the one above, and libdeflate packs what is 0 faster than libpng's zlib does.
    """
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, 3 * width)
    lines = np.empty((height, 3 * width + 1), np.uint8)
    lines[:, 0] = _UP
    lines[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=lines[1:, 1:])
    header = struct.pack(">II", width, height) + _EIGHT_BIT_RGB + _PLAIN
    chunks = ((b"IHDR", header), (b"IDAT", bytes(deflate.zlib_compress(lines, _LEVEL))), (b"IEND", b""))
    return PNG_SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def _unpacked(packed: bytes, length: int, height: int) -> npt.NDArray[np.uint8] | None:
    """The rows of an image, (height, length) bytes each with its filter's number first; None if it is not that long."""
    try:
        raw = deflate.zlib_decompress(packed, height * length)
    except deflate.DeflateError:
        return None
    return np.frombuffer(raw, np.uint8).reshape(height, length) if len(raw) == height * length else None


def _marked_rows(lines: npt.NDArray[np.uint8]) -> tuple[int, npt.NDArray[np.uint8]]:
    """The band of rows outside of which every pixel is 0: its first row, and its rows; one row where all are 0.

    A row begins with the number of its filter (PNG specification, chapter 9). Above the first row with anything in it
    all filters give 0. Below the last one, rows may still repeat what is above them, up to one whose filter does not.
    """
    marked = np.flatnonzero(np.bitwise_or.reduce(lines[:, 1:], axis=1))
    if not len(marked):
        return 0, np.zeros((1, lines.shape[1]), np.uint8)
    top, last = int(marked[0]), int(marked[-1])
    ends = np.flatnonzero(lines[last + 1 :, 0] < _FIRST_COPYING_FILTER)
    return top, lines[top : last + 1 + (int(ends[0]) if len(ends) else len(lines) - last - 1)]


def _unfiltered(lines: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Pixels (h, w) of the filtered rows (h, w + 1) of a grey image, of which the row above the first is 0."""
    filters = lines[:, 0]
    if (filters == _NONE).all():
        return lines[:, 1:]
    if (filters == _SUB).all():
        # In one line of differences each row begins by taking back what the row before it came to.
        steps = lines.copy()
        steps[0, 0] = 0
        steps[1:, 0] = -np.add.reduce(lines[:-1, 1:], axis=1, dtype=np.uint8)
        places = np.flatnonzero(steps.ravel() != 0)
        if len(places) * _FEW <= steps.size:
            values = np.cumsum(steps.ravel()[places], dtype=np.uint8)
            bounds = np.concatenate([[0], places, [steps.size]])
            return np.repeat(np.concatenate([[np.uint8(0)], values]), np.diff(bounds)).reshape(steps.shape)[:, 1:]
    if (filters == _UP).all():
        pixels = lines[:, 1:].copy()
        for above, row in pairwise(pixels):
            row += above
        return pixels
    height, width = lines.shape[0], lines.shape[1] - 1
    return _decoded(zlib.compress(np.ascontiguousarray(lines).data, 0), width, height)


def _decoded(packed: bytes, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Pixels of the compressed rows of a grey image, as Pillow decodes them."""
    return np.asarray(Image.frombytes("L", (width, height), packed, "zip", "L", 0), np.uint8)


def _tight(top: int, band: npt.NDArray[np.uint8]) -> tuple[int, int, npt.NDArray[np.uint8]]:
    """Place x, y and pixels of the tight box of what is not 0 in a band of rows from `top` on."""
    x, y, width, height = cv2.boundingRect(band)
    if not width:
        return 0, top, np.zeros((0, 0), np.uint8)
    return x, top + y, np.ascontiguousarray(band[y : y + height, x : x + width])
