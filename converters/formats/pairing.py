"""Which of the things that were found is which of those that were wanted: in time that grows with their number."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

__all__ = ["pair_up"]

_SLACK = 0.01
"""Pixels by which a point may lie outside a rectangle and still be met."""


def pair_up(
    bounds: npt.NDArray[np.float64], points: npt.NDArray[np.float64], fits: Callable[[int, int], bool]
) -> tuple[list[int], list[int]]:
    """Pair rectangles with what they are of, one to one.

    Labels keep their order, so that the first is most often of the first; of the rest, only what lies at the same place
    is looked at.

    Args:
        bounds: float64 (N, 4), the upright rectangle x0, y0, x1, y1 that each found thing lies in.
        points: float64 (N, 2), x, y of each wanted thing: in the bounds of everything that may fit it.
        fits: whether the found thing of one number is the wanted thing of another.

    Returns:
        numbers of the found and of the wanted things that are left over, rising; as many of the one as of the other.
    """
    open_ = [place for place in range(len(points)) if not fits(place, place)]
    if not open_:
        return [], []
    spare, missed = _Places(bounds, open_), []
    for place in open_:
        found = next((one for one in spare.at(*points[place].tolist()) if fits(one, place)), None)
        if found is None:
            missed.append(place)
        else:
            spare.take(found)
    return [one for one in open_ if one not in spare.taken], missed


class _Places:
    """Rectangles by where they lie.

    Each stands in the cells that it touches, at most four, of a grid whose cells are as large as itself.
    """

    def __init__(self, bounds: npt.NDArray[np.float64], numbers: list[int]) -> None:
        self.taken: set[int] = set()
        self._levels: dict[int, defaultdict[tuple[int, int], list[int]]] = {}
        for number in reversed(numbers):  # the lists are read from their ends
            x0, y0, x1, y1 = bounds[number].tolist()
            left, right, top, bottom = min(x0, x1) - _SLACK, max(x0, x1) + _SLACK, min(y0, y1) - _SLACK, max(y0, y1)
            level = math.ceil(math.log2(max(right - left, bottom + _SLACK - top)))
            cells = self._levels.setdefault(level, defaultdict(list))
            columns, rows = _cells(left, right, level), _cells(top, bottom + _SLACK, level)
            for cell in ((column, row) for column in columns for row in rows):
                cells[cell].append(number)

    def at(self, x: float, y: float) -> Iterator[int]:
        """Those not taken that may hold a point."""
        for level, cells in self._levels.items():
            found = cells.get((_cell(x, level), _cell(y, level)), [])
            while found and found[-1] in self.taken:
                found.pop()
            yield from (number for number in reversed(found) if number not in self.taken)

    def take(self, number: int) -> None:
        """Leave one out from now on."""
        self.taken.add(number)


def _cells(low: float, high: float, level: int) -> range:
    return range(_cell(low, level), _cell(high, level) + 1)


def _cell(value: float, level: int) -> int:
    return math.floor(math.ldexp(value, -level))
