"""Copies of images for readers that do not see them as `read_image` does: turned upright, or in 8 bits."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from toolkit.errors import ToolkitError
from toolkit.imaging.images import decode, encode_png, read_header, read_image
from toolkit.imaging.opening import check_whole, read_file
from toolkit.imaging.png import REPLACE
from toolkit.imaging.tiff import is_tiff

__all__ = ["eight_bit_copy", "is_copy", "upright_copy", "upright_pixels"]

_BYTE = 8  # bits


def upright_pixels(path: Path) -> npt.NDArray[Any]:
    """All that an image stores, turned as its EXIF orientation says: uint8 or uint16, (H, W) or (H, W, channels).

    Colours are in the order BGR, alpha follows; what PNG cannot store is read as `read_image` does.

    Raises:
        ToolkitError: it cannot be read.
    """
    data = read_file(path)
    check_whole(path, data)
    pixels: Any = decode(path, data, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ToolkitError(path, "not a readable image", REPLACE)
    return pixels if pixels.dtype in (np.uint8, np.uint16) else read_image(path)


def upright_copy(path: Path) -> bytes:
    """An image as a PNG without an EXIF orientation, its pixels turned as that says; depth and alpha stay.

    Raises:
        ToolkitError: it cannot be read.
    """
    return encode_png(upright_pixels(path))


def eight_bit_copy(path: Path, depth: int | None = None) -> bytes | None:
    """What `read_image` makes of an image of more than 8 bits, as a PNG or TIFF, as the file is; None for others.

    Args:
        path: the file.
        depth: bits of the range that it is scaled by, as for `read_image`.

    Raises:
        ToolkitError: it cannot be read.
    """
    header = read_header(path)
    if header.bits <= _BYTE:
        return None
    pixels = read_image(path, depth)
    grey = header.channels == 1
    _, data = cv2.imencode(".tif" if is_tiff(read_file(path)) else ".png", pixels[:, :, 0] if grey else pixels)
    return bytes(data)


def is_copy(path: Path, source: Path) -> bool:
    """Whether a file with other bytes is such a copy of `source`: the same pixels, where those call for a copy.

    A file that is no image is none.
    """
    with suppress(ToolkitError):
        header = read_header(source)
        if not header.turned and header.bits <= _BYTE:
            return False
        other = read_header(path)
        same_size = (header.width, header.height) == (other.width, other.height)
        return same_size and np.array_equal(read_image(path), read_image(source))
    return False
