"""The parts of a mask that do not touch: traced together, so that many of them cost little more than one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import cv2
import numpy as np

from toolkit.aliases import BoolArray
from toolkit.geometry.contours import Walks, centre_rings, edge_rings, outer_rings, walk_rings
from toolkit.geometry.tracing import IntArray, Outline, trace

__all__ = ["Part", "Parts"]

_OWN = 2  # a value that stands nowhere in a mask


class Parts:
    """The 8-connected parts of a mask, by the first pixel of each, row by row.

    Args:
        mask: bool (H, W).
    """

    def __init__(self, mask: BoolArray) -> None:
        self.outline: Outline = trace(mask)
        self._outer = [(number, ring) for number, ring in enumerate(self.outline.rings8) if not ring.hole]

    def __len__(self) -> int:
        return len(self._outer)

    @cached_property
    def boxes(self) -> list[tuple[int, int, int, int]]:
        """The tight half-open box (x0, y0, x1, y1) of each."""
        nodes = np.concatenate([ring.nodes for _, ring in self._outer])
        starts = [0, *accumulate(len(ring.nodes) for _, ring in self._outer[:-1])]
        x, y = self.outline.x[nodes], self.outline.y[nodes]
        sides = (np.minimum.reduceat(x, starts), np.minimum.reduceat(y, starts))
        far = (np.maximum.reduceat(x, starts), np.maximum.reduceat(y, starts))
        return list(zip(*(side.tolist() for side in (*sides, *far)), strict=True))

    def mask(self, number: int) -> BoolArray:
        """The pixels of a part in its box: bool (y1 - y0, x1 - x0)."""
        x0, y0, x1, y1 = self.boxes[number]
        window = self.outline.mask[y0:y1, x0:x1].astype(np.uint8)
        # The first stretch of its ring lies over the part's first pixel.
        first = int(self.outline.x[self._outer[number][1].nodes[0]]) - x0
        cv2.floodFill(window, None, (first, 0), (_OWN,), flags=8)
        return np.asarray(window == _OWN, np.bool_)

    @cached_property
    def edge_rings(self) -> list[list[IntArray]]:
        """The edge rings of each, in the coordinates of the mask, as `contours.edge_rings` gives them."""
        outline = self.outline
        rings = edge_rings(outline, self._walks8 if not outline.diagonal else None)
        if not outline.diagonal:
            return [[ring] for ring in rings]
        own = np.empty(len(outline.x), np.int64)
        part = {number: place for place, (number, _) in enumerate(self._outer)}
        for number, ring in zip(outer_rings(outline, outline.rings8), outline.rings8, strict=True):
            own[ring.nodes] = part[number]
        found: list[list[IntArray]] = [[] for _ in self._outer]
        first = (ring.nodes[0] for ring in outline.rings4 if not ring.hole)
        for points, part_number in zip(rings, own[list(first)].tolist(), strict=True):
            found[part_number].append(points)
        return found

    @cached_property
    def centre_rings(self) -> list[IntArray]:
        """The centre ring of each, in the coordinates of the mask, as `contours.centre_rings` gives them."""
        return centre_rings(self.outline, self._walks8)

    @cached_property
    def _walks8(self) -> Walks:
        return walk_rings(self.outline, self.outline.rings8)


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """One of the parts of a mask, and its rings in the coordinates of its own box."""

    parts: Parts
    number: int

    @property
    def edge_rings(self) -> list[IntArray]:
        """As `contours.edge_rings` of its mask gives them."""
        return [ring - self.parts.boxes[self.number][:2] for ring in self.parts.edge_rings[self.number]]

    @property
    def centre_rings(self) -> list[IntArray]:
        """As `contours.centre_rings` of its mask gives them."""
        return [self.parts.centre_rings[self.number] - self.parts.boxes[self.number][:2]]
