"""Numbers as they stand in CVAT's XML files."""

from __future__ import annotations

import math
import re

import numpy as np
import numpy.typing as npt

__all__ = ["number", "points", "run_lengths", "whole"]

_WHOLE = re.compile(r"\s*[+-]?\d{1,15}\s*", re.ASCII)
_RUNS = re.compile(r"[\d\s,]*", re.ASCII)
_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?\s*", re.ASCII)
_FARTHEST = 1e6  # pixels that a coordinate may lie from the image's corner
_LONGEST = 40  # letters of a value in a message


def whole(text: str | None) -> int | None:
    """A whole number; None for what is none."""
    return int(text) if text is not None and _WHOLE.fullmatch(text) else None


def number(name: str, text: str) -> float:
    """A coordinate, a length or an angle.

    Raises:
        ValueError: it is none, or beyond all images.
    """
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if math.isnan(value):
        raise ValueError(f"has the {name} {text[:_LONGEST]!a}, no number")
    if abs(value) > _FARTHEST:
        raise ValueError(f"has the {name} {text[:_LONGEST]!a}, beyond all images")
    return value


def points(text: str) -> npt.NDArray[np.float64]:
    """Points "x,y;x,y" as (K, 2).

    Raises:
        ValueError: they are none.
    """
    found = []
    for pair in text.split(";") if text.strip() else ():
        x, comma, y = pair.partition(",")
        if not comma:
            raise ValueError(f"has the point {pair[:_LONGEST]!a}, which is not x,y")
        found.append((number("coordinate", x), number("coordinate", y)))
    return np.array(found, np.float64).reshape(-1, 2)


def run_lengths(text: str, pixels: int) -> npt.NDArray[np.int64]:
    """Run lengths that cover so many pixels, the first of them of what is not marked.

    Raises:
        ValueError: they are none, or cover more or less.
    """
    parts = text.split(",")
    if not _RUNS.fullmatch(text) or not all(part.strip().isdigit() and len(part) <= 16 for part in parts):
        raise ValueError("has run lengths (rle) that are no whole numbers")
    runs = list(map(int, parts))
    if sum(runs) != pixels:
        raise ValueError(f"has run lengths (rle) of {sum(runs)} pixels, and its box has {pixels}")
    return np.array(runs, np.int64)
