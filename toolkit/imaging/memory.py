"""Pictures in memory that have a path while they are needed, so that whatever reads image files reads them too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["held_image", "pixels_of"]

_held: dict[Path, npt.NDArray[np.uint8]] = {}
_numbers = count()


@contextmanager
def held_image(pixels: npt.NDArray[np.uint8]) -> Iterator[Path]:
    """A path that `read_image` and `read_header` know within the block; nothing stands there on disk.

    Args:
        pixels: uint8 (H, W, 3), BGR; they are not copied, and nobody may write into them.
    """
    path = Path(os.path.abspath(os.sep), f".defectkit-memory-{next(_numbers)}.png")  # noqa: PTH100
    _held[path] = pixels
    try:
        yield path
    finally:
        del _held[path]


def pixels_of(path: Path) -> npt.NDArray[np.uint8] | None:
    """The picture that a path stands for, or None for the path of a file."""
    return _held.get(path) if _held else None
