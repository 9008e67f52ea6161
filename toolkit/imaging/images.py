"""Reading images, masks and sizes. Every failure names its file.

OpenCV fills what is missing from a damaged file with zeros and says nothing, so damage is looked for before decoding:
in PNG chunks and their checksums, in the end markers of JPEG, in the lengths that BMP and WebP declare.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from toolkit.errors import ToolkitError
from toolkit.imaging.png import PNG_SIGNATURE, REPLACE, check_png, cut_short

__all__ = [
    "ImageHeader",
    "encode_blank_map",
    "encode_map",
    "encode_png",
    "is_image",
    "read_header",
    "read_image",
]

Integers = npt.NDArray[np.integer]
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
"""File name endings of images, in lower case; names are compared without regard to case."""

Image.preinit()  # else the first image pays for the import of the common formats

_SIGNATURES = (PNG_SIGNATURE, b"\xff\xd8", b"BM", b"II*\0", b"MM\0*", b"RIFF")
_HEAD = 33  # bytes: PNG signature and IHDR chunk
_TAIL = 65536  # bytes at the end in which a JPEG's end marker is looked for: cameras append data after it
_TIFF_SIZES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8)  # bytes of a value, by its type; 3 and 4 are unsigned integers
_TIFF_PIECES = ((273, 279), (324, 325))  # tags: offsets and lengths of strips, and of tiles
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}


@dataclass(frozen=True)
class ImageHeader:
    """Width and height in pixels, and the number of channels, as a file declares them."""

    width: int
    height: int
    channels: int


def is_image(name: str) -> bool:
    """Whether a file name ends like an image's. Hidden files are not images."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not name.startswith(".")


def read_header(path: Path) -> ImageHeader:
    """Size and channels of an image, without decoding it where the format allows.

    Raises:
        ToolkitError: the file cannot be opened, is empty, cut short, or no image.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            head = file.read(_HEAD)
            if head[:8] == PNG_SIGNATURE and len(head) == _HEAD:
                file.seek(-12, os.SEEK_END)  # an intact PNG ends with an empty IEND chunk
                if file.read()[4:8] != b"IEND":
                    check_png(path, path.read_bytes())
                width, height, _, colour = struct.unpack(">IIBB", head[16:26])
                return ImageHeader(width, height, _PNG_CHANNELS.get(colour, 3))
    except OSError as error:
        raise _unreadable(path, error) from error
    data = read_file(path)
    check_whole(path, data)
    with open_with_pillow(path, data) as image:
        return ImageHeader(image.width, image.height, len(image.getbands()))


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """Decode an image.

    Returns:
        uint8 (H, W, 3) in BGR order, values in [0, 255]; 16-bit images are scaled down, alpha is dropped.

    Raises:
        ToolkitError: as `read_header`, or the file does not decode.
    """
    data = read_file(path)
    check_whole(path, data)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise ToolkitError(path, "not a readable image", REPLACE)
    return np.asarray(image, np.uint8)


@contextmanager
def open_with_pillow(path: Path, data: bytes) -> Iterator[Image.Image]:
    """An image opened with Pillow, whose failures name the file."""
    try:
        with Image.open(BytesIO(data)) as image:
            yield image
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ToolkitError(path, f"not a readable image ({_brief(error)})", REPLACE) from error


def read_file(path: Path) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError as error:
        raise _unreadable(path, error) from error


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
    elif data[:2] in (b"II", b"MM"):
        with open_with_pillow(path, data) as image:  # OpenCV leaves strips that do not unpack at zero
            image.load()


def _declared_length(data: bytes) -> int:
    """Bytes that a file other than PNG has to have by what stands in it; more than it has if its end is missing."""
    if data[:2] == b"\xff\xd8":
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


def _unreadable(path: Path, error: OSError) -> ToolkitError:
    remedy = "check that it exists and that you may read it" if not isinstance(error, IsADirectoryError) else REPLACE
    if path.exists() and path.is_file() and path.stat().st_size == 0:
        return ToolkitError(path, "the file is empty (0 bytes)", REPLACE)
    return ToolkitError(path, f"cannot be read ({error.strerror or error})", remedy)


def _brief(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "its content is of no known format"
    return str(error).splitlines()[0][:80] if str(error) else type(error).__name__


def encode_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Encode a picture, uint8 (H, W) or BGR (H, W, 3), as PNG, losslessly; the same pixels give the same bytes."""
    _, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 4])
    return bytes(data)


_FLAT = [
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
]


def encode_map(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Encode a mask or a map of ids, uint8 (H, W) or BGR (H, W, 3), as PNG.

    Maps are flat: bare run lengths make them smaller, and several times faster, than what suits pictures.
    """
    _, data = cv2.imencode(".png", pixels, _FLAT)
    return bytes(data)


@lru_cache(maxsize=8)
def encode_blank_map(shape: tuple[int, ...]) -> bytes:
    """The PNG of a map of zeros, (H, W) or (H, W, 3), as `encode_map` makes it; good images all share it."""
    _, data = cv2.imencode(".png", np.zeros(shape, np.uint8), _FLAT)
    return bytes(data)
