"""Class names under the four schemes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toolkit.dataset.samples import ClassScheme, Sample, class_names, image_class, instance_class
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import Instance, paint, window_of


def sample(defect: str, category: str = "nut") -> Sample:
    return Sample(f"{category}/test/{defect}/000", Path(), (), category, defect, "test")


@pytest.mark.parametrize(
    ("scheme", "of_defect", "of_good_image"),
    [
        ("defect", "dent", "good"),
        ("binary", "defect", "good"),
        ("category", "nut", "nut"),
        ("category-defect", "nut-dent", "nut-good"),
    ],
)
def test_a_scheme_names_instances_and_images(scheme: ClassScheme, of_defect: str, of_good_image: str) -> None:
    assert instance_class(sample("dent"), scheme) == image_class(sample("dent"), scheme) == of_defect
    assert image_class(sample("good"), scheme) == of_good_image


@pytest.mark.parametrize("scheme", ["defect", "binary", "category", "category-defect"])
def test_good_images_alone_make_no_classes(scheme: ClassScheme) -> None:
    assert class_names([sample("good")], scheme) == []


def test_names_are_sorted_and_each_stands_once() -> None:
    samples = [sample("scratch"), sample("dent"), sample("dent", "bolt"), sample("good")]
    assert class_names(samples, "defect") == ["dent", "scratch"]
    assert class_names(samples, "category") == ["bolt", "nut"]


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(ToolkitError) as caught:
        class_names([], "defects")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "classes: unknown scheme 'defects'; use one of defect, binary, category, category-defect"
    )


def test_an_instance_is_traced_once() -> None:
    instance = Instance("dent", (2, 3, 4, 5), np.ones((2, 2), np.bool_), 4)
    assert instance.outline is instance.outline
    assert len(instance.outline.rings8) == 1


def test_instances_are_painted_over_each_other() -> None:
    one = Instance("a", (2, 3, 4, 5), np.ones((2, 2), np.bool_), 4)
    other = Instance("a", (3, 4, 6, 6), np.array([[False, False, True], [False, True, False]]), 2)
    window = window_of([one, other])
    assert window == (2, 3, 6, 6)
    canvas = paint([one, other], [1, 2], window, np.uint8)
    assert canvas.astype(int).tolist() == [[1, 1, 0, 0], [1, 1, 0, 2], [0, 0, 2, 0]]
