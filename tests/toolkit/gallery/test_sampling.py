from __future__ import annotations

from collections import Counter

import pytest

from toolkit.gallery.sampling import even_sample

STRATA = [("good", "train")] * 60 + [("good", "test")] * 10 + [("dent", "test")] * 8 + [("cut", "test")] * 3


@pytest.mark.parametrize(
    ("limit", "sizes"),
    [
        (1000, [60, 10, 8, 3]),
        (81, [60, 10, 8, 3]),
        (40, [19, 10, 8, 3]),
        (12, [3, 3, 3, 3]),
        (4, [1, 1, 1, 1]),
    ],
)
def test_every_class_and_subset_gets_as_many_as_it_can(limit: int, sizes: list[int]) -> None:
    counts = Counter(STRATA[place] for place in even_sample(STRATA, limit))
    assert [counts[stratum] for stratum in dict.fromkeys(STRATA)] == sizes


def test_few_images_are_not_all_of_one_class_or_one_subset() -> None:
    strata = [(name, subset) for name in ("a", "b", "c") for subset in ("test", "train", "val") for _ in range(5)]
    chosen = [strata[place] for place in even_sample(strata, 3)]
    assert {name for name, _ in chosen} == {"a", "b", "c"}
    assert {subset for _, subset in chosen} == {"test", "train", "val"}


def test_lies_evenly_within_a_class_in_order_and_always_the_same() -> None:
    chosen = even_sample([("a", "train")] * 100, 4)
    assert chosen == [12, 37, 62, 87]
    assert even_sample(STRATA, 17) == sorted(set(even_sample(STRATA, 17)))
