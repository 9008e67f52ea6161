"""The numbers in a mask file as they stand there: grey values and palette indices unscaled, colours, alpha."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from toolkit.errors import ToolkitError
from toolkit.imaging.images import decode
from toolkit.imaging.jpeg import JPEG_SIGNATURE
from toolkit.imaging.opening import check_whole, open_with_pillow
from toolkit.imaging.orientation import orientation_of, turn, webp_chunks
from toolkit.imaging.png import PNG_SIGNATURE, REPLACE
from toolkit.imaging.tiff import is_jpeg_tiff

__all__ = ["Integers", "Stored", "is_lossy", "read_stored"]

Integers = npt.NDArray[np.integer]

_GREY, _PALETTE = 0, 3  # colour types in a PNG header
_TIFF_BITS = 258
_BMP_BITS = 28  # place of the number of bits in a header
_BYTE = 8  # bits
_OPAQUE = 255
_ALPHA = 3  # channel


@dataclass(frozen=True, eq=False)
class Stored:
    """What stands in a mask file, upright by the file's own EXIF orientation.

    Attributes:
        pixels: whole numbers (H, W), grey values or palette indices; or RGB colours (H, W, 3).
        full: the largest value that the file's depth allows.
        palette: uint8 (N, 3), the RGB colours of indices; None where `pixels` are no indices.
        alpha: whole numbers (H, W), 0 transparent; None without alpha.
    """

    pixels: Integers
    full: int
    palette: npt.NDArray[np.uint8] | None = None
    alpha: Integers | None = None

    @property
    def is_grey(self) -> bool:
        """Whether the colours, where there are any, are all greys."""
        if self.palette is not None:
            colours = self.palette[self.used()]
            return bool((colours == colours[:, :1]).all())
        if self.pixels.ndim == 2:
            return True
        return all(np.array_equal(self.pixels[:, :, 0], self.pixels[:, :, channel]) for channel in (1, 2))

    @property
    def is_flat(self) -> bool:
        """Whether the whole image has one colour."""
        if self.palette is not None:
            return len(self.colours()) == 1
        return bool((self.pixels == self.pixels[:1, :1]).all())

    def used(self) -> npt.NDArray[np.intp]:
        """Indices that occur, of a palette file."""
        return np.flatnonzero(np.bincount(self.pixels.ravel(), minlength=1))

    def grey(self) -> Integers:
        """The one channel of a file that `is_grey`: grey values in the range of the file, (H, W)."""
        if self.palette is not None:
            return self.palette[:, 0][self.pixels]
        return self.pixels if self.pixels.ndim == 2 else np.ascontiguousarray(self.pixels[:, :, 0])

    def packed(self) -> npt.NDArray[np.uint32]:
        """Colours as 0xRRGGBB, uint32 (H, W); of more than 8 bits, the highest 8."""
        if self.palette is not None:
            return _packed(self.palette)[self.pixels]
        if self.full < _OPAQUE:
            colours = self.pixels * (_OPAQUE // self.full)
        else:
            colours = self.pixels >> (int(self.full).bit_length() - _BYTE)
        return _packed(colours if colours.ndim == 3 else np.broadcast_to(colours[:, :, None], (*colours.shape, 3)))

    def colours(self) -> npt.NDArray[np.uint32]:
        """The colours that occur, as 0xRRGGBB, rising."""
        if self.palette is not None:
            return np.unique(_packed(self.palette[self.used()]))
        packed = self.packed()
        marked = np.unique(packed[packed > 0])
        return marked if packed.all() else np.concatenate([np.zeros(1, np.uint32), marked])


def _packed(colours: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
    red, green, blue = (colours[..., channel].astype(np.uint32) for channel in range(3))
    return np.asarray(red << 16 | green << 8 | blue, np.uint32)


def read_stored(path: Path, data: bytes) -> Stored:
    """What stands in a mask file.

    Raises:
        ToolkitError: as `read_header`; or the values are no whole numbers.
    """
    check_whole(path, data)
    if data[:8] == PNG_SIGNATURE:
        bits, colour = data[24], data[25]
        if colour == _PALETTE:
            return _by_pillow(path, data, turned=True)
        full = (1 << bits) - 1
        found = _by_opencv(path, data)
        if colour == _GREY and bits < _BYTE:  # decoders scale these values to 0..255
            return Stored(found.pixels // (_OPAQUE // full), full)
        return found
    if data[:2] in (b"II", b"MM", b"BM"):
        with open_with_pillow(path, data) as image:
            bits = max(image.tag_v2.get(_TIFF_BITS, (1,))) if image.format == "TIFF" else _BYTE  # type: ignore[attr-defined]
            # Pillow takes the bytes of a BMP whose palette is black and white for single bits.
            mistaken = image.mode == "1" and data[:2] == b"BM" and data[_BMP_BITS] == _BYTE
            if not mistaken and (image.mode in ("1", "P") or bits < _BYTE):
                return _by_pillow(path, data, bits=bits, turned=False)
    return _by_opencv(path, data)


def _by_opencv(path: Path, data: bytes) -> Stored:
    pixels: Any = decode(path, data, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        with open_with_pillow(path, data) as image:
            pixels = np.asarray(image.convert("RGBA") if image.mode == "LA" else image)
            if pixels.ndim == 3:
                pixels = pixels[:, :, [2, 1, 0, *range(3, pixels.shape[2])]]
        pixels = turn(pixels, orientation_of(data))
    if not np.issubdtype(pixels.dtype, np.integer):
        raise ToolkitError(path, f"a mask of type {pixels.dtype}", "save it as an 8-bit PNG of 0 and 255")
    full = int(np.iinfo(pixels.dtype).max)
    if pixels.ndim == 2:
        return Stored(pixels, full)
    if pixels.shape[2] not in (3, 4):
        raise ToolkitError(path, f"a mask of {pixels.shape[2]} channels", "save it as an 8-bit PNG of 0 and 255")
    alpha = np.ascontiguousarray(pixels[:, :, _ALPHA]) if pixels.shape[2] > _ALPHA else None
    return Stored(pixels[:, :, 2::-1], full, alpha=alpha)


def _by_pillow(path: Path, data: bytes, *, bits: int = _BYTE, turned: bool) -> Stored:
    """A palette file, or one of few bits. Pillow turns TIFFs by itself."""
    with open_with_pillow(path, data) as image:
        pixels = np.asarray(image, np.uint8)
        table = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3) if image.mode == "P" else None
        one_bit, transparency = image.mode == "1", image.info.get("transparency")
    if turned:
        pixels = turn(pixels, orientation_of(data))
    if table is None:
        full = 1 if one_bit else (1 << bits) - 1
        return Stored(pixels if one_bit else pixels // (_OPAQUE // full), full)
    if pixels.max(initial=0) >= len(table):
        raise ToolkitError(path, "not a readable image (it holds indices that its palette lacks)", REPLACE)
    return Stored(pixels, _OPAQUE, table, _palette_alpha(pixels, transparency))


def _palette_alpha(pixels: npt.NDArray[np.uint8], transparency: object) -> Integers | None:
    """Alpha of a palette file, in which some indices are transparent."""
    alphas = np.full(256, _OPAQUE, np.uint8)
    if isinstance(transparency, bytes):
        alphas[: len(transparency)] = np.frombuffer(transparency, np.uint8)
    elif isinstance(transparency, int):
        alphas[transparency] = 0
    else:
        return None
    return alphas[pixels]


def is_lossy(data: bytes) -> bool:
    """Whether a file holds values that are only near to what was saved: a JPEG, or a WebP or TIFF of that kind."""
    return data[:2] == JPEG_SIGNATURE or is_jpeg_tiff(data) or any(kind == b"VP8 " for kind, _ in webp_chunks(data))
