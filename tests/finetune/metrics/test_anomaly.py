"""The anomaly figures against scikit-learn, against sums worked by hand, and against the definition taken literally."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from finetune.metrics.anomaly import Ranking, anomaly_metrics, rank_pixels, rank_scores
from toolkit.errors import ToolkitError

Maps = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]


def random_case(seed: int, *, levels: int = 0, skill: float = 1.0) -> tuple[Maps, Masks]:
    """Six maps of 24 x 31 pixels and their masks; every second image is good."""
    rng = np.random.default_rng(seed)
    masks = rng.random((6, 24, 31)) < 0.04
    masks = np.stack([cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0 for mask in masks])
    masks[::2] = False
    maps = rng.normal(size=masks.shape) + skill * masks
    if levels:
        maps = np.round(maps * levels) / levels
    return maps.astype(np.float32), masks


def pixels(maps: Maps, masks: Masks) -> Ranking:
    return rank_pixels(lambda: zip(maps, masks, strict=True))


def share_at_least(thresholds: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """How much of some scores reaches each threshold."""
    found: np.ndarray = (scores[None] >= thresholds[:, None]).mean(axis=1)
    return found


def literal_aupro(maps: Maps, masks: Masks, limit: float) -> float:
    """The definition: every threshold, every region, then the trapezoids up to the limit."""
    regions = []
    for scored, mask in zip(maps, masks, strict=True):
        count, labelled = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
        regions += [scored[labelled == number] for number in range(1, count)]
    background = maps[~masks]
    thresholds = np.unique(maps)[::-1]
    rate = np.array([0.0, *share_at_least(thresholds, background)])
    overlap = np.array([0.0, *np.mean([share_at_least(thresholds, region) for region in regions], axis=0)])
    area = 0.0
    for left, right, low, high in zip(rate, rate[1:], overlap, overlap[1:], strict=False):
        if left < limit < right:
            right, high = limit, low + (high - low) * (limit - left) / (right - left)
        area += (right - left) * (low + high) / 2 if right <= limit else 0.0
    return area / limit


@pytest.mark.parametrize("levels", [0, 10, 2])
@pytest.mark.parametrize("seed", range(4))
class TestAgainstScikitLearn:
    def test_image_figures(self, seed: int, levels: int) -> None:
        rng = np.random.default_rng(seed)
        labels = rng.random(200) < 0.3
        scores = rng.normal(size=200) + labels
        scores = np.round(scores * levels) / levels if levels else scores
        ranking = rank_scores(scores, labels)
        assert ranking.auroc() == pytest.approx(roc_auc_score(labels, scores), abs=1e-6)
        assert ranking.average_precision() == pytest.approx(average_precision_score(labels, scores), abs=1e-6)

    def test_pixel_figures(self, seed: int, levels: int) -> None:
        maps, masks = random_case(seed, levels=levels)
        ranking = pixels(maps, masks)
        truth, scores = masks.ravel(), maps.ravel()
        assert ranking.auroc() == pytest.approx(roc_auc_score(truth, scores), abs=1e-6)
        assert ranking.average_precision() == pytest.approx(average_precision_score(truth, scores), abs=1e-6)

    def test_best_f1_is_that_of_the_precision_recall_curve(self, seed: int, levels: int) -> None:
        maps, masks = random_case(seed, levels=levels)
        precision, recall, thresholds = precision_recall_curve(masks.ravel(), maps.ravel())
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        found, threshold = pixels(maps, masks).best_f1()
        assert found == pytest.approx(f1.max(), abs=1e-6)
        assert threshold == pytest.approx(thresholds[f1[:-1].argmax()])

    @pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
    def test_aupro_is_its_definition(self, seed: int, levels: int, limit: float) -> None:
        maps, masks = random_case(seed, levels=levels)
        assert pixels(maps, masks).aupro(limit) == pytest.approx(literal_aupro(maps, masks, limit), abs=1e-9)


@given(seed=st.integers(0, 10_000), skill=st.floats(-1, 4), levels=st.sampled_from([0, 1, 3, 50]))
def test_aupro_up_to_one_with_regions_of_one_size_is_the_pixel_auroc(seed: int, skill: float, levels: int) -> None:
    rng = np.random.default_rng(seed)
    masks = np.zeros((3, 16, 16), np.bool_)
    masks[0, 2:5, 2:5] = masks[0, 9:12, 4:7] = masks[1, 7:10, 7:10] = True
    maps = rng.normal(size=masks.shape) + skill * masks
    maps = np.round(maps * levels) / levels if levels else maps
    ranking = pixels(maps.astype(np.float32), masks)
    assert ranking.aupro(1.0) == pytest.approx(ranking.auroc(), abs=1e-9)


class TestByHand:
    MASK = np.array([[1, 0, 1, 1, 0, 0, 0, 0]], np.bool_)  # a region of one pixel, one of two, five of background
    MAP = np.array([[9, 8, 7, 2, 3, 1, 1, 0]], np.float32)

    def ranking(self) -> Ranking:
        return pixels(self.MAP[None], self.MASK[None])

    def test_auroc(self) -> None:
        assert self.ranking().auroc() == pytest.approx((5 + 4 + 3) / 15)

    def test_average_precision(self) -> None:
        assert self.ranking().average_precision() == pytest.approx((1 / 1 + 2 / 3 + 3 / 5) / 3)

    def test_aupro(self) -> None:
        # PRO is 1/2 up to a false positive rate of 1/5, 3/4 up to 2/5, 1 from there on.
        assert self.ranking().aupro(0.3) == pytest.approx((0.2 * 0.5 + 0.1 * 0.75) / 0.3)

    def test_the_oracles_f1(self) -> None:
        assert self.ranking().best_f1() == pytest.approx((2 * 3 / (3 + 2 + 3), 2.0))


class TestWhatCannotBeMeasured:
    def test_no_defects_give_nan(self) -> None:
        maps, masks = random_case(0)
        masks[:] = False
        found = anomaly_metrics(maps.max((1, 2)), masks.any((1, 2)), lambda: zip(maps, masks, strict=True))
        assert all(math.isnan(value) for value in found.values())

    def test_all_defect_gives_nan(self) -> None:
        maps, masks = random_case(0)
        ranking = pixels(maps, np.ones_like(masks))
        assert all(math.isnan(value) for value in (ranking.auroc(), ranking.average_precision(), ranking.aupro()))

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_scores_that_are_no_numbers_are_refused(self, value: float) -> None:
        maps, masks = random_case(0)
        maps[0, 0, 0] = value
        with pytest.raises(ToolkitError, match="no number"):
            pixels(maps, masks)
        with pytest.raises(ToolkitError, match="no number"):
            rank_scores([0.1, value], [False, True])


def test_the_report_names_its_figures_as_the_contract_does() -> None:
    maps, masks = random_case(1)
    scores, defective = maps.max((1, 2)), masks.any((1, 2))
    found = anomaly_metrics(scores, defective, lambda: zip(maps, masks, strict=True))
    oracle = {"image_f1_oracle", "pixel_f1_oracle"}
    assert set(found) == {"image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "aupro"} | oracle
    assert found["image_auroc"] == pytest.approx(roc_auc_score(defective, scores))
    assert set(anomaly_metrics(scores, defective, None)) == {"image_auroc", "image_ap", "image_f1_oracle"}


def test_images_of_different_sizes_are_ranked_together() -> None:
    rng = np.random.default_rng(3)
    maps = [rng.normal(size=(5, 9)).astype(np.float32), rng.normal(size=(8, 4)).astype(np.float32)]
    masks = [scored > 0.8 for scored in maps]
    ranking = rank_pixels(lambda: zip([-one for one in maps], masks, strict=True))
    assert ranking.auroc() == 0.0
    assert ranking.negatives == sum(int((~mask).sum()) for mask in masks)
