"""Defects of a few pixels: each kind has a shape of its own in a small square, bright on dark or dark on bright."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import numpy as np

from toolkit.aliases import BoolArray
from toolkit.synthetic.defects import Patch
from toolkit.synthetic.zipper import Floats

__all__ = ["SMALLEST", "small_defects"]

SMALLEST = 3
_MOST = 3  # defects in an image
_APART = 3  # pixels between two of them at least
_THROWS = 200
_BRIGHT, _DARK = 0.92, 0.05


def _grid(side: int) -> tuple[Floats, Floats]:
    """Distance of each pixel from the middle column and row, as a share of half a side: (side, 1) and (1, side)."""
    away = np.abs((np.arange(side, dtype=np.float32) + 0.5) / side - 0.5) * 2
    return away[:, None], away[None, :]


def _disk(side: int) -> BoolArray:
    down, across = _grid(side)
    return np.asarray(np.hypot(down, across) <= 1 + 0.3 / side, np.bool_)


def _ring(side: int) -> BoolArray:
    down, across = _grid(side)
    return np.asarray(np.maximum(down, across) > 1 - 2.1 / side, np.bool_)


def _cross(side: int) -> BoolArray:
    down, across = _grid(side)
    return np.asarray(np.abs(down - across) < 0.9 / side, np.bool_)


def _plus(side: int) -> BoolArray:
    down, across = _grid(side)
    return np.asarray(np.minimum(down, across) < 1.1 / side, np.bool_)


def _level(side: int) -> BoolArray:
    down, across = _grid(side)
    return np.asarray((down < 0.4) & (across <= 1), np.bool_)


def _upright(side: int) -> BoolArray:
    return _level(side).T.copy()


_SHAPES: MappingProxyType[str, Callable[[int], BoolArray]] = MappingProxyType(
    {
        "broken_teeth": _disk,
        "fabric_border": _level,
        "fabric_interior": _ring,
        "rough": _cross,
        "split_teeth": _upright,
        "squeezed_teeth": _plus,
    }
)
"""Shape of each single kind of defect; "combined" shows two of them."""


def small_defects(name: str, grey: Floats, rng: np.random.Generator, side: int) -> list[Patch]:
    """One to three defects of `side` pixels that do not touch; two of different kinds for "combined".

    Args:
        name: the kind.
        grey: the sound product, float32 (size, size), 0 black to 1 white.
        rng: says where they are.
        side: width or height of each in pixels, whichever is more.
    """
    kinds = [name] * int(rng.integers(1, _MOST + 1))
    if name not in _SHAPES:
        kinds = [str(kind) for kind in rng.choice(list(_SHAPES), 2, replace=False)]
    taken = np.zeros(grey.shape, np.bool_)
    patches: list[Patch] = []
    for kind in kinds:
        shape = _SHAPES[kind](side)
        for _ in range(_THROWS):
            y, x = (int(place) for place in rng.integers(0, grey.shape[0] - side + 1, 2))
            around = np.s_[max(0, y - _APART) : y + side + _APART, max(0, x - _APART) : x + side + _APART]
            if not taken[around].any():
                region = np.zeros(grey.shape, np.bool_)
                region[y : y + side, x : x + side] = shape
                taken |= region
                bright = float(grey[region].mean()) < (_BRIGHT + _DARK) / 2
                patches.append(Patch(region, np.full(grey.shape, _BRIGHT if bright else _DARK, np.float32)))
                break
    return patches
