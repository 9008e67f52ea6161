"""Path data against another reading of it: every vertical edge of an even-odd path turns over what lies right of it."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from toolkit.gallery.vectors import box_path, corners_path, mask_path, shrink

Bools = npt.NDArray[np.bool_]


def painted(path: str, height: int, width: int) -> Bools:
    """Pixels that a path of M, h, v and z covers by the even-odd rule."""
    raster = np.zeros((height, width), np.bool_)
    x = y = x0 = y0 = 0
    for letter, numbers in re.findall(r"([Mhvz])([-\d ]*)", path):
        values = [int(number) for number in numbers.split()]
        before = y
        if letter == "M":
            x, y = x0, y0 = values
            continue
        if letter == "h":
            x += values[0]
            continue
        y = y + values[0] if letter == "v" else y0
        raster[min(before, y) : max(before, y), x:] ^= True
        if letter == "z":
            assert x == x0
    return raster


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12)), st.integers(0, 5), st.integers(0, 5))
def test_covers_exactly_the_mask(mask: Bools, x: int, y: int) -> None:
    canvas = np.zeros((20, 20), np.bool_)
    canvas[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
    assert np.array_equal(painted(mask_path(mask, (x, y)), 20, 20), canvas)


def test_keeps_holes() -> None:
    mask = np.ones((5, 5), np.bool_)
    mask[2, 2] = False
    assert mask_path(mask).count("M") == 2
    assert not painted(mask_path(mask), 5, 5)[2, 2]


def test_empty_mask_has_no_path() -> None:
    assert mask_path(np.zeros((3, 3), np.bool_)) == ""


@pytest.mark.parametrize(
    ("box", "scale", "path"),
    [
        ((1, 2, 4, 6), 1.0, "M1 2h3v4h-3z"),
        ((1, 2, 4, 6), 0.5, "M0.5 1h1.5v2h-1.5z"),
        ((0, -0.0001, 100, 10.12345), 1.0, "M0 0h100v10.124h-100z"),
    ],
)
def test_boxes(box: tuple[float, ...], scale: float, path: str) -> None:
    assert box_path([box], scale) == path


def test_oriented_boxes() -> None:
    assert corners_path([np.array([[0, 1], [2, 0], [3, 2.5], [1, 3]])]) == "M0 1L2 0L3 2.5L1 3z"


@given(st.integers(1, 40), st.integers(1, 40))
def test_a_speck_survives_shrinking(width: int, height: int) -> None:
    small = np.zeros((max(1, height // 3), max(1, width // 3)), np.bool_)
    shrink(np.ones((1, 1), np.bool_), (width - 1, height - 1), (width, height), small)
    assert small.sum() == 1
    assert small[-1, -1]


@given(
    arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12)),
    st.tuples(st.integers(0, 5), st.integers(0, 5)),
    st.tuples(st.integers(0, 5), st.integers(0, 5)),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_each_pixel_is_marked_where_it_falls(
    mask: Bools, offset: tuple[int, int], beyond: tuple[int, int], most: tuple[int, int]
) -> None:
    width, height = mask.shape[1] + offset[0] + beyond[0], mask.shape[0] + offset[1] + beyond[1]
    small = np.zeros((min(most[1], height), min(most[0], width)), np.bool_)
    shrink(mask, offset, (width, height), small)
    expected = np.zeros_like(small)
    for y, x in np.argwhere(mask) + offset[::-1]:
        expected[y * len(small) // height, x * small.shape[1] // width] = True
    assert np.array_equal(small, expected)
