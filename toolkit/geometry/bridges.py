"""Several rings as one: each is hung on by a double line between nearest vertices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["join_rings"]

IntArray = npt.NDArray[np.int64]

_FAR = 1 << 62
_CELLS = 1 << 20  # distances that are looked at together
_GAP = 1 << 40


def join_rings(rings: Sequence[IntArray]) -> IntArray:
    """One ring out of several, each (K, 2) x, y.

    Beginning with the first, the ring that is nearest to what is joined is hung on, the first of several, between the
    vertices that come first. A ring is compared with those alone whose bounds tell that it may be nearer to them than
    all before: time grows little faster than the number of rings.
    """
    chain, waiting = _Chain(rings[0]), _Waiting(rings)
    waiting.compare(0, np.arange(len(rings[0])), chain, -1)
    for _ in rings[1:]:
        number, here, there = waiting.nearest(chain)
        turned = np.roll(np.arange(len(rings[number])), -there)
        nodes = chain.insert(here, rings[number][turned])
        waiting.compare(number, nodes, chain, here, turned)
    return chain.whole()


class _Chain:
    """Vertices in an order that grows: a linked list, and numbers that tell which of two comes first."""

    def __init__(self, ring: IntArray) -> None:
        self.points = list(ring)
        self._next = [*range(1, len(ring)), -1]
        self.labels = [_GAP * place for place in range(len(ring))]

    def insert(self, here: int, ring: IntArray) -> IntArray:
        """Put a ring behind a vertex, and lines there and back; the numbers of the ring's vertices."""
        start, count = len(self._next), len(ring) + 2
        self.points += [*ring, ring[0], self.points[here]]
        after = self._next[here]
        self._next[here] = start
        self._next += [*range(start + 1, start + count), after]
        low = self.labels[here]
        step = _GAP if after < 0 else (self.labels[after] - low) // (count + 1)
        self.labels += [low + step * place for place in range(1, count + 1)]
        if step == 0:
            for place, node in enumerate(self._walk()):
                self.labels[node] = _GAP * place
        return np.arange(start, start + len(ring))

    def _walk(self) -> Iterator[int]:
        node = 0
        while node >= 0:
            yield node
            node = self._next[node]

    def whole(self) -> IntArray:
        """All vertices in order."""
        return np.array([self.points[node] for node in self._walk()])


class _Waiting:
    """The rings that are not joined yet, and of each the nearest vertex of what is.

    All arrays have a place for each ring that waits, and are packed when half of them do no more.
    """

    def __init__(self, rings: Sequence[IntArray]) -> None:
        self._rings = [np.asarray(ring, np.int64) for ring in rings]
        low = np.array([ring.min(axis=0) for ring in self._rings])
        high = np.array([ring.max(axis=0) for ring in self._rings])
        self._bounds = np.concatenate([low, high], axis=1).T.copy()  # (4, N), of which each row is looked at as a whole
        self._numbers = np.arange(len(rings))
        self._distances = np.full(len(rings), _FAR)  # squared; less than nothing where a ring is joined
        self._keys = np.full(len(rings), _FAR)  # the same, but far where a ring is joined
        self._nodes = np.full(len(rings), -1)
        self._left = len(rings)

    def nearest(self, chain: _Chain) -> tuple[int, int, int]:
        """Number of the ring that is nearest, the vertex of what is joined, and the ring's own."""
        place = int(self._keys.argmin())
        number, node = int(self._numbers[place]), int(self._nodes[place])
        return number, node, int(_squared(chain.points[node][None], self._rings[number]).argmin())

    def compare(self, number: int, nodes: IntArray, chain: _Chain, here: int, turned: IntArray | None = None) -> None:
        """Note where a ring that was joined is nearer than all before.

        Args:
            number: which ring.
            nodes: its vertices in the chain.
            chain: what is joined.
            here: the vertex behind which it was put; -1 for the first ring.
            turned: the order of its vertices.
        """
        near = self._maybe_nearer(self._taken(number))
        if not len(near):
            return
        ring = self._rings[number] if turned is None else self._rings[number][turned]
        waiting = [self._rings[one] for one in self._numbers[near].tolist()]
        lengths = np.array([len(one) for one in waiting])
        points = np.concatenate(waiting)
        starts = np.cumsum(lengths) - lengths
        rows = max(1, _CELLS // len(points))
        best, first = np.full(len(near), _FAR), np.zeros(len(near), np.int64)
        for start in range(0, len(ring), rows):
            least = np.minimum.reduceat(_squared(ring[start : start + rows], points), starts, axis=1)
            row = least.argmin(axis=0)
            found = least[row, np.arange(len(near))]
            first, best = np.where(found < best, start + row, first), np.minimum(found, best)
        before = self._distances[near]
        # A vertex that is as near stays, unless the ring was put before it.
        for place in np.flatnonzero(best == before).tolist():
            if chain.labels[here] < chain.labels[int(self._nodes[near[place]])]:
                before[place] += 1
        nearer = best < before
        places = near[nearer]
        self._distances[places], self._nodes[places] = best[nearer], nodes[first[nearer]]
        self._keys[places] = best[nearer]

    def _taken(self, number: int) -> IntArray:
        """The bounds of a ring, which waits no more."""
        place = int(np.searchsorted(self._numbers, number))
        bounds = self._bounds[:, place].copy()
        self._distances[place], self._keys[place] = -1, _FAR
        self._left -= 1
        if 2 * self._left < len(self._numbers):
            kept = self._distances >= 0
            self._numbers, self._distances, self._keys = self._numbers[kept], self._distances[kept], self._keys[kept]
            self._nodes, self._bounds = self._nodes[kept], self._bounds[:, kept]
        return bounds

    def _maybe_nearer(self, bounds: IntArray) -> IntArray:
        """Places of the rings whose bounds are not farther from these than what is joined is."""
        x0, y0, x1, y1 = bounds.tolist()
        lows_x, lows_y, highs_x, highs_y = self._bounds
        squares = _beyond(lows_x - x1, x0 - highs_x)
        squares += _beyond(lows_y - y1, y0 - highs_y)
        return np.flatnonzero(squares <= self._distances)


def _beyond(after: IntArray, before: IntArray) -> IntArray:
    """Squares of how far spans lie to either side of another one, 0 where they meet it."""
    np.maximum(after, before, out=after)
    np.maximum(after, 0, out=after)
    after *= after
    return after


def _squared(points: IntArray, others: IntArray) -> IntArray:
    """Squared distances, (N, M)."""
    x, y = (points[:, None, axis] - others[None, :, axis] for axis in (0, 1))
    return np.asarray(x * x + y * y)
