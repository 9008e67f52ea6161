"""Figures of classifiers: by hand, by scikit-learn and scipy, and by counting all cases."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, precision_recall_fscore_support

from finetune.metrics.classification import classification_metrics, confusion_counts
from finetune.metrics.significance import expected_best, holm_adjusted, mcnemar_exact, sign_flip_test, wilson_interval


@given(st.integers(1, 400).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_the_wilson_interval_is_that_of_scipy(counts):
    correct, total = counts
    known = binomtest(correct, total).proportion_ci(0.95, method="wilson")
    assert wilson_interval(correct, total) == pytest.approx((known.low, known.high), abs=1e-9)


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [(11, 16, 0.44, 0.86), (12, 16, 0.51, 0.90), (0, 10, 0.0, 0.28), (10, 10, 0.72, 1.0), (0, 0, 0.0, 1.0)],
)
def test_sixteen_images_say_little(correct, total, low, high):
    assert wilson_interval(correct, total) == pytest.approx((low, high), abs=0.006)


def test_mcnemar_looks_only_at_images_on_which_two_classifiers_differ():
    first = [True] * 50 + [True] + [False] * 5
    second = [True] * 50 + [False] + [True] * 5
    # 1 against 5: twice the chance of 0 or 1 heads among 6 coins, (1 + 6) / 64.
    assert mcnemar_exact(first, second) == pytest.approx(2 * 7 / 64)
    assert mcnemar_exact(first, first) == 1.0


@pytest.mark.parametrize(("gained", "lost"), [(0, 1), (3, 3), (4, 3), (0, 40), (17, 30), (900, 1100)])
def test_mcnemars_p_is_that_of_fair_coins(gained, lost):
    first, second = [False] * gained + [True] * lost, [True] * gained + [False] * lost
    assert mcnemar_exact(first, second) == pytest.approx(binomtest(gained, gained + lost).pvalue, rel=1e-9)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9))
def test_the_sign_flip_test_counts_all_ways_of_flipping(differences):
    sums = [
        abs(sum(sign * size for sign, size in zip(signs, differences, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(differences))
    ]
    expected = sum(one >= abs(sum(differences)) for one in sums) / len(sums)
    assert sign_flip_test(differences) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_with_one_seed_the_sign_flip_test_is_mcnemars(pairs):
    first, second = np.array(pairs).T
    assert sign_flip_test(second.astype(int) - first.astype(int)) == pytest.approx(mcnemar_exact(first, second))


def test_p_values_are_adjusted_as_holm_says():
    assert holm_adjusted([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm_adjusted([0.6, 0.5]) == [1.0, 1.0]
    assert holm_adjusted([]) == []


def test_the_best_of_equal_attempts_looks_better_than_it_is():
    assert expected_best(0.7, 16, 4) == pytest.approx(0.81, abs=0.005)
    assert expected_best(0.7, 16, 1) == pytest.approx(0.7)
    draws = np.random.default_rng(0).binomial(20, 0.4, (200_000, 3)).max(axis=1).mean() / 20
    assert expected_best(0.4, 20, 3) == pytest.approx(draws, abs=0.002)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_figures_are_those_of_scikit_learn(pairs):
    labels, predicted = np.array(pairs).T
    names, there = ["good", "a b", "ü", "x"], sorted(set(labels.tolist()))
    found = classification_metrics(labels, predicted, names)
    np.testing.assert_array_equal(
        confusion_counts(labels, predicted, 4), confusion_matrix(labels, predicted, labels=range(4))
    )
    known = precision_recall_fscore_support(labels, predicted, labels=there, zero_division=0)
    for name, values in zip(("precision", "recall", "f1"), known, strict=False):
        assert [found[f"{name}_class_{names[index]}"] for index in there] == pytest.approx(list(values))
    assert found["macro_f1"] == pytest.approx(known[2].mean())
    assert found["accuracy"] == pytest.approx((labels == predicted).mean())
    if np.isin(predicted, there).all() and len(there) > 1:  # else scikit-learn warns
        assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert found["balanced_accuracy"] == pytest.approx(known[1].mean())


def test_a_class_that_does_not_occur_has_no_figures():
    found = classification_metrics([0, 0], [0, 1], ["good", "scratch"])
    assert np.isnan(found["recall_class_scratch"])
    assert found["balanced_accuracy"] == 0.5
    assert found["precision_class_good"] == 1.0
