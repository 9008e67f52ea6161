"""The published counts of MVTec AD, and how samples differ from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from toolkit.dataset.reference import compare_with_published, differences, published_counts
from toolkit.dataset.samples import Sample


def complete(category: str) -> Iterator[Sample]:
    """As many samples of a category as were published."""
    counts = published_counts()[category]
    classes = {("train", "good"): counts.train_good, ("test", "good"): counts.test_good}
    for (split, defect), size in (classes | {("test", name): size for name, size in counts.defects.items()}).items():
        for number in range(size):
            yield Sample(f"{category}/{split}/{defect}/{number:03}", Path(), (), category, defect, split)


def test_the_totals_are_those_of_the_paper() -> None:
    counts = published_counts().values()
    assert len(counts) == 15
    assert sum(each.train_good for each in counts) == 3629
    assert sum(each.test_good for each in counts) == 467
    assert sum(each.test_defect for each in counts) == 1258
    assert sum(len(each.defects) for each in counts) == 73


@pytest.mark.parametrize("category", published_counts())
def test_the_defects_of_a_category_add_up(category: str) -> None:
    counts = published_counts()[category]
    assert sum(counts.defects.values()) == counts.test_defect
    assert "good" not in counts.defects
    assert counts.channels == (1 if category in ("grid", "screw", "zipper") else 3)
    assert 700 <= counts.image_px <= 1024


@pytest.mark.parametrize("category", published_counts())
def test_a_complete_category_agrees(category: str) -> None:
    assert differences(complete(category)) == {category: []}
    assert compare_with_published(complete(category)) == []


def test_what_differs_is_said() -> None:
    samples = [each for each in complete("screw") if each.split != "train"]
    samples.append(Sample("screw/test/rust/000", Path(), (), "screw", "rust", "test"))
    assert differences(samples) == {
        "screw": ["test/rust: 1 images, published 0", "train/good: 0 images, published 320"]
    }
    assert compare_with_published(samples) == [
        "screw differs from the published MVTec AD: "
        "test/rust: 1 images, published 0; train/good: 0 images, published 320"
    ]


def test_categories_of_other_names_are_not_compared() -> None:
    assert differences([Sample("bolt/test/good/000", Path(), (), "bolt", "good", "test")]) == {}
