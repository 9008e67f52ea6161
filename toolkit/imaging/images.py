"""Reading images, masks and sizes. Every failure names its file.

OpenCV fills what is missing from a damaged file with zeros and says nothing, so damage is looked for before decoding:
in PNG chunks and their checksums, in the end markers of JPEG, in the lengths that BMP and WebP declare.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from toolkit.errors import ToolkitError
from toolkit.imaging.png import PNG_SIGNATURE, REPLACE, check_png, cut_short, is_grey_png, read_grey_png

__all__ = [
    "ImageHeader",
    "Mask",
    "encode_blank_map",
    "encode_map",
    "encode_png",
    "is_image",
    "read_class_ids",
    "read_header",
    "read_image",
    "read_mask",
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
_PALETTE = 3  # colour type in a PNG header
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}


@dataclass(frozen=True)
class ImageHeader:
    """Width and height in pixels, and the number of channels, as a file declares them."""

    width: int
    height: int
    channels: int


@dataclass(frozen=True, eq=False)
class Mask:
    """A defect mask, as far as anything is marked in it: most of a mask is background.

    Attributes:
        width, height: size of the whole mask in pixels.
        x, y: place of the crop's first pixel in the mask.
        crop: uint8 (h, w), the tight box of the marked pixels, which are not 0; (0, 0) where nothing is marked.
    """

    width: int
    height: int
    x: int
    y: int
    crop: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, pixels: npt.NDArray[np.uint8], width: int, height: int, offset: tuple[int, int] = (0, 0)) -> Mask:
        """The mask (width, height) whose pixels from `offset` (x, y) on are `pixels`, and 0 elsewhere."""
        x, y, w, h = cv2.boundingRect(pixels) if pixels.size else (0, 0, 0, 0)
        return cls(width, height, x + offset[0], y + offset[1], pixels[y : y + h, x : x + w])

    def pixels(self) -> npt.NDArray[np.uint8]:
        """The whole mask: uint8 (height, width)."""
        whole = np.zeros((self.height, self.width), np.uint8)
        h, w = self.crop.shape
        whole[self.y : self.y + h, self.x : self.x + w] = self.crop
        return whole

    def union(self, other: Mask) -> Mask:
        """What is marked in this mask, in another one of the same size, or in both."""
        return Mask.of(self.pixels() | other.pixels(), self.width, self.height)


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
    data = _read_bytes(path)
    _check_whole(path, data)
    with _pillow_image(path, data) as image:
        return ImageHeader(image.width, image.height, len(image.getbands()))


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """Decode an image.

    Returns:
        uint8 (H, W, 3) in BGR order, values in [0, 255]; 16-bit images are scaled down, alpha is dropped.

    Raises:
        ToolkitError: as `read_header`, or the file does not decode.
    """
    data = _read_bytes(path)
    _check_whole(path, data)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise ToolkitError(path, "not a readable image", REPLACE)
    return np.asarray(image, np.uint8)


def read_mask(path: Path, threshold: int | None = None, values: Sequence[int] = ()) -> Mask:
    """Decode a defect mask.

    Grey, RGB with equal channels, RGBA (alpha is ignored), palette, 1-bit and 16-bit masks are read. Without a
    `threshold` a mask holds 0 and one more value: the largest that its depth allows, or 1.

    Args:
        path: the mask file.
        threshold: grey values of this or more are defect, in the file's own range.
        values: values that are defect, without a threshold; a palette file counts by its indices.

    Raises:
        ToolkitError: as `read_header`; channels that differ; grey values where the mask should be binary.
    """
    data = _read_bytes(path)
    if threshold is None and values:
        _check_whole(path, data)
        ids = _decode_grey(path, data, by_colour=False)
        return Mask.of(np.isin(ids, values).view(np.uint8), ids.shape[1], ids.shape[0])
    if is_grey_png(data):
        return _read_grey_png(path, data, threshold)
    _check_whole(path, data)
    grey = _decode_grey(path, data, by_colour=True)
    height, width = grey.shape
    if threshold is not None:
        return Mask.of((grey >= threshold).view(np.uint8), width, height)
    _check_binary(path, grey)
    return Mask.of((grey > 0).view(np.uint8), width, height)


def _read_grey_png(path: Path, data: bytes, threshold: int | None) -> Mask:
    """The common case: only what is marked becomes an array."""
    width, height, x, y, crop = read_grey_png(path, data)
    if threshold is not None:
        return Mask.of((crop >= threshold).view(np.uint8), width, height, (x, y))
    _check_binary(path, crop)
    return Mask(width, height, x, y, crop)


def read_class_ids(path: Path) -> npt.NDArray[np.uint8]:
    """Decode a map of class ids.

    Returns:
        uint8 (H, W); a palette file gives its indices.

    Raises:
        ToolkitError: as `read_header`; channels that differ; more than 8 bits.
    """
    data = _read_bytes(path)
    _check_whole(path, data)
    ids = _decode_grey(path, data, by_colour=False)
    if ids.dtype != np.uint8:
        raise ToolkitError(path, f"class ids of type {ids.dtype}", "save them as an 8-bit PNG of one channel")
    return np.asarray(ids, np.uint8)


def _decode_grey(path: Path, data: bytes, *, by_colour: bool) -> Integers:
    """One channel of whole numbers (H, W)."""
    grey: Any
    if data[:8] == PNG_SIGNATURE and data[25] == _PALETTE:
        grey = _read_palette(path, data, by_colour=by_colour)
    else:
        grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if grey is None:
            with _pillow_image(path, data) as image:
                grey = np.asarray(image.convert("L") if image.mode in ("1", "P") else image)
    if grey.ndim == 3:
        grey = _one_channel(path, grey)
    if not np.issubdtype(grey.dtype, np.integer):
        raise ToolkitError(path, f"a mask of type {grey.dtype}", "save it as an 8-bit PNG of 0 and 255")
    whole_numbers: Integers = grey
    return whole_numbers


def _check_binary(path: Path, grey: Integers) -> None:
    """Raise where a mask holds more than 0 and one full value."""
    if not grey.size:
        return
    full = int(grey.max())
    if full in (0, 1, 255, int(np.iinfo(grey.dtype).max)) and np.count_nonzero(grey) == np.count_nonzero(grey == full):
        return
    raise _grey(path, np.unique(grey[grey > 0]))


def _grey(path: Path, values: Integers) -> ToolkitError:
    shown = ", ".join(str(value) for value in values[:5].tolist()) + (", ..." if len(values) > 5 else "")
    return ToolkitError(
        path, f"grey values in a mask that should be binary ({shown})", "say with --threshold N which count as defect"
    )


def _one_channel(path: Path, pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """The grey channel of a (H, W, C) mask whose colour channels are equal; alpha is ignored."""
    colours = pixels[:, :, :1] if pixels.shape[2] == 2 else pixels[:, :, :3]
    first = colours[:, :, 0]
    if any(not np.array_equal(first, colours[:, :, channel]) for channel in range(1, colours.shape[2])):
        raise ToolkitError(
            path, "the channels of this RGB mask differ", "save it as one channel: 0 background, 255 defect"
        )
    return np.ascontiguousarray(first)


def _read_palette(path: Path, data: bytes, *, by_colour: bool) -> npt.NDArray[np.uint8]:
    """A palette file by its colours where those are greys and wanted, else by its indices."""
    with _pillow_image(path, data) as image:
        indices = np.asarray(image, np.uint8)
        table = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    if not by_colour:
        return indices
    used = np.unique(indices)
    if used.max() < len(table) and (table[used] == table[used][:, :1]).all():
        return np.asarray(table[:, 0][indices], np.uint8)
    return (indices > 0).view(np.uint8) if len(used) <= 2 and used[0] == 0 else indices


@contextmanager
def _pillow_image(path: Path, data: bytes) -> Iterator[Image.Image]:
    """An image opened with Pillow, whose failures name the file."""
    try:
        with Image.open(BytesIO(data)) as image:
            yield image
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ToolkitError(path, f"not a readable image ({_brief(error)})", REPLACE) from error


def _read_bytes(path: Path) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError as error:
        raise _unreadable(path, error) from error


def _check_whole(path: Path, data: bytes) -> None:
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
        with _pillow_image(path, data) as image:  # OpenCV leaves strips that do not unpack at zero
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
