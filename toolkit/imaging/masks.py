"""Masks as people save them: what is marked in a file, and what its values mean."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from toolkit.errors import ToolkitError
from toolkit.imaging.images import ImageHeader
from toolkit.imaging.meaning import background_of, check_binary, distinct, marked_by, numbers_in
from toolkit.imaging.opening import read_file
from toolkit.imaging.orientation import UPRIGHT, is_transposed, orientation_of, turn, turned_box
from toolkit.imaging.png import Grey, is_grey_png, is_rgb_png, read_grey_png, read_rgb_png
from toolkit.imaging.stored import Integers, Stored, is_lossy, read_stored

__all__ = [
    "Mask",
    "MaskReading",
    "fitted",
    "mask_of_runs",
    "present_values",
    "read_class_ids",
    "read_class_map",
    "read_mask",
    "read_value_masks",
    "read_values",
]

MaskReading = Literal["", "nonzero", "values", "colours", "alpha"]
"""What the values of a mask are: see `read_mask`."""

_LARGEST_BYTE = 255


@dataclass(frozen=True, eq=False)
class Mask:
    """A defect mask, as far as anything is marked in it: most of a mask is background.

    Attributes:
        width, height: size of the whole mask in pixels.
        x, y: place of the crop's first pixel in the mask.
        crop: uint8 (h, w), the tight box of the marked pixels, which are not 0; (0, 0) where nothing is marked.
        by_exif: whether the file's own EXIF orientation made it upright.
    """

    width: int
    height: int
    x: int
    y: int
    crop: npt.NDArray[np.uint8]
    by_exif: bool = False

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

    def turned(self, orientation: int) -> Mask:
        """The mask turned as an image is whose EXIF orientation, 1 to 8, is given: stored pixels to upright ones."""
        if orientation == UPRIGHT:
            return self
        size = (self.height, self.width) if is_transposed(orientation) else (self.width, self.height)
        h, w = self.crop.shape
        x, y = turned_box(self.x, self.y, w, h, (self.width, self.height), orientation) if self.crop.size else (0, 0)
        return Mask(*size, x, y, turn(self.crop, orientation))


def fitted(mask: Mask, header: ImageHeader, path: Path, image: Path) -> Mask:
    """A mask as it lies on the upright picture of an image.

    A mask that has the size of the pixels as stored, and not of the upright picture, is turned like these.

    Args:
        mask: read from `path`.
        header: of `image`.
        path, image: the files, for errors.

    Raises:
        ToolkitError: the sizes differ.
    """
    if (mask.width, mask.height) == (header.width, header.height):
        return mask
    if (mask.width, mask.height) == header.stored and not mask.by_exif:
        return mask.turned(header.orientation)
    own = ", turned by its own EXIF orientation" if mask.by_exif else ""
    exif = f" upright, as its EXIF orientation ({header.orientation}) says" if header.turned else ""
    problem = (
        f"is {mask.width} x {mask.height} pixels{own}, its image {image} is {header.width} x {header.height}{exif}"
    )
    raise ToolkitError(path, problem, "make the two the same size")


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
    """Decode a defect mask, upright by its own EXIF orientation. What it means is not guessed.

    Readings:

    - "": grey values (RGB with equal channels, 1-bit and 16-bit are grey), 0 and one other value: 1, 255 or the largest
      of the file's depth. A palette counts by its colours, black and one other. Alpha is passed over.
    - "nonzero": whatever is not black. Alpha is passed over.
    - "values": where one of `values` stands: grey values or palette indices as they are stored, never scaled.
    - "colours": the same of 0xRRGGBB colours.
    - "alpha": what is not transparent.

    Args:
        path: the mask file.
        threshold: grey values (alpha, if that is read) of this or more are defect, in the file's own range; one beyond
            the range of a file of less than 8 bits is meant in 0 to 255.
        values: values that are defect; alone, they mean the reading "values".
        reading: what the values are.

    Raises:
        ToolkitError: as `read_header`; the reading does not fit the file, or more than one thing may be meant.
    """
    data = read_file(path)
    if not reading and threshold is None and values:
        reading = "values"
    found: Grey | None = None
    if reading in ("", "nonzero") or (reading == "values" and 0 not in values):
        if is_grey_png(data):
            found = read_grey_png(path, data)
        elif is_rgb_png(data):
            found = read_rgb_png(path, data)
    if found is not None:
        mask = _grey_mask(path, found, threshold, values, reading)
        orientation = orientation_of(data)
        return mask if orientation == UPRIGHT else replace(mask.turned(orientation), by_exif=True)
    marked = marked_by(path, read_stored(path, data), reading, values, threshold, lossy=is_lossy(data))
    mask = Mask.of(np.ascontiguousarray(marked).view(np.uint8), marked.shape[1], marked.shape[0])
    return mask if orientation_of(data) == UPRIGHT else replace(mask, by_exif=True)


def _grey_mask(path: Path, grey: Grey, threshold: int | None, values: Sequence[int], reading: MaskReading) -> Mask:
    """The common case: only what is marked becomes an array."""
    width, height, x, y, crop = grey
    if reading == "values":
        return Mask.of(np.isin(crop, values).view(np.uint8), width, height, (x, y))
    if reading == "" and threshold is not None:
        if threshold <= 0:  # then what is not in the crop counts too
            return Mask.of(np.ones((height, width), np.uint8), width, height)
        return Mask.of((crop >= threshold).view(np.uint8), width, height, (x, y))
    if reading == "":
        check_binary(path, crop, _LARGEST_BYTE)
    return Mask(width, height, x, y, crop)


def read_value_masks(path: Path, values: Sequence[Sequence[int]], reading: MaskReading) -> list[Mask]:
    """What `read_mask` gives of one file for each of several choices of values; the file is decoded once.

    Args:
        path: the mask file.
        values: for each mask the values that it marks.
        reading: "values" or "colours".

    Raises:
        ToolkitError: as `read_mask`.
    """
    data = read_file(path)
    orientation = orientation_of(data)
    if reading == "values" and is_grey_png(data) and not any(0 in chosen for chosen in values):
        width, height, x, y, crop = read_grey_png(path, data)
        found = [Mask.of(np.isin(crop, chosen).view(np.uint8), width, height, (x, y)) for chosen in values]
        found = [mask.turned(orientation) for mask in found]
    else:
        stored, lossy = read_stored(path, data), is_lossy(data)
        every = (marked_by(path, stored, reading, chosen, None, lossy=lossy) for chosen in values)
        found = [Mask.of(np.ascontiguousarray(one).view(np.uint8), one.shape[1], one.shape[0]) for one in every]
    return found if orientation == UPRIGHT else [replace(mask, by_exif=True) for mask in found]


def present_values(path: Path, reading: MaskReading, classes: Collection[int] = ()) -> tuple[int, ...]:
    """The values that stand in a file, rising, but for that of the background: 0, or a palette's black.

    Args:
        path: the file.
        reading: "values": grey values or palette indices as they are stored; "colours": 0xRRGGBB.
        classes: values that are no background, whatever they are: 0 is told where it stands and is one of them.

    Raises:
        ToolkitError: as `read_values`.
    """
    data = read_file(path)
    if reading != "colours" and is_grey_png(data):
        width, height, _, _, crop = read_grey_png(path, data)
        outside = (0,) if 0 in classes and crop.shape != (height, width) else ()  # of the crop all is 0
        told = {*outside, *distinct(crop).tolist()}
        return tuple(sorted(value for value in told if value or 0 in classes))
    stored = read_stored(path, data)
    found = stored.colours() if reading == "colours" else distinct(numbers_in(path, stored))
    background = background_of(stored) if reading != "colours" else 0
    present = tuple(value for value in found.tolist() if value != background or value in classes)
    _check_lossless(path, data, present)
    return present


def read_values(path: Path, reading: MaskReading) -> Integers:
    """The values of a file: whole numbers (H, W), upright by its own EXIF orientation.

    Args:
        path: the file.
        reading: as in `present_values`.

    Raises:
        ToolkitError: as `read_header`; it has colours, and grey values or indices were asked for; or its compression
            has changed its values.
    """
    data = read_file(path)
    return _values_of(path, data, read_stored(path, data), reading)


def _values_of(path: Path, data: bytes, stored: Stored, reading: MaskReading) -> Integers:
    found: Integers = stored.packed() if reading == "colours" else numbers_in(path, stored)
    if is_lossy(data):
        _check_lossless(path, data, [value for value in np.unique(found).tolist() if value])
    return found


def _check_lossless(path: Path, data: bytes, present: Sequence[int]) -> None:
    """Raise where values that were classes have become others, as in a JPEG: all but a single one."""
    if len(present) > 1 and is_lossy(data):
        raise ToolkitError(
            path, "its values were changed by lossy compression, and name no classes", "save it anew as PNG"
        )


def read_class_map(path: Path) -> Mask:
    """Decode a map of class ids as far as any of them is not 0: what `read_class_ids` gives, as a mask.

    Raises:
        ToolkitError: as `read_class_ids`.
    """
    data = read_file(path)
    if is_grey_png(data):
        return Mask(*read_grey_png(path, data)).turned(orientation_of(data))
    ids = read_class_ids(path)
    return Mask.of(ids, ids.shape[1], ids.shape[0])


def read_class_ids(path: Path) -> npt.NDArray[np.uint8]:
    """Decode a map of class ids, upright by its own EXIF orientation.

    Returns:
        uint8 (H, W); grey values or palette indices as they are stored, also where they have less than 8 bits.

    Raises:
        ToolkitError: as `read_values`; ids above 255.
    """
    ids = read_values(path, "values")
    if ids.size and (ids.max() > _LARGEST_BYTE or ids.min() < 0):
        problem = f"class ids of type {ids.dtype} (up to {ids.max()})"
        raise ToolkitError(path, problem, "save them as an 8-bit PNG of one channel")
    return np.asarray(ids, np.uint8)
