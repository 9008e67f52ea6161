"""Pairs are found in whatever order things stand, and without looking at every pair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.formats.boxes import uncontained, wrong_boxes
from converters.formats.pairing import pair_up
from toolkit.geometry.labels import Instance

SIDE = st.integers(1, 200) | st.floats(0.5, 2000, allow_nan=False)
BOX = st.tuples(st.floats(-50, 5000), st.floats(-50, 5000), SIDE, SIDE)


def boxes(count: int) -> np.ndarray:
    """Boxes of 2 x 2 pixels that lie apart: (N, 4)."""
    y, x = np.divmod(np.arange(count), 100)
    return np.stack([3 * x, 3 * y, 3 * x + 2, 3 * y + 2], axis=1).astype(np.float64)


@given(found=st.lists(BOX, max_size=12), seed=st.integers(0, 1000))
def test_every_box_finds_itself_in_any_order(found: list[tuple[float, ...]], seed: int) -> None:
    sides = [("dent", (x, y, x + w, y + h)) for x, y, w, h in found]
    order = np.random.default_rng(seed).permutation(len(sides)).tolist()
    instances = [Instance("dent", box, None, 1) for _, box in sides]
    assert wrong_boxes([sides[place] for place in order], instances, "a") == []
    if sides:
        other = [*sides[1:], ("dent", (9e4, 9e4, 9.1e4, 9.1e4))]
        assert len(wrong_boxes(other, instances, "a")) == 1


@pytest.mark.parametrize("order", ["kept", "turned round"])
def test_pairs_that_do_not_meet_are_not_looked_at(order: str) -> None:
    count = 2000
    bounds = boxes(count)
    numbers = np.arange(count) if order == "kept" else np.arange(count)[::-1]
    looks = 0

    def fits(found: int, wanted: int) -> bool:
        nonlocal looks
        looks += 1
        return bool(numbers[found] == wanted)

    assert pair_up(bounds[numbers], bounds[:, :2] + 1, fits) == ([], [])
    assert looks <= 8 * count


def test_what_is_left_over_is_told_once() -> None:
    bounds = boxes(4)
    wanted = bounds[[0, 1, 3]][:, :2] + 1
    assert pair_up(bounds[[3, 0, 2]], wanted, lambda one, other: (one, other) in {(0, 2), (1, 0)}) == ([2], [1])


def test_an_oriented_box_is_of_one_instance_alone() -> None:
    near = [Instance("dent", (x, 0, x + 2, 2), np.ones((2, 2), np.bool_), 4) for x in (0, 3)]
    corners = [np.array([(x, 0), (x + 2, 0), (x + 2, 2), (x, 2)], np.float64) for x in (0, 3)]
    assert uncontained([("dent", corners[1]), ("dent", corners[0])], near, "a") == []
    assert uncontained([("dent", corners[0])] * 2, near, "a") == [
        "a: no oriented box of 'dent' contains the instance at (3.00, 0.00, 5.00, 2.00)"
    ]
    same = [near[0], near[0]]
    assert uncontained([("dent", corners[0]), ("dent", corners[1])], same, "a") == [
        "a: no oriented box of 'dent' contains the instance at (0.00, 0.00, 2.00, 2.00)"
    ]
