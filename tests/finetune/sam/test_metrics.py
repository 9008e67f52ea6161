"""How well masks fit: against the plain definitions, on whole images."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion

from finetune.sam.metrics import FIGURES, PROMPTS, boundary_width, compare_masks, size_class, summarise

Bools = npt.NDArray[np.bool_]


def plainly(truth: Bools, found: Bools) -> dict[str, float]:
    """The same figures on whole images, the rim by scipy: what an erosion by d steps takes away."""

    def iou(one: Bools, other: Bools) -> float:
        union = (one | other).sum()
        return float((one & other).sum() / union) if union else 1.0

    def rim(mask: Bools) -> Bools:
        steps = max(1, round(0.02 * float(np.hypot(*mask.shape))))
        return mask & ~binary_erosion(mask, np.ones((3, 3)), iterations=steps, border_value=0)

    areas = truth.sum() + found.sum()
    dice = float(2 * (truth & found).sum() / areas) if areas else 1.0
    return {"iou": iou(truth, found), "dice": dice, "boundary_iou": iou(rim(truth), rim(found))}


@given(st.integers(0, 2**32 - 1), st.integers(1, 90), st.integers(1, 90))
def test_figures_are_those_of_the_definitions(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    masks = []
    for _ in range(2):
        field = cv2.GaussianBlur(rng.normal(size=(height, width)), (0, 0), 3)
        masks.append(np.asarray(field > rng.normal() * field.std(), np.bool_))
    assert compare_masks(*masks) == pytest.approx(plainly(*masks))


def test_the_rim_is_two_hundredths_of_the_diagonal() -> None:
    assert boundary_width(1024, 1024) == 29
    assert boundary_width(10, 10) == 1


def test_boundary_iou_sees_what_iou_overlooks() -> None:
    truth, found = np.zeros((2, 400, 400), np.bool_)
    truth[20:380, 20:380] = True
    found[30:380, 20:380] = True
    figures = compare_masks(truth, found)
    assert figures["iou"] > 0.97
    assert figures["boundary_iou"] < 0.7


def test_a_small_mask_is_all_rim() -> None:
    truth, found = np.zeros((2, 1000, 1000), np.bool_)
    truth[100:110, 100:130] = True
    found[100:108, 100:130] = True
    figures = compare_masks(truth, found)
    assert figures["boundary_iou"] == figures["iou"] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("area", "name"), [(1, "small"), (1023, "small"), (1024, "medium"), (9215, "medium"), (9216, "large")]
)
def test_sizes_are_cocos(area: int, name: str) -> None:
    assert size_class(area) == name


def row(label: str, area: int, after: float, before: float) -> dict[str, Any]:
    figures = {f"{figure}_{prompt}": after for figure in FIGURES for prompt in PROMPTS}
    return {"label": label, "size": size_class(area), **figures, **{f"untuned_{name}": before for name in figures}}


def test_means_are_over_instances_by_class_and_by_size() -> None:
    rows = [row("a", 10, 0.9, 0.1), row("a", 10, 0.5, 0.2), row("b", 20000, 0.1, 0.3)]
    found = summarise(rows, ["a", "b"])
    assert found["iou_box"] == pytest.approx(0.5)
    assert found["untuned_boundary_iou_clicks3"] == pytest.approx(0.2)
    assert found["iou_point_class_a"] == pytest.approx(0.7)
    assert found["untuned_iou_jittered_box_class_b"] == pytest.approx(0.3)
    assert found["iou_box_size_small"] == pytest.approx(0.7)
    assert found["iou_box_size_large"] == pytest.approx(0.1)
    assert "iou_box_size_medium" not in found
    assert (found["instances"], found["instances_class_a"], found["instances_size_medium"]) == (3, 2, 0)


def test_nothing_gives_no_figure() -> None:
    found = summarise([], [])
    assert np.isnan(found["iou_box"])
    assert found["instances"] == 0
