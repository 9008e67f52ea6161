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
_MOST_PER_BYTE = (  # pixels that a byte can hold, by how the file begins
    (PNG_SIGNATURE, 1032 * 8),  # deflate makes 1032 bytes of one at most, and a byte holds 8 pixels of 1 bit
    (JPEG_SIGNATURE, 4096),  # a block of 8 x 8 takes 2 bits, a sixteenth of that where a scan is progressive
    (b"II", 1 << 18),  # fax codes take a bit for a row
    (b"MM", 1 << 18),
    (b"BM", 1 << 18),  # its run lengths may skip rows
)
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


def check_room(path: Path, data: bytes, width: int, height: int, *, length: int | None = None) -> None:
    """Raise, before memory is asked for, where a file declares more pixels than its bytes can hold.

    Args:
        path: the file.
        data: its bytes, or the first of them.
        width, height: what it declares, in pixels.
        length: of the file in bytes; that of `data` if None.

    Raises:
        ToolkitError: it does.
    """
    length = len(data) if length is None else length
    if width * height <= _UNSUSPICIOUS:
        return
    for begin, most in _MOST_PER_BYTE:
        if data.startswith(begin) and width * height > most * length:
            problem = f"not a readable image (it declares {width} x {height} pixels, more than {length} bytes hold)"
            raise ToolkitError(path, problem, REPLACE)


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
