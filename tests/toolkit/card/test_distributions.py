"""What a card measures, against plain definitions of the same."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.card.distributions import (
    HEAT_CELLS,
    coverage_grid,
    distribution,
    gini,
    measure_balance,
    power_histogram,
)

SIZES = st.lists(st.integers(1, 500), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([], 0), ([7], 0), ([5, 5, 5], 0), ([0, 0, 0, 8], 0.75), ([1, 3], 0.25), ([23, 361], 0.440104)],
)
def test_gini(sizes: list[int], expected: float) -> None:
    assert gini(sizes) == pytest.approx(expected, abs=1e-6)


@given(SIZES)
def test_gini_is_half_the_relative_mean_difference(sizes: list[int]) -> None:
    values = np.array(sizes, np.float64)
    assert gini(sizes) == pytest.approx(np.abs(values[:, None] - values).mean() / (2 * values.mean()), abs=1e-6)


def test_balance() -> None:
    balance = measure_balance({"good": 60, "a": 20, "b": 10, "c": 5, "d": 3, "e": 2, "never": 0})
    assert list(balance.images) == ["good", "a", "b", "c", "d", "e"]
    assert balance.imbalance_factor == 30
    assert (balance.head, balance.head_share) == (("good", "a"), 0.8)
    assert (balance.tail, balance.tail_share) == (("d", "e"), 0.05)


@pytest.mark.parametrize(
    ("classes", "factor", "head", "tail"),
    [
        ({}, None, (), ()),
        ({"a": 0}, None, (), ()),
        ({"a": 4}, 1, (), ()),  # of one size: no head, no tail
        ({"b": 4, "a": 4}, 1, (), ()),
        ({"b": 4, "a": 4, "c": 3}, 4 / 3, ("a",), ("c",)),
        ({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}, 5, ("e",), ("a",)),
    ],
)
def test_balance_of_few_classes(
    classes: dict[str, int], factor: float | None, head: tuple[str, ...], tail: tuple[str, ...]
) -> None:
    balance = measure_balance(classes)
    assert (balance.imbalance_factor, balance.head, balance.tail) == (factor and pytest.approx(factor), head, tail)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60))
def test_a_distribution_is_that_of_the_numbers_one_by_one(numbers: list[int]) -> None:
    told = distribution(Counter(numbers))
    assert told is not None
    quantiles = np.quantile(numbers, (0.05, 0.25, 0.5, 0.75, 0.95), method="inverted_cdf")
    assert [told.p05, told.p25, told.median, told.p75, told.p95] == quantiles.tolist()
    assert (told.count, told.least, told.most) == (len(numbers), min(numbers), max(numbers))
    assert told.mean == pytest.approx(np.mean(numbers), abs=1e-6)


def test_no_numbers_have_no_distribution() -> None:
    assert distribution({}) is None


@pytest.mark.parametrize(
    ("counts", "bins"),
    [
        ({}, []),
        ({1: 3}, [(1, 2, 3)]),
        ({1: 3, 2: 1, 3: 1, 4: 1}, [(1, 2, 3), (2, 4, 2), (4, 8, 1)]),
        ({5: 2, 33: 1}, [(4, 8, 2), (8, 16, 0), (16, 32, 0), (32, 64, 1)]),
    ],
)
def test_bins_go_from_one_power_of_two_to_the_next(counts: dict[int, int], bins: list[tuple[int, int, int]]) -> None:
    assert power_histogram(counts) == bins


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**32 - 1))
def test_the_grid_is_exact_for_images_of_any_size(width: int, height: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    enlarged = mask.repeat(HEAT_CELLS, axis=0).repeat(HEAT_CELLS, axis=1)  # cells of whole pixels
    expected = enlarged.reshape(HEAT_CELLS, height, HEAT_CELLS, width).mean(axis=(1, 3))
    np.testing.assert_allclose(coverage_grid(mask, (0, 0), (width, height)), expected, atol=1e-12)


def test_the_grid_of_a_crop_is_that_of_the_whole() -> None:
    mask = np.random.default_rng(0).random((30, 20)) < 0.5
    whole = np.zeros((100, 75), np.bool_)
    whole[60:90, 50:70] = mask
    np.testing.assert_allclose(
        coverage_grid(mask, (50, 60), (75, 100)), coverage_grid(whole, (0, 0), (75, 100)), atol=1e-12
    )
