"""False reject and escape: by hand, over all thresholds, and as a picture."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.metrics.plots import draw_rates
from finetune.metrics.rejection import rejection_curve, rejection_metrics, rejection_rates
from finetune.metrics.significance import wilson_interval


def test_rates_are_counted_and_have_wilsons_intervals():
    defective = [False] * 10 + [True] * 20
    rejected = [True] + [False] * 9 + [True] * 17 + [False] * 3
    found = rejection_rates(defective, rejected)
    assert (found["false_reject"], found["escape"]) == (0.1, 0.15)
    assert (found["false_reject_low"], found["false_reject_high"]) == wilson_interval(1, 10)
    assert (found["escape_low"], found["escape_high"]) == wilson_interval(3, 20)


def test_without_images_of_a_kind_there_is_no_rate():
    found = rejection_metrics([True, True], [True, False], [0.9, 0.1])
    assert all(math.isnan(found[name]) for name in ("false_reject", "false_reject_low", "good_auroc"))
    assert found["escape"] == 0.5


def test_nothing_seen_wrong_is_an_interval_that_begins_at_nothing():
    assert wilson_interval(0, 40)[0] == 0.0
    assert wilson_interval(40, 40)[1] == 1.0


images = st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=1, max_size=30)


@given(images)
def test_the_curve_is_what_each_threshold_does(pairs):
    scores, defective = np.array([score for score, _ in pairs], float), np.array([bad for _, bad in pairs])
    curve = rejection_curve(scores, defective)
    assert (curve.good, curve.defective) == ((~defective).sum(), defective.sum())
    assert curve.thresholds[0] < scores.min()
    for level, false_reject, escape in zip(curve.thresholds, curve.false_reject, curve.escape, strict=True):
        told = rejection_rates(defective, scores > level)
        assert [false_reject, escape] == pytest.approx([told["false_reject"], told["escape"]], nan_ok=True)


def test_the_picture_is_the_same_each_time_and_marks_the_threshold():
    scores, defective = np.array([-0.1, -0.4, -0.3, -0.9]), [False, False, True, True]
    drawn, other = (draw_rates(scores, defective, told, axis="p(good)", negated=True) for told in (0.35, None))
    assert drawn == draw_rates(scores, defective, 0.35, axis="p(good)", negated=True)
    assert drawn != other
    assert cv2.imdecode(np.frombuffer(drawn, np.uint8), cv2.IMREAD_COLOR).std() > 5


@pytest.mark.parametrize(
    ("scores", "defective"), [([], []), ([1.0, 2.0], [True, True]), ([1.0], [False]), ([np.nan, 1.0], [False, True])]
)
def test_there_is_no_picture_of_one_kind_alone(scores, defective):
    assert draw_rates(scores, defective, 1.0, axis="score") is None
