"""What the segmenter is told, and what follows from it."""

from __future__ import annotations

from typing import Any

import pytest

from finetune.engine.config import parse_config
from finetune.engine.remarks.effects import unused_settings
from finetune.sam.config import SamConfig


def config(**settings: Any) -> SamConfig:
    return parse_config(SamConfig, {"model": "tiny", **settings})


@pytest.mark.parametrize(
    ("images", "settings", "epochs"),
    [
        (51, {}, 77),  # 13 steps an epoch
        (4000, {}, 30),
        (51, {"min_steps": 0}, 30),
        (51, {"epochs": 3}, 3),
        (51, {"batch_size": 16, "accumulate": 2}, 500),
        (51, {"devices": 2, "strategy": "ddp"}, 143),
        (51, {"train_encoder": False}, 77),
        (51, {"model": "vit_b"}, 77),
        (51, {"model": "vit_b", "train_encoder": True}, 30),
        (51, {"model": "vit_b", "cache": "none"}, 30),
        (1, {}, 1000),
    ],
)
def test_small_data_get_more_epochs_where_steps_are_cheap(images: int, settings: dict[str, Any], epochs: int) -> None:
    found = config(**settings).with_epochs(images)
    assert found.epochs == epochs
    assert found.with_epochs(10 * images) == found


@pytest.mark.parametrize(
    ("settings", "views"),
    [
        ({}, 8),
        ({"train_encoder": False}, 1),
        ({"views": 2}, 2),
        ({"model": "vit_b"}, 1),
        ({"model": "vit_b", "lora": 4}, 8),
        ({"model": "vit_b", "cache": "none"}, 1),
    ],
)
def test_views_are_many_where_they_cost_little(settings: dict[str, Any], views: int) -> None:
    assert config(**settings).number_of_views == views


def test_settings_that_do_nothing_are_named() -> None:
    frozen = {"train_encoder": False, "colour": 0.5, "activation_checkpointing": True}
    told = unused_settings(config(epochs=3, min_steps=50, **frozen))
    assert [one.partition("=")[0] for one in told] == ["min_steps", "activation_checkpointing", "colour"]
    assert unused_settings(config(lora=2, min_steps=50, colour=0.5, activation_checkpointing=True)) == []
    assert unused_settings(config(train_encoder=False)) == unused_settings(config()) == []
    assert not config(lora=2).train_encoder
