"""Reading and writing images and their sizes. Every failure names its file."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
import numpy.typing as npt

from toolkit.errors import ToolkitError
from toolkit.imaging.jpeg import JPEG_SIGNATURE, jpeg_size
from toolkit.imaging.limits import MOST_A_SIDE, MOST_PIXELS, check_room, too_large
from toolkit.imaging.memory import pixels_of
from toolkit.imaging.opening import check_whole, open_with_pillow, read_file, unreadable
from toolkit.imaging.orientation import (
    UPRIGHT,
    find_png_orientation,
    holds_what_follows_pixels,
    is_transposed,
    orientation_of,
    png_orientation,
    turn,
)
from toolkit.imaging.png import PNG_BEGIN, PNG_SIGNATURE, REPLACE, check_extent, check_png, encode_rgb_png
from toolkit.imaging.tiff import check_photo_values

__all__ = [
    "ImageHeader",
    "decode",
    "depth_of",
    "encode_blank_map",
    "encode_map",
    "encode_png",
    "is_image",
    "is_unread_picture",
    "read_header",
    "read_image",
    "values_beyond",
]

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
"""File name endings of images, in lower case; names are compared without regard to case."""

UNREAD_SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("gif", "apng", "mng", "tga", "dib", "pcx", "ppm", "pgm", "pbm", "pnm", "pam", "pfm", "exr", "hdr", "psd"),
        *("jpe", "jfif", "jif", "mpo", "jp2", "j2k", "jpf", "jpx", "jpm", "j2c", "jpc", "jxl", "jxr", "wdp", "hdp"),
        *("avif", "avifs", "heic", "heif", "heics", "hif", "btf", "tf8", "xcf", "sgi", "qoi", "xbm", "xpm", "ico"),
        *("dng", "cr2", "cr3", "nef", "nrw", "arw", "sr2", "srf", "orf", "rw2", "raf", "pef", "srw"),
    )
)
"""Endings of pictures of kinds that are not read, in lower case."""

_IHDR_END = 33  # bytes: PNG signature and IHDR chunk
_HEAD = 1024  # bytes in which most PNGs have begun with their pixels
_TAIL = 8448  # bytes at the end: as long as the last chunk of pixels of libpng, and a little that follows it
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_BITS, _TIFF_ORIENTATION = 256, 257, 258, 274
_BYTE = 8  # bits
_DEPTHS = (10, 12, 14, 16)  # bits of cameras that store more than 8 of them


@dataclass(frozen=True)
class ImageHeader:
    """What a file declares of its image.

    Attributes:
        width, height: of the picture that stands upright, in pixels.
        channels: colours, and alpha.
        bits: of a channel.
        orientation: of the pixels as stored, 1 to 8 as in EXIF; 1 needs no turning.
    """

    width: int
    height: int
    channels: int
    bits: int = _BYTE
    orientation: int = UPRIGHT

    @property
    def turned(self) -> bool:
        """Whether the pixels as stored do not stand upright."""
        return self.orientation != UPRIGHT

    @property
    def stored(self) -> tuple[int, int]:
        """Width and height of the pixels as stored."""
        return (self.height, self.width) if is_transposed(self.orientation) else (self.width, self.height)


def is_image(name: str) -> bool:
    """Whether a file name ends like an image's. Hidden files are not images."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not name.startswith(".")


def is_unread_picture(name: str) -> bool:
    """Whether a file name ends like that of a picture of a kind that is not read. Hidden files are none."""
    return os.path.splitext(name)[1].lower() in UNREAD_SUFFIXES and not name.startswith(".")


def read_header(path: Path) -> ImageHeader:
    """Size, channels, depth and orientation of an image, without decoding it where the format allows.

    Raises:
        ToolkitError: the file cannot be opened, is empty, cut short, or no image.
    """
    held = pixels_of(path)
    if held is not None:
        return ImageHeader(held.shape[1], held.shape[0], 3)
    try:
        with open(path, "rb", buffering=0) as file:
            head = file.read(_HEAD)
            if head[:16] == PNG_BEGIN and len(head) >= _IHDR_END:
                length = file.seek(0, os.SEEK_END)
                file.seek(max(0, length - _TAIL))
                tail = file.read(_TAIL)
                if tail[-8:-4] != b"IEND" or (
                    b"acTL" in head or (b"IDAT" not in head and _is_animated(file))
                ):  # an intact PNG ends with an empty IEND chunk
                    check_png(path, path.read_bytes())
                check_room(path, head, *struct.unpack(">II", head[16:24]), length=length)
                return _png_header(path, head, tail)
    except OSError as error:
        raise unreadable(path, error) from error
    data = read_file(path)
    check_whole(path, data)
    with open_with_pillow(path, data) as image:
        bits, orientation, (width, height) = 1 if image.mode == "1" else _BYTE, orientation_of(data), image.size
        if image.format == "TIFF":
            tags = image.tag_v2  # type: ignore[attr-defined]
            bits = max(tags.get(_TIFF_BITS, (bits,)))
            orientation = tags.get(_TIFF_ORIENTATION, UPRIGHT)
            width, height = tags[_TIFF_WIDTH], tags[_TIFF_HEIGHT]  # Pillow says the upright size since version 11
        return _upright_header(width, height, len(image.getbands()), bits, orientation)


