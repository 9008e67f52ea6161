"""Masks as people save them: what is marked in a file, and what its values mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from toolkit.errors import ToolkitError
from toolkit.imaging.images import check_whole, open_with_pillow, read_file
from toolkit.imaging.png import PNG_SIGNATURE, is_grey_png, read_grey_png

__all__ = ["Mask", "MaskReading", "mask_of_runs", "present_values", "read_class_ids", "read_mask"]

MaskReading = Literal["", "nonzero", "values", "colours", "alpha"]
"""What the values of a mask are: see `read_mask`."""

Integers = npt.NDArray[np.integer]

_PALETTE = 3  # colour type in a PNG header


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


def mask_of_runs(runs: str, size: tuple[int, int], path: Path) -> Mask:
    """A mask (width, height) from run lengths "start length ...", from 1, column by column, as they stand in `path`.

    Raises:
        ToolkitError: they are not pairs of whole numbers, overlap, or leave the image.
    """
    width, height = size
    words = runs.split()
    if len(words) % 2 or not all(word.isascii() and word.isdigit() and len(word) < 12 for word in words):
        raise ToolkitError(path, f"has run lengths that are not pairs of numbers ({runs[:30]!r})", "correct the table")
    pairs = np.array(words, np.int64).reshape(-1, 2)
    starts, ends = pairs[:, 0] - 1, pairs[:, 0] - 1 + pairs[:, 1]
    if len(pairs) and ((starts < 0).any() or (ends > width * height).any() or (pairs[:, 1] < 1).any()):
        raise ToolkitError(path, f"has run lengths that leave an image of {width} x {height}", "correct the table")
    if (starts[1:] < ends[:-1]).any():
        raise ToolkitError(path, "has run lengths that overlap, or are out of order", "correct the table")
    flat = np.zeros(width * height, np.uint8)
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        flat[start:end] = 1
    return Mask.of(np.ascontiguousarray(flat.reshape(width, height).T), width, height)


def read_mask(path: Path, threshold: int | None = None, values: Sequence[int] = (), reading: MaskReading = "") -> Mask:
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
    data = read_file(path)
    if threshold is None and values:
        check_whole(path, data)
        ids = _decode_grey(path, data, by_colour=False)
        return Mask.of(np.isin(ids, values).view(np.uint8), ids.shape[1], ids.shape[0])
    if is_grey_png(data):
        return _read_grey_png(path, data, threshold)
    check_whole(path, data)
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


def present_values(path: Path, reading: MaskReading) -> tuple[int, ...]:
    """The values in a mask but for its background, sorted."""
    ids = read_class_ids(path)
    return tuple(int(value) for value in np.unique(ids) if value)


def read_class_ids(path: Path) -> npt.NDArray[np.uint8]:
    """Decode a map of class ids.

    Returns:
        uint8 (H, W); a palette file gives its indices.

    Raises:
        ToolkitError: as `read_header`; channels that differ; more than 8 bits.
    """
    data = read_file(path)
    check_whole(path, data)
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
            with open_with_pillow(path, data) as image:
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
    with open_with_pillow(path, data) as image:
        indices = np.asarray(image, np.uint8)
        table = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    if not by_colour:
        return indices
    used = np.unique(indices)
    if used.max() < len(table) and (table[used] == table[used][:, :1]).all():
        return np.asarray(table[:, 0][indices], np.uint8)
    return (indices > 0).view(np.uint8) if len(used) <= 2 and used[0] == 0 else indices
