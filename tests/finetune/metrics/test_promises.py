"""Thresholds that keep their word: simulated draws, what cannot be kept, ties, and what is no score or rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from finetune.metrics.promises import (
    images_for,
    lowest_rate,
    parse_rate,
    percent,
    promise_escape,
    promise_false_reject,
    rank_for,
    sure_rate,
)
from toolkit.errors import ToolkitError

DRAWS = 2000
MET = [
    (32, "expected", 0.05),
    (100, "expected", 0.05),
    (300, "expected", 0.05),
    (32, "sure", 0.1),
    (100, "sure", 0.1),
    (300, "sure", 0.1),
    (100, "sure", 0.035),
    (300, "sure", 0.035),
    (300, "sure", 0.01),
]


@pytest.mark.parametrize(("images", "promise", "rate"), MET)
def test_the_word_is_kept_in_simulated_draws(images, promise, rate):
    """Scores uniform in (0, 1): the share of good parts above a threshold is then 1 - threshold."""
    scores = np.random.default_rng(images).random((DRAWS, images))
    chosen = [promise_false_reject(one, rate, promise) for one in scores]
    left = 1 - np.array([one.value for one in chosen])
    told = chosen[0]
    deviation = beta.std(told.rank, images - told.rank + 1) / np.sqrt(DRAWS)
    assert left.mean() == pytest.approx(told.expected, abs=3.5 * deviation)
    slack = 3.5 * np.sqrt(0.05 * 0.95 / DRAWS)  # of a share of 95 % among the draws
    assert (left <= told.sure).mean() == pytest.approx(0.95, abs=slack)
    if promise == "expected":
        assert rate - 1 / (images + 1) < told.expected <= rate
    else:
        assert told.sure <= rate < sure_rate(images, told.rank + 1)
        assert (left <= rate).mean() >= 0.95 - slack


@pytest.mark.parametrize(("images", "promise", "rate"), MET)
def test_the_same_word_is_kept_of_defects_that_escape(images, promise, rate):
    scores = np.random.default_rng(images).random((200, images))
    chosen = [promise_escape(one, rate, promise) for one in scores]
    left = np.array([one.value for one in chosen])
    assert left.mean() == pytest.approx(chosen[0].expected, abs=4 * left.std() / np.sqrt(200))
    assert all((one > told.value).sum() == images - told.rank + 1 for one, told in zip(scores, chosen, strict=True))


@pytest.mark.parametrize(
    ("images", "expected", "sure"),
    [(5, "16.7 %", "45.1 %"), (10, "9.1 %", "25.9 %"), (32, "3.04 %", "8.94 %"), (100, "0.991 %", "2.96 %")],
)
def test_what_images_can_promise_at_best(images, expected, sure):
    assert percent(lowest_rate(images, "expected")) == expected
    assert percent(lowest_rate(images, "sure")) == sure
    assert lowest_rate(images, "sure") == pytest.approx(sure_rate(images, 1))


@pytest.mark.parametrize(
    ("images", "promise", "rate", "needed"),
    [(5, "expected", 0.05, 19), (5, "sure", 0.1, 29), (10, "expected", 0.05, 19), (10, "sure", 0.01, 299)],
)
@pytest.mark.parametrize("choose", [promise_false_reject, promise_escape])
def test_what_cannot_be_kept_is_refused_and_says_what_it_takes(choose, images, promise, rate, needed):
    with pytest.raises(ToolkitError) as caught:
        choose(np.arange(images), rate, promise, asked="--max", whose="parts", more="look for more")
    best = percent(lowest_rate(images, promise))
    told = str(caught.value)
    assert told.startswith(f"--max {percent(rate)}: {images} parts cannot promise that ({promise}): at best ")
    assert told.endswith(f"look for more: it takes {needed}; or ask for {best}")
    assert choose(np.arange(needed), rate, promise).rank == 1
    assert choose(np.arange(images), parse_rate(best), promise).rank == 1  # the way out exists


@given(st.integers(1, 400), st.sampled_from(["expected", "sure"]), st.floats(0.005, 0.5))
def test_a_rate_is_kept_from_the_number_of_images_on_that_is_named(images, promise, rate):
    assert (rank_for(images, rate, promise) > 0) == (images >= images_for(rate, promise))


def test_without_a_rate_it_is_one_percent_or_the_lowest_that_can_be_had():
    assert [promise_false_reject(np.arange(n), None).rank for n in (1, 5, 98, 99, 199, 1000)] == [1, 1, 1, 1, 2, 10]
    assert promise_false_reject(np.arange(1000), None, "sure").rank == rank_for(1000, 0.01, "sure") == 5


def test_ties_reject_fewer_never_more():
    chosen = promise_false_reject([0.0] * 50 + [1.0] * 50, 0.1)
    assert (chosen.value, chosen.rank) == (1.0, 10)
    assert promise_escape(np.float32([0.1] * 30), 0.1).value < np.float32(0.1)


@pytest.mark.parametrize(
    ("scores", "said"),
    [([1.0, np.nan], "are no numbers; train again"), ([np.inf], "no numbers"), ([], "there are no good images")],
)
def test_what_is_no_score_is_refused(scores, said):
    with pytest.raises(ToolkitError, match=said):
        promise_false_reject(scores, None)


@pytest.mark.parametrize("text", ["5 %", "5%", " .05 ", 0.05, "0.05", "5.0 %", "5e-2"])
def test_rates_are_read(text):
    assert parse_rate(text) == pytest.approx(0.05)


@pytest.mark.parametrize("text", [5, 1, "1", 0, "0 %", "100 %", "-1 %", True, "nan", "five", "", "%", None, "5 % %"])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(ValueError, match=r"write for instance 5 % or 0\.05"):
        parse_rate(text)
