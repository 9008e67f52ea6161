"""Label Studio's brush run lengths: a mask as an RGBA buffer of bytes, packed by thi.ng's rle-pack.

A stream of bits: the count of values (32), the width of one less 1 (5), four widths of lengths less 1 (4 each); then
packets: whether one value is repeated (1), which width of length (2), the length less 1, and one value or as many as
the length. Sources: `rle-pack` of thi.ng/umbrella, and `converter/brush.py` of label-studio-sdk 2.1. The mask is what
is opaque (alpha above 0).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from converters.rasterize import Crop, paint_rle_crop, uncompressed_rle
from toolkit.aliases import BoolArray

__all__ = ["decode_brush", "encode_brush", "encode_runs"]

_CHANNELS = 4
_WORD = 8  # bits of a value
_LENGTHS = (3, 4, 8, 16)  # bits of lengths, as Label Studio writes them
_HEADER = 32 + 5 + 4 * len(_LENGTHS)
_CUT = "run lengths that are cut short"


class _Bits:
    """Bits of some bytes, the highest of each first."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> int:
        """The next `count` bits as a number.

        Raises:
            ValueError: there are fewer.
        """
        end = self.at + count
        if end > 8 * len(self.data):
            raise ValueError(_CUT)
        last = (end + 7) >> 3
        number = int.from_bytes(self.data[self.at >> 3 : last], "big") >> (8 * last - end)
        self.at = end
        return number & ((1 << count) - 1)


def decode_brush(rle: bytes, width: int, height: int) -> Crop:
    """The pixels that are opaque, of an image of `width` and `height`.

    Raises:
        ValueError: they are run lengths of something else, or damaged. Memory is asked for when that is known.
    """
    bits = _Bits(rle)
    if 8 * len(rle) < _HEADER:
        raise ValueError(_CUT)
    values = bits.take(32)
    if values != _CHANNELS * width * height:
        raise ValueError(f"run lengths of {values} values, and the image has {width} x {height} x {_CHANNELS}")
    word = bits.take(5) + 1
    if word != _WORD:
        raise ValueError(f"run lengths of values of {word} bits, and not {_WORD}")
    lengths = [bits.take(4) + 1 for _ in _LENGTHS]
    return _across(_opaque(bits, values, lengths), width, height)


def _opaque(bits: _Bits, values: int, lengths: Sequence[int]) -> list[tuple[int, int]]:
    """The first pixel of each run of opaque ones, row by row, and that behind its last."""
    runs: list[tuple[int, int]] = []
    here = 0
    while here < values:
        repeated = bits.take(1)
        end = here + 1 + bits.take(lengths[bits.take(2)])
        if end > values:
            raise ValueError("run lengths that hold more values than they say")
        if repeated:
            if bits.take(_WORD) and end // _CHANNELS > here // _CHANNELS:
                runs.append((here // _CHANNELS, end // _CHANNELS))
        else:
            alone = bits.take(_WORD * (end - here)).to_bytes(end - here, "big")
            first = -(here + 1) % _CHANNELS  # the next alpha
            marks = range(first, end - here, _CHANNELS)
            runs += [((here + one) // _CHANNELS, (here + one) // _CHANNELS + 1) for one in marks if alone[one]]
        here = end
    return runs


def _across(runs: Sequence[tuple[int, int]], width: int, height: int) -> Crop:
    """Runs along rows as pixels: `rasterize` goes along columns, and so through the image turned over its diagonal."""
    counts, here = [], 0
    for first, end in runs:
        counts += [first - here, end - first]
        here = end
    counts.append(width * height - here)
    turned, (y, x) = paint_rle_crop({"counts": counts, "size": [width, height]}, width, height)
    return np.ascontiguousarray(turned.T), (x, y)


def encode_brush(mask: BoolArray, offset: tuple[int, int], width: int, height: int) -> bytes:
    """A mask as Label Studio's `mask2rle` packs it: 255 where it is marked, in all four channels.

    Args:
        mask: bool (h, w) crop.
        offset: x, y of its first pixel in the image.
        width, height: size of the image in pixels.
    """
    runs = np.array(uncompressed_rle(mask.T, (offset[1], offset[0]), width, height), np.int64)
    values = np.where(np.arange(len(runs)) % 2, 255, 0)
    return encode_runs(runs[runs > 0] * _CHANNELS, values[runs > 0])


def encode_runs(runs: npt.NDArray[np.int64], values: npt.NDArray[np.int64]) -> bytes:
    """Runs of repeated values, two or more each, as bytes.

    Args:
        runs: (N,) lengths.
        values: (N,) what is repeated, 0 to 255.
    """
    most = 1 << _LENGTHS[-1]
    pieces = -(-runs // most)
    lengths = np.full(int(pieces.sum()), most, np.int64)
    ends = np.cumsum(pieces) - 1
    lengths[ends] = runs - (pieces - 1) * most
    which = np.searchsorted([1 << bits for bits in _LENGTHS], lengths)
    widths = np.array(_LENGTHS)[which]
    packets = ((1 << 2 | which) << widths | (lengths - 1)) << _WORD | np.repeat(values, pieces)
    header = int(runs.sum()) << 5 | (_WORD - 1)
    for bits in _LENGTHS:
        header = header << 4 | (bits - 1)
    begin = _unpacked(np.array([header]), np.array([_HEADER]))
    stream = np.concatenate([begin, _unpacked(packets, 1 + 2 + widths + _WORD)])
    spare = 8 - len(stream) % 8  # a whole byte where none is needed, as Label Studio's
    return np.packbits(np.concatenate([stream, np.zeros(spare, np.uint8)])).tobytes()


def _unpacked(numbers: npt.NDArray[np.int64], widths: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Numbers as bits, `widths` of each, the highest first."""
    if not len(numbers):
        return np.zeros(0, np.uint8)
    ends = np.cumsum(widths)
    places = np.repeat(ends, widths) - 1 - np.arange(int(ends[-1]))
    return (np.repeat(numbers, widths) >> places & 1).astype(np.uint8)
