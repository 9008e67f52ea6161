"""What a bank costs is known before it is made, and bounded by settings."""

from __future__ import annotations

import pytest

from finetune.engine.config import parse_config
from finetune.patchcore.budget import plan_budget
from finetune.patchcore.config import PatchcoreConfig
from toolkit.errors import ToolkitError


def test_many_images_make_no_larger_bank() -> None:
    small, large, huge = (plan_budget(PatchcoreConfig(), images, 64, 152) for images in (320, 32_000, 10**9))
    assert small.bank == large.bank == huge.bank == 10_000
    assert small.megabytes == pytest.approx(6.08)
    assert all(one.candidates == one.drawn * one.images <= 100_000 for one in (small, large, huge))
    assert huge.most_megabytes < 100


def test_few_patches_are_remembered_by_their_share() -> None:
    few = plan_budget(PatchcoreConfig(coreset=0.25), 10, 8, 30)
    assert (few.candidates, few.drawn, few.bank) == (640, 64, 160)


def test_a_bank_is_no_larger_than_what_it_is_chosen_among() -> None:
    assert plan_budget(PatchcoreConfig(candidates=100, coreset=1), 10, 8, 30).bank == 100


def test_it_is_said_in_a_line() -> None:
    told = plan_budget(PatchcoreConfig(), 320, 64, 152).told()
    assert told.startswith("memory bank: 10000 of 1310720 patches (320 images x 4096) x 152 numbers, 6.1 MB;")


def test_time_grows_with_bank_and_images() -> None:
    plan = plan_budget(PatchcoreConfig(), 320, 64, 152)
    assert plan.seconds(480, 0.1, 5e10) == pytest.approx(
        80 + 2 * 480 * 4096 * 10_000 * 152 / 5e10 + plan.seconds(0, 0, 5e10)
    )


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"neighbourhood": 4}, "neighbourhood: is even, and has no middle; use 3 or 5"),
        ({"backbone": "resnet"}, "there is no such backbone"),
        ({"coreset": 0}, "greater than 0"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, object], told: str) -> None:
    with pytest.raises(ToolkitError, match=told):
        parse_config(PatchcoreConfig, settings)
