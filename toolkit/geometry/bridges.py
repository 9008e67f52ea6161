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
    """The rings that are not joined yet, and of each the nearest vertex of what is."""

    def __init__(self, rings: Sequence[IntArray]) -> None:
        self._rings = [np.asarray(ring, np.int64) for ring in rings]
        self._low = np.array([ring.min(axis=0) for ring in self._rings])
        self._high = np.array([ring.max(axis=0) for ring in self._rings])
        self._distances = np.full(len(rings), _FAR)  # squared
        self._joined = np.zeros(len(rings), np.bool_)
        self._nodes = np.full(len(rings), -1)

    def nearest(self, chain: _Chain) -> tuple[int, int, int]:
        """Number of the ring that is nearest, the vertex of what is joined, and the ring's own."""
        number = int(np.where(self._joined, _FAR, self._distances).argmin())
        node = int(self._nodes[number])
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
        self._joined[number] = True
        apart = np.maximum(0, np.maximum(self._low - self._high[number], self._low[number] - self._high))
        near = np.flatnonzero(((apart**2).sum(axis=1) <= self._distances) & ~self._joined)
        if not len(near):
            return
        ring = self._rings[number] if turned is None else self._rings[number][turned]
        lengths = np.array([len(self._rings[one]) for one in near])
        points = np.concatenate([self._rings[one] for one in near])
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
        self._distances[near[nearer]], self._nodes[near[nearer]] = best[nearer], nodes[first[nearer]]


def _squared(points: IntArray, others: IntArray) -> IntArray:
    """Squared distances, (N, M)."""
    x, y = (points[:, None, axis] - others[None, :, axis] for axis in (0, 1))
    return np.asarray(x * x + y * y)
