"""Whether there is a tail, who is in it, and how one is made."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from finetune.engine.splits import ImageRecord, ImageRecords
from finetune.longtail.config import TailConfig
from finetune.longtail.data import find_tail, make_tail
from toolkit.errors import ToolkitError


def examples(val: int = 2, test: int = 3, **train: int) -> ImageRecords:
    """So many training images of each class, and the same number of others."""
    made = [
        ImageRecord(f"part/{subset}/{label}/{number:03}", Path("none.png"), label, "part", subset)
        for label, count in train.items()
        for subset, images in (("train", count), ("val", val), ("test", test))
        for number in range(images)
    ]
    return ImageRecords(Path("part"), tuple(sorted(made, key=lambda one: one.key)), tuple(train))


def groups(found: ImageRecords, branches: int = 3, rule: str = "auto") -> str:
    return " ".join(find_tail(found, found.subset("train"), branches=branches, rule=rule).groups)  # type: ignore[arg-type]


def test_a_tail_is_made_of_training_images_alone() -> None:
    whole = examples(good=50, dent=50, scratch=50)
    made = make_tail(whole, TailConfig(imbalance=25))
    assert made.counts("train") == [50, 10, 2]
    assert (made.counts("val"), made.counts("test")) == ([2] * 3, [3] * 3)
    assert "88 training images are left out" in made.notes[0]


def test_which_images_stay_depends_on_the_seed_and_on_nothing_else() -> None:
    whole = examples(good=50, dent=50, scratch=50)
    first, again = (make_tail(whole, TailConfig(imbalance=25)).subsets for _ in range(2))
    other = make_tail(whole, TailConfig(imbalance=25, seed=1)).subsets
    assert first == again
    assert first != other
    flatter = make_tail(whole, TailConfig(imbalance=10)).subsets
    assert first.keys() < flatter.keys()


def test_no_class_loses_its_last_image_and_the_note_says_what_was_reached() -> None:
    made = make_tail(examples(good=8, dent=8, scratch=8), TailConfig(imbalance=50))
    assert made.counts("train") == [8, 1, 1]
    assert made.notes[0].endswith("of imbalance 50; it is 8")


@pytest.mark.parametrize("imbalance", [1.9, 0, -3])
def test_an_imbalance_below_2_makes_no_tail(imbalance: float) -> None:
    with pytest.raises(ValidationError):
        TailConfig(imbalance=imbalance)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"good": 8, "dent": 8}, "the largest class has 8 images, the smallest 8 (imbalance factor 1.00, below 2)"),
        ({"good": 19, "dent": 10}, "the largest class has 19 images, the smallest 10 (imbalance factor 1.90, below 2)"),
    ],
)
def test_where_there_is_no_tail_the_reason_is_said(counts: dict[str, int], said: str) -> None:
    found = examples(**counts)
    with pytest.raises(ToolkitError) as error:
        find_tail(found, found.subset("train"))
    assert said in str(error.value)
    assert "--set longtail.imbalance=50" in error.value.with_flags


@pytest.mark.parametrize(
    ("counts", "branches", "rule", "expected"),
    [
        ({"good": 64, "dent": 12, "scratch": 4}, 3, "auto", "head medium tail"),
        ({"good": 64, "dent": 40, "scratch": 4}, 2, "auto", "head tail tail"),
        ({"good": 64, "dent": 40, "scratch": 4}, 2, "good", "head tail tail"),
        ({"good": 64, "dent": 40, "scratch": 4}, 2, "counts", "head head tail"),
        ({"good": 4, "dent": 64, "scratch": 64}, 2, "auto", "tail head head"),  # good is the rare class here
        ({"good": 4, "dent": 64, "scratch": 64}, 2, "good", "head tail tail"),
        ({"cut": 64, "dent": 40, "scratch": 4}, 2, "auto", "head head tail"),
    ],
)
def test_groups(counts: dict[str, int], branches: int, rule: str, expected: str) -> None:
    assert groups(examples(**counts), branches, rule) == expected


def test_the_tail_is_that_of_the_images_that_are_trained_on() -> None:
    found = examples(good=64, dent=4)
    held_out = find_tail(found, found.subset("train")[2:])  # dent comes first
    assert (held_out.counts, held_out.imbalance_factor) == ((64, 2), 32.0)


def test_good_cannot_be_the_head_where_nothing_is_good() -> None:
    with pytest.raises(ToolkitError, match="has no good images to be the head"):
        groups(examples(cut=64, dent=4), 2, "good")
