"""Mask -> corners, and the rings through them.

A mask pixel (x, y) is the square [x, x+1) x [y, y+1). Corners of the mask's outline are the lattice points where it
turns. They pair up twice: sorted by row, neighbours are the two ends of a horizontal stretch of outline; sorted by
column, of a vertical one. Following the two pairings in turn walks a ring, so a whole mask is traced with a few sorts
and one short loop over its stretches. Where two mask pixels touch only diagonally, four stretches meet in one lattice
point; which two belong together decides whether the rings part the pixels (4-connected) or join them (8-connected).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from toolkit.aliases import BoolArray

__all__ = ["BR", "FALLING", "RISING", "SMALL", "IntArray", "Outline", "Ring", "trace"]

IntArray = npt.NDArray[np.int64]

# A lattice point's code says which of the four pixels around it are in the mask.
_TL, _TR, _BL, BR = 1, 2, 4, 8
FALLING, RISING = _TL | BR, _TR | _BL
"""Codes of the points where two mask pixels touch diagonally."""


@dataclass(frozen=True, eq=False, slots=True)
class Ring:
    """A closed walk over the corners of an `Outline`.

    Attributes:
        nodes: int64 (K,), corner numbers, clockwise on the screen from the left end of the ring's topmost stretch;
            nodes[2k] and nodes[2k + 1] are the two ends of one horizontal stretch.
        hole: whether the ring bounds a hole of a part, or else its outside.
    """

    nodes: IntArray
    hole: bool


@dataclass(frozen=True, eq=False)
class Outline:
    """The corners of a mask and the rings through them.

    Attributes:
        mask: bool (H, W).
        x, y: int64 (N,), lattice coordinates of the corners, in [0, W] and [0, H], row by row. A diagonal contact
            stands twice: as the end of the stretch on its left, then as the start of the one on its right.
        code: int64 (N,), which of the four pixels around the corner are in the mask.
        copy: int64 (N,), 1 for the second standing of a diagonal contact, else 0.
        rings4, rings8: rings of the 4-connected and of the 8-connected parts, by their topmost stretch. They are the
            same object where nothing touches diagonally.
    """

    mask: BoolArray
    x: IntArray
    y: IntArray
    code: IntArray
    copy: IntArray
    rings4: tuple[Ring, ...]
    rings8: tuple[Ring, ...]

    @property
    def diagonal(self) -> bool:
        """Whether two pixels of the mask touch only diagonally, anywhere."""
        return self.rings4 is not self.rings8


SMALL = 64
"""Pixels of a mask up to which its outline is shared: thousands of parts are mostly smaller, and many alike."""


def trace(mask: BoolArray) -> Outline:
    """Find the corners of a mask and both ways of joining them into rings. Small masks that are alike share theirs.

    Args:
        mask: bool (H, W); pixels outside it count as background.
    """
    return _trace_small(mask.shape, mask.tobytes()) if mask.size <= SMALL else _trace(mask)


@lru_cache(maxsize=4096)
def _trace_small(shape: tuple[int, ...], pixels: bytes) -> Outline:
    return _trace(np.frombuffer(pixels, np.bool_).reshape(shape))


def _trace(mask: BoolArray) -> Outline:
    height, width = mask.shape
    sites, pixels = _corner_sites(mask)
    y = sites // (width + 1)
    first = sites + y  # the pixel up and left of each, in the padded mask, which is a pixel wider
    code = np.asarray(pixels[first] | pixels[first + 1] << 1, np.int64)
    code |= pixels[first + width + 2] << 2 | pixels[first + width + 3] << 3
    twice = (code == FALLING) | (code == RISING)
    diagonal = bool(twice.any())
    copy = np.zeros(len(sites) + int(np.count_nonzero(twice)), np.int64)
    if diagonal:
        again = np.repeat(np.arange(len(sites)), 1 + twice)
        copy[1:] = again[1:] == again[:-1]
        sites, y, code = sites[again], y[again], code[again]
    x = sites - y * (width + 1)
    # Down a column, the copy of a diagonal contact that ends the upper stretch has to come first.
    column_rank = (x * (height + 1) + y) * 2
    rings4 = _join(column_rank + (copy ^ (code == RISING)) if diagonal else column_rank, code)
    rings8 = _join(column_rank + (copy ^ (code == FALLING)), code) if diagonal else rings4
    return Outline(mask, x, y, code, copy, rings4, rings8)


def _corner_sites(mask: BoolArray) -> tuple[IntArray, npt.NDArray[np.uint8]]:
    """Lattice points where the outline turns, numbered row by row, and the mask's pixels in a frame of zeros, flat.

    An odd number of the four edges that may meet there is outline, or all four.
    """
    height, width = mask.shape
    padded = np.zeros((height + 2, width + 2), np.bool_)
    padded[1:-1, 1:-1] = mask
    across = padded[:, 1:] ^ padded[:, :-1]
    above, below = across[:-1], across[1:]
    corners = padded[1:, :-1] ^ padded[:-1, :-1]
    corners &= above
    corners &= below
    corners |= above ^ below
    return np.flatnonzero(corners), padded.view(np.uint8).ravel()


def _join(column_rank: IntArray, code: IntArray) -> tuple[Ring, ...]:
    """Walk all rings. Corners 2k and 2k + 1 end a horizontal stretch; `column_rank` pairs the ends of vertical ones."""
    order = np.argsort(column_rank)
    vertical = np.empty(len(order), np.int64)
    vertical[order[0::2]] = order[1::2]
    vertical[order[1::2]] = order[0::2]
    # With the mask on the right hand, a stretch with mask below it is walked from its left end.
    outer = code[0::2] & BR > 0
    leaving = np.arange(0, len(order), 2) + outer
    walked, ends = _cycles((vertical[leaving] >> 1).tolist())
    nodes = np.empty(len(order), np.int64)
    nodes[1::2] = leaving[walked]
    nodes[0::2] = nodes[1::2] ^ 1
    # The first stretch that is met is the ring's topmost: mask under it is a part, mask over it only a hole.
    holes = (~outer[[walked[start] for start in [0, *ends[:-1]]]]).tolist() if ends else []
    rings = []
    start = 0
    for end, hole in zip(ends, holes, strict=True):
        own = nodes[2 * start : 2 * end]
        rings.append(Ring(np.concatenate([own[1::-1], own[:1:-1]]) if hole else own, hole))
        start = end
    return tuple(rings)


def _cycles(following: list[int]) -> tuple[list[int], list[int]]:
    """The cycles of a permutation one after the other, each from its smallest number on, and where each ends."""
    seen = bytearray(len(following))
    walked: list[int] = []
    ends = []
    start = seen.find(0)
    while start >= 0:
        place = start
        while not seen[place]:
            seen[place] = 1
            walked.append(place)
            place = following[place]
        ends.append(len(walked))
        start = seen.find(0, start)
    return walked, ends
