"""The EXIF orientation of an image: how to turn the pixels as stored so that the picture stands upright.

What readers do with it (OpenCV 5.0, Pillow 13.0, ultralytics 8.4.190; all eight orientations tried):

- OpenCV turns JPEG, PNG (eXIf before or behind the pixels), WebP and TIFF. `IMREAD_UNCHANGED` and
  `IMREAD_IGNORE_ORIENTATION` leave the first three as stored, TIFF is turned all the same. `cv2.imread` of a TIFF with
  an orientation from 5 on gives None; `imdecode` reads it. ultralytics decodes with OpenCV, and its `exif_size` agrees.
- Pillow turns TIFF and leaves the rest, so that what reads with a bare `Image.open`, as anomalib and torchvision do,
  sees the pixels as stored. An orientation that stands in XMP alone is turned by nobody but Pillow's `exif_transpose`.

defectkit reads upright what OpenCV turns, and `Format.turns_photos` says which readers need a copy that stands upright.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
import numpy.typing as npt

from toolkit.imaging.jpeg import JPEG_SIGNATURE, jpeg_segments
from toolkit.imaging.png import PNG_SIGNATURE

__all__ = [
    "UPRIGHT",
    "find_png_orientation",
    "holds_what_follows_pixels",
    "is_transposed",
    "orientation_in",
    "orientation_of",
    "png_orientation",
    "turn",
    "turned_box",
    "webp_chunks",
]

UPRIGHT = 1
"""The orientation of pixels that need no turning."""

_STEPS = {  # orientation -> what makes it upright: swap the axes, then mirror x, then mirror y (EXIF 2.32, page 37)
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}
_TAG, _TIFF_MAGIC = 0x0112, 42
_EXIF = b"Exif\0\0"
_APP1 = 0xE1  # JPEG marker

Scalar = TypeVar("Scalar", bound=np.generic)


def is_transposed(orientation: int) -> bool:
    """Whether width and height of the upright picture are those of the stored pixels swapped."""
    return _STEPS[orientation][0]


def turn(pixels: npt.NDArray[Scalar], orientation: int) -> npt.NDArray[Scalar]:
    """Stored pixels (H, W) or (H, W, C) made upright."""
    if orientation == UPRIGHT:
        return pixels
    swapped, across, down = _STEPS[orientation]
    turned = pixels.swapaxes(0, 1) if swapped else pixels
    turned = turned[:, ::-1] if across else turned
    return np.ascontiguousarray(turned[::-1] if down else turned)


def turned_box(x: int, y: int, w: int, h: int, size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Place x, y in the upright picture of a box w x h that lies at x, y in a stored one of `size` (width, height)."""
    swapped, across, down = _STEPS[orientation]
    width, height = size
    if swapped:
        x, y, w, h, width, height = y, x, h, w, height, width
    return width - x - w if across else x, height - y - h if down else y


def orientation_of(data: bytes) -> int:
    """Orientation, 1 to 8, of a whole JPEG, PNG or WebP file; 1 of others: TIFFs are turned by their decoders."""
    if data[:8] == PNG_SIGNATURE:
        return png_orientation(data)
    if data[:2] == JPEG_SIGNATURE:
        return _jpeg_orientation(data)
    if data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8X":
        return _webp_orientation(data)
    return UPRIGHT


def png_orientation(data: bytes) -> int:
    """Orientation that stands in an eXIf chunk of a PNG, or of a part of it that holds the chunk whole."""
    place = data.find(b"eXIf")
    while place >= 0:
        length = int.from_bytes(data[place - 4 : place], "big") if place >= 4 else len(data)
        end = place + 4 + length
        checksum = data[end : end + 4]
        if len(checksum) == 4 and zlib.crc32(data[place:end]) == int.from_bytes(checksum, "big"):
            return orientation_in(data[place + 4 : end]) or UPRIGHT
        place = data.find(b"eXIf", place + 1)  # these four bytes may as well occur among pixels
    return UPRIGHT


def holds_what_follows_pixels(tail: bytes) -> bool:
    """Whether the last bytes of a PNG begin within its pixels, so that all chunks behind these are whole in them."""
    place = tail.rfind(b"IDAT")
    while place >= 4:
        end = place - 4
        while end + 8 <= len(tail):
            end += 12 + int.from_bytes(tail[end : end + 4], "big")
        if end == len(tail):  # else these four bytes stand by chance where they are
            return True
        place = tail.rfind(b"IDAT", 0, place)
    return False


def find_png_orientation(path: Path) -> int:
    """Orientation that stands in an eXIf chunk of a PNG file, of which no pixels are read.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        place = len(PNG_SIGNATURE)
        while len(start := _at(file, place, 8)) == 8:
            length = int.from_bytes(start[:4], "big")
            if start[4:] == b"eXIf":
                return png_orientation(start + _at(file, place + 8, length + 4))
            place += 12 + length
    return UPRIGHT


def _at(file: IO[bytes], place: int, length: int) -> bytes:
    file.seek(place)
    return file.read(length)


def _jpeg_orientation(data: bytes) -> int:
    """Orientation that stands in the first Exif segment ahead of the pixels that has one."""
    for marker, content in jpeg_segments(data):
        if marker == _APP1 and content.startswith(_EXIF):
            found = orientation_in(content[len(_EXIF) :])
            if found is not None:
                return found
    return UPRIGHT


def webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the chunks of a WebP file; none of other files."""
    place = 12 if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else len(data)
    while place + 8 <= len(data):
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        yield data[place : place + 4], data[place + 8 : place + 8 + length]
        place += 8 + length + length % 2


def _webp_orientation(data: bytes) -> int:
    """Orientation that stands in the EXIF chunk, which comes behind the pixels."""
    return next((orientation_in(content) or UPRIGHT for kind, content in webp_chunks(data) if kind == b"EXIF"), UPRIGHT)


def orientation_in(exif: bytes) -> int | None:
    """Orientation that stands in EXIF data; 1 where it is no number that means anything, None where there is none."""
    order = "<" if exif[:2] == b"II" else ">"
    try:
        magic, start = struct.unpack_from(f"{order}HI", exif, 2)
        if magic != _TIFF_MAGIC:
            return None
        (entries,) = struct.unpack_from(f"{order}H", exif, start)
        for place in range(start + 2, start + 2 + 12 * entries, 12):
            if struct.unpack_from(f"{order}H", exif, place)[0] == _TAG:
                value = int(struct.unpack_from(f"{order}H", exif, place + 8)[0])
                return value if value in _STEPS else UPRIGHT
    except struct.error:
        pass
    return None