def _is_animated(file: IO[bytes]) -> bool:
    """Whether a PNG says ahead of its pixels that it is an animation."""
    place = len(PNG_SIGNATURE)
    while True:
        file.seek(place)
        start = file.read(8)
        if len(start) < 8 or start[4:] in (b"IDAT", b"acTL"):
            return start[4:] == b"acTL"
        place += 12 + int.from_bytes(start[:4], "big")


def _png_header(path: Path, head: bytes, tail: bytes) -> ImageHeader:
    """Header of a PNG whose first and last bytes are given, which overlap where it is small."""
    width, height, bits, colour = struct.unpack(">IIBB", head[16:26])
    check_extent(path, width, height)
    orientation = png_orientation(tail)
    if orientation == UPRIGHT and len(tail) == _TAIL:
        place = _IHDR_END
        while place + 8 <= len(head) and head[place + 4 : place + 8] not in (b"IDAT", b"eXIf"):
            place += 12 + int.from_bytes(head[place : place + 4], "big")
        if head[place + 4 : place + 8] != b"IDAT" or not holds_what_follows_pixels(tail):
            orientation = find_png_orientation(path)
    return _upright_header(width, height, _PNG_CHANNELS.get(colour, 3), bits, orientation)


def _upright_header(width: int, height: int, channels: int, bits: int, orientation: int) -> ImageHeader:
    if orientation not in range(1, 9):
        orientation = UPRIGHT
    if is_transposed(orientation):
        width, height = height, width
    return ImageHeader(width, height, channels, bits, orientation)


def read_image(path: Path, depth: int | None = None) -> npt.NDArray[np.uint8]:
    """Decode an image, as people and trainers see it: upright by its EXIF orientation, and in 8 bits.

    The depth of an image of more than 8 bits is the smallest of 10, 12, 14 and 16 bits that holds its largest value,
    and that range is scaled to 0..255 (its highest 8 bits are taken): camera data of 12 bits in a file of 16 is not
    black. A file that is full to 16 bits gives what OpenCV and ultralytics make of it.

    Args:
        path: the file.
        depth: bits, 8 to 16, that an image of more than 8 is scaled by instead, so that several share one range; what
            is beyond it is 255.

    Returns:
        uint8 (H, W, 3) in BGR order, values in [0, 255]; alpha is dropped.

    Raises:
        ToolkitError: as `read_header`, or the file does not decode.
    """
    pixels = _read_deep(path)
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, np.uint8)
    if depth is None:
        return np.asarray(pixels >> (_depth(pixels) - _BYTE), np.uint8)
    return np.asarray(np.minimum(pixels >> (depth - _BYTE), 255), np.uint8)


def values_beyond(path: Path, depths: Iterable[int]) -> dict[int, float]:
    """Bits -> the share of the values of an image of more than 8 bits that they do not hold; {} of other images.

    Raises:
        ToolkitError: as `read_image`.
    """
    if read_header(path).bits <= _BYTE or (pixels := _read_deep(path)).dtype == np.uint8:
        return {}
    return {bits: np.count_nonzero(pixels >> bits) / max(1, pixels.size) for bits in depths}


def depth_of(path: Path) -> int:
    """Bits that an image is read with, as `read_image` says: 8, or 10, 12, 14 or 16.

    Raises:
        ToolkitError: as `read_image`.
    """
    declared = read_header(path).bits
    return _BYTE if declared <= _BYTE else min(declared, _depth(_read_deep(path)))


def _depth(pixels: npt.NDArray[np.integer]) -> int:
    if pixels.dtype == np.uint8:
        return _BYTE
    largest = int(pixels.max(initial=0))
    return next(bits for bits in _DEPTHS if largest < 1 << bits)


def _read_deep(path: Path) -> npt.NDArray[np.integer]:
    """Upright BGR pixels (H, W, 3): uint8, or uint16 as the file has them."""
    held = pixels_of(path)
    if held is not None:
        return held
    data = read_file(path)
    check_whole(path, data)
    check_photo_values(path, data)
    pixels = decode(path, data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        pixels = decode(path, data, cv2.IMREAD_COLOR)
    if pixels is None:
        raise ToolkitError(path, "not a readable image", REPLACE)
    return pixels


def decode(path: Path, data: bytes, mode: int) -> npt.NDArray[np.integer] | None:
    """Upright pixels of a whole file, in a mode of OpenCV; None where it does not decode.

    Raises:
        ToolkitError: the image is larger than OpenCV decodes.
    """
    if data[:8] == PNG_SIGNATURE:
        width, height = struct.unpack(">II", data[16:24])
    elif data[:2] == JPEG_SIGNATURE:
        width, height = jpeg_size(data)
    else:
        with open_with_pillow(path, data) as image:
            width, height = image.size
    check_room(path, data, width, height)
    if max(width, height) > MOST_A_SIDE:
        raise too_large(path, width, height)
    pixels: Any
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), mode | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        if width * height > MOST_PIXELS:
            raise too_large(path, width, height) from error
        return None
    return None if pixels is None else turn(pixels, orientation_of(data))


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
    """The PNG of a map of zeros, (H, W), or (H, W, 3) as of segment ids; good images all share it."""
    blank = np.zeros(shape, np.uint8)
    return encode_map(blank) if blank.ndim == 2 else encode_rgb_png(blank)
