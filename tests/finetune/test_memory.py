"""A full GPU: one line from every learner and command, and every way out that it names is one."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from finetune import inference, training
from finetune.autolabelling.autolabel import autolabel
from finetune.engine.config import LearnerConfig, load_config
from finetune.engine.remarks.memory import memory_told
from finetune.engine.runs import open_run
from finetune.inference import TrainedRun, evaluate, load_run, predict
from finetune.learners import LEARNERS, find_config
from tests.commands import ROOT
from toolkit.errors import ToolkitError
from toolkit.imaging.images import encode_png

OLD = ROOT / "tests/old/0.1.0/runs"
USED = [name for name in LEARNERS if (OLD / name).is_dir()]


def full(*_: Any, **__: Any) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has ...")


@pytest.fixture(autouse=True)
def learner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every learner does nothing but fill the card."""
    found = SimpleNamespace(train=full, evaluate=full, predict=full, load=full)
    for module in (training, inference):
        monkeypatch.setattr(module, "find_learner", lambda _: found)


def halves(kind: type[LearnerConfig], told: str, **settings: Any) -> dict[str, Any]:
    """What the settings that a message names are with it, checked by the learner."""
    names = re.findall(r"(\w+)=(\"[^\"]*\"|[\w.]+)", told)
    before = kind.model_validate(settings)
    for name, value in names:
        found = getattr(load_config(kind, None, [f"{name}={value}", *(f"{a}={b}" for a, b in settings.items())]), name)
        assert found != getattr(before, name)
    return {name: yaml.safe_load(value) for name, value in names}


@pytest.mark.parametrize("name", LEARNERS)
def test_training(name: str, tmp_path: Path) -> None:
    with pytest.raises(ToolkitError) as caught:
        training.train(name, tmp_path, tmp_path / "run")
    told = str(caught.value)
    assert f"{tmp_path / 'run'}: the GPU's memory is full; use " in told
    assert "\n" not in told
    found = halves(find_config(name), told.partition("; ")[2])
    assert found["batch_size"] == find_config(name)().batch_size // 2
    assert found["device"] == "cpu"
    assert ("image_size" in told) == (name != "sam")  # Meta's models take one size alone


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ["batch_size", "prompts_per_image", "device"]),
        ({"batch_size": 1, "prompts_per_image": 1}, ["device"]),
        ({"lora": 4}, ["activation_checkpointing", "batch_size", "accumulate", "prompts_per_image", "device"]),
        ({"lora": 4, "activation_checkpointing": True, "batch_size": 1}, ["prompts_per_image", "device"]),
    ],
)
def test_what_sam_can_do(settings: dict[str, Any], names: list[str]) -> None:
    kind = find_config("sam")
    assert list(halves(kind, " ".join(kind.model_validate(settings).less_memory()), **settings)) == names


@pytest.mark.parametrize("name", USED)
def test_finished_runs(name: str, tmp_path: Path) -> None:
    run, image = OLD / name, tmp_path / "a.png"
    image.write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
    calls = [
        lambda: evaluate(run),
        lambda: predict(run, image, tmp_path / "out"),
        lambda: load_run(run).predict(image),
    ]
    for call in calls:
        with pytest.raises(ToolkitError) as caught:
            call()
        told = str(caught.value)
        assert f"{run}: the GPU's memory is full; use a GPU that no other program fills, or write " in told
        assert told.endswith(f"device: cpu in {run / 'config.yaml'}")
        assert "\n" not in told
    assert not (tmp_path / "out").exists()


def test_labelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
    monkeypatch.setattr("finetune.autolabelling.autolabel.open_proposer", full)
    with pytest.raises(ToolkitError, match=rf"memory is full; use .* write device: cpu in {OLD}/vae/config\.yaml"):
        autolabel(open_run(OLD / "vae"), tmp_path / "a.png", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shape"), memory_told(tmp_path, list):
        raise RuntimeError("shape mismatch")
    with pytest.raises(ToolkitError, match="memory is full; use less"), memory_told(tmp_path, lambda: ["less"]):
        raise RuntimeError("cuBLAS: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate")
    assert TrainedRun(tmp_path, "vae").learner == "vae"
