"""What is chosen by the device: told without one, by what torch says of it."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from finetune.engine import trainer
from finetune.engine.config import TrainedConfig, dump_config, load_config
from finetune.engine.devices import (
    fused_step,
    half_type,
    lay_out,
    own_arithmetic,
    precision_of,
    reading_processes,
)
from finetune.engine.runs import Run
from finetune.sam.embeddings import Encoder
from toolkit.errors import ToolkitError

CARD, CPU = torch.device("cuda"), torch.device("cpu")


@pytest.fixture(params=["ampere", "volta"])
def card(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A GPU with bf16, or one that emulates it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    real = request.param == "ampere"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: real or including_emulation)
    return str(request.param)


def config(**settings: Any) -> TrainedConfig:
    return TrainedConfig.model_validate(settings)


def on(device: torch.device) -> Any:
    return SimpleNamespace(device=device)


def test_emulated_bf16_is_not_taken(card: str) -> None:
    half = {"ampere": torch.bfloat16, "volta": torch.float16}[card]
    assert half_type(CARD) is half
    assert half_type(CPU) is None
    assert precision_of(config()) == {"ampere": "bf16-mixed", "volta": "16-mixed"}[card]
    assert precision_of(config(device="cpu")) == "32"
    assert precision_of(config(precision="32")) == "32"
    arithmetic = {"ampere": "bf16", "volta": "fp16"}[card]
    assert [Encoder(nn.Identity(), one, 64).arithmetic for one in (CARD, CPU)] == [arithmetic, "fp32"]


def test_steps_are_fused_on_a_card_but_not_with_scaled_losses(card: str) -> None:
    assert fused_step(config(), [on(CARD), on(CARD)]) is (True if card == "ampere" else None)
    assert fused_step(config(precision="32"), [on(CARD)]) is True
    assert fused_step(config(), [on(CARD), on(CPU)]) is None
    assert fused_step(config(precision="16-mixed"), [on(CARD)]) is None


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize(
    ("settings", "cores", "number"),
    [
        ({}, 16, 8),
        ({}, 4, 3),
        ({}, 1, 1),
        ({"devices": 2, "strategy": "ddp"}, 8, 3),
        ({"device": "cpu"}, 16, 0),
        ({"workers": 2}, 16, 2),
        ({"workers": 0}, 16, 0),
        ({"workers": 3, "device": "cpu"}, 16, 3),
    ],
)
def test_processes_that_read(
    settings: dict[str, Any], cores: int, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert reading_processes(config(**settings)) == number


def test_auto_is_written_as_it_was_told(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(dump_config(config(workers="auto")))
    assert "workers: auto\n" in (tmp_path / "config.yaml").read_text()
    assert load_config(TrainedConfig, tmp_path / "config.yaml") == config()
    assert config(**config().model_dump()) == config()
    for wrong in ("-1", "many"):
        with pytest.raises(ToolkitError, match="workers: input should be"):
            load_config(TrainedConfig, None, [f"workers={wrong}"])


def test_products_are_tf32_on_a_card_for_as_long_as_it_trains() -> None:
    before = torch.get_float32_matmul_precision()
    with own_arithmetic(CPU):
        assert torch.get_float32_matmul_precision() == before
    with own_arithmetic(CARD):
        assert torch.get_float32_matmul_precision() == "high"
        torch.backends.cudnn.benchmark = True
    assert torch.get_float32_matmul_precision() == before == "highest"
    assert not torch.backends.cudnn.benchmark


def test_weights_lie_as_the_device_likes_them() -> None:
    module = nn.Conv2d(4, 8, 3)
    lay_out(module, CPU)
    assert not module.weight.is_contiguous(memory_format=torch.channels_last)
    lay_out(module, CARD)
    assert module.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.usefixtures("card")
def test_repeating_to_the_bit_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(trainer.lightning, "Trainer", lambda **given: told.append(given))
    for settings in ({}, {"deterministic": False}, {"deterministic": False, "device": "cpu"}):
        trainer._trainer(Run(tmp_path, "tiny"), config(**settings), [], 1)
    assert [(one["deterministic"], one["benchmark"]) for one in told] == [
        ("warn", False),
        (False, True),
        (False, False),
    ]
