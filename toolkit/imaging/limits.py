"""How large an image may be: as large as the bytes of its file can hold, whatever Pillow thinks of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from toolkit.errors import ToolkitError
from toolkit.imaging.jpeg import JPEG_SIGNATURE
from toolkit.imaging.png import PNG_SIGNATURE, REPLACE

__all__ = ["MOST_A_SIDE", "MOST_PIXELS", "check_claimed_size", "check_room", "too_large", "without_pillow_limit"]

MOST_A_SIDE, MOST_PIXELS = 1_000_000, 1 << 30
"""The largest images that are decoded: pixels a side, as libpng has it, and in all, as OpenCV has it."""

_UNSUSPICIOUS = 1 << 26  # pixels: too few to hurt, whatever the file
_MOST_PIXELS_PER_BYTE = 4096  # of a JPEG: a block of 8 x 8 takes 2 bits, a sixteenth where a scan is progressive
_MOST_BITS_PER_BYTE = (  # bits of pixels that a byte can hold, by how the file begins
    (PNG_SIGNATURE, 1032 * 8),  # deflate makes 1032 bytes of one at most
    (b"II", 1 << 18),  # fax codes take a bit for a row
    (b"MM", 1 << 18),
    (b"BM", 1 << 18),  # its run lengths may skip rows
)
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the colour type in the header of a PNG
_MODE_BITS = {"F": 32, "I": 32, "RGB": 24, "RGBA": 32, "RGBX": 32, "CMYK": 32, "LAB": 24, "YCbCr": 24, "LA": 16}
_PNG_COLOUR = 25  # place of the colour type; before it stand the bits of a channel
_lock = threading.Lock()
_inside = 0
_limit: int | None = None


@contextmanager
def without_pillow_limit() -> Iterator[None]:
    """Let Pillow open images of any size, in all threads, and give it its own limit back afterwards.

    Pillow refuses what has more than 179 megapixels, and warns at half of that; line-scan cameras take larger ones.
    """
    global _inside, _limit
    with _lock:
        if _inside == 0:
            _limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                Image.MAX_IMAGE_PIXELS = _limit


def check_room(path: Path, data: bytes, width: int, height: int, *, length: int | None = None, mode: str = "") -> None:
    """Raise, before memory is asked for, where a file declares more pixels than its bytes can hold.

    Args:
        path: the file.
        data: its bytes, or the first of them.
        width, height: what it declares, in pixels.
        length: of the file in bytes; that of `data` if None.
        mode: of its pixels as Pillow has it, where it is known.

    Raises:
        ToolkitError: it does.
    """
    length = len(data) if length is None else length
    if width * height <= _UNSUSPICIOUS:
        return
    most: dict[bytes, float] = {JPEG_SIGNATURE: _MOST_PIXELS_PER_BYTE}
    most |= {begin: bits / _bits_of(data, mode) for begin, bits in _MOST_BITS_PER_BYTE}
    for begin, pixels in most.items():
        if data.startswith(begin) and width * height > pixels * length:
            problem = f"not a readable image (it declares {width} x {height} pixels, more than {length} bytes hold)"
            raise ToolkitError(path, problem, REPLACE)


def _bits_of(data: bytes, mode: str) -> int:
    """Bits that a pixel takes in the file, or fewer."""
    if data.startswith(PNG_SIGNATURE) and len(data) > _PNG_COLOUR:
        return max(1, data[_PNG_COLOUR - 1]) * _CHANNELS.get(data[_PNG_COLOUR], 1)
    return 16 if mode.startswith("I;16") else _MODE_BITS.get(mode, 1)  # grey and palettes may take a single bit


def check_claimed_size(path: Path, width: int, height: int) -> None:
    """Raise where labels are said to be of an image that is larger than any that is read.

    Args:
        path: the image, which need not be there.
        width, height: in pixels.

    Raises:
        ToolkitError: it is too large, or has no pixels.
    """
    if min(width, height) < 1 or max(width, height) > MOST_A_SIDE or width * height > MOST_PIXELS:
        problem = f"is {width} x {height} pixels by its labels, and no such image is read"
        raise ToolkitError(path, problem, "correct its size in the label file")


def too_large(path: Path, width: int, height: int) -> ToolkitError:
    """The error for an image that OpenCV does not decode."""
    problem = f"is {width} x {height} pixels, and OpenCV decodes no more than 1000000 a side and 2^30 in all"
    return ToolkitError(path, problem, "cut it into smaller images, or leave the sample out with --on-problem skip")
