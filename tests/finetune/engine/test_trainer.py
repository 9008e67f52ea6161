"""The trainer: runs repeat, survive being killed, and end with words."""

from __future__ import annotations

import csv
import json
import math
import os
import pickle
import signal
import socket
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune.engine import trainer
from finetune.engine.checkpoints import load_weights
from finetune.engine.config import TrainedConfig
from finetune.engine.devices import pick_device
from finetune.engine.runs import Run
from finetune.engine.splits import SplitConfig, open_examples
from tests.commands import ROOT, make_dataset
from tests.finetune.engine.tiny import Tiny, predict, train
from tests.processes import finish, start
from toolkit.errors import ToolkitError

CONFIG = {"epochs": 3, "batch_size": 2, "image_size": 16, "lr": 0.01, "device": "cpu"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_dataset(tmp_path_factory.mktemp("data"))
    for number in range(5):  # an odd number of test images: two processes get unequal shares
        os.link(root / "part/test/good/000.png", root / f"part/train/good/1{number:02}.png")
    return root


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that nobody disturbed."""
    return train(data, tmp_path_factory.mktemp("whole") / "run", TrainedConfig(**CONFIG))[0]


def log(run: Path) -> list[dict[str, str]]:
    with open(run / "log.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(checkpoint, weights_only=True)["state_dict"]
    return state


def same(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def program(*words: str | Path, told: dict[str, Any], environment: dict[str, str] | None = None) -> BaseProcess:
    code = "from tests.finetune.engine.tiny import main; main()"
    return start(code, *words, json.dumps(told), environment=environment)


def test_a_run_leaves_checkpoints_and_a_log(whole: Run) -> None:
    assert {path.name for path in whole.checkpoints.iterdir()} == {"best.ckpt", "last.ckpt"}
    rows = log(whole.root)
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert set(rows[0]) == {"epoch", "train_loss", "val_loss"}


def test_the_best_epoch_is_that_of_the_lowest_figure(data: Path, tmp_path: Path) -> None:
    run, ended = train(data, tmp_path / "run", TrainedConfig(**{**CONFIG, "lr": 3.0}))
    losses = [float(row["val_loss"]) for row in log(run.root)]
    assert ended.score == pytest.approx(min(losses))
    assert ended.best == run.checkpoints / "best.ckpt"
    assert torch.load(ended.best, weights_only=True)["epoch"] == losses.index(min(losses))


def test_the_same_seed_gives_the_same_weights(data: Path, whole: Run, tmp_path: Path) -> None:
    again, _ = train(data, tmp_path / "run", TrainedConfig(**CONFIG))
    other, _ = train(data, tmp_path / "other", TrainedConfig(**CONFIG, seed=1))
    assert same(whole.checkpoints / "last.ckpt", again.checkpoints / "last.ckpt")
    assert not same(whole.checkpoints / "last.ckpt", other.checkpoints / "last.ckpt")


def test_a_run_killed_in_mid_epoch_ends_as_one_left_alone(data: Path, whole: Run, tmp_path: Path) -> None:
    steps = torch.load(whole.checkpoints / "last.ckpt", weights_only=True)["global_step"] // 3
    killed = program(data, tmp_path / "run", told={"config": CONFIG, "kill": steps + steps // 2})
    assert finish(killed) == -signal.SIGKILL
    assert len(log(tmp_path / "run")) == 1
    run, ended = train(data, tmp_path / "run", TrainedConfig(**CONFIG), resume=True)
    assert same(whole.checkpoints / "last.ckpt", run.checkpoints / "last.ckpt")
    assert same(whole.checkpoints / "best.ckpt", run.checkpoints / "best.ckpt")
    assert log(run.root) == log(whole.root)
    assert ended.epochs == 3


def test_patience_ends_a_run_that_gets_no_better(data: Path, tmp_path: Path) -> None:
    config = TrainedConfig(**{**CONFIG, "epochs": 30, "lr": 30.0, "patience": 2})
    _, ended = train(data, tmp_path / "run", config)
    assert ended.epochs < 30


@pytest.mark.parametrize("at_once", [True, False], ids=["cpu", "gpu"])
def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_last_checkpoint(
    at_once: bool, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, watch = Tiny.training_step, trainer._FiniteLoss
    monkeypatch.setattr(trainer, "_FiniteLoss", lambda run, **_: watch(run, at_once=at_once))

    def spoiled(self: Tiny, batch: dict[str, Any], number: int) -> torch.Tensor:
        loss = step(self, batch, number)
        return loss * math.nan if self.global_step == 5 else loss

    monkeypatch.setattr(Tiny, "training_step", spoiled)
    with pytest.raises(ToolkitError, match=r"the loss is not a number in epoch 1, step 5; lower lr"):
        train(data, tmp_path / "run", TrainedConfig(**CONFIG))
    last = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert (last["epoch"], last["global_step"]) == (0, 4)


def test_a_device_that_is_not_there() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ToolkitError, match=r'device cuda:3: there is no such GPU \(0 found\); use device="cpu"'):
        pick_device("cuda:3")
    assert pick_device("auto") == torch.device("cpu")


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch hostile-code-was-run",))


@pytest.mark.parametrize("damage", ["code", "truncated", "text", "another model", "missing"])
def test_checkpoints_that_are_refused(whole: Run, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "bad.ckpt"
    if damage == "code":
        torch.save({"state_dict": Hostile()}, path)
    elif damage == "truncated":
        path.write_bytes((whole.checkpoints / "last.ckpt").read_bytes()[:2000])
    elif damage == "text":
        path.write_bytes(pickle.dumps("text"))
    elif damage == "another model":
        torch.save({"state_dict": {"layer": torch.ones(3)}}, path)
    messages = {"another model": "belongs to another model", "missing": "cannot be read"}
    with pytest.raises(ToolkitError, match=rf"bad\.ckpt: {messages.get(damage, 'is no checkpoint|holds no weights')}"):
        load_weights(Tiny(3, 0.1), path)
    assert not (ROOT / "hostile-code-was-run").exists()


def test_a_run_is_not_resumed_from_a_checkpoint_that_carries_code(data: Path, tmp_path: Path) -> None:
    run, _ = train(data, tmp_path / "run", TrainedConfig(**{**CONFIG, "epochs": 1}))
    torch.save({"state_dict": {}, "callbacks": Hostile()}, run.checkpoints / "last.ckpt")
    with pytest.raises(
        ToolkitError, match=r"last\.ckpt: is no checkpoint of weights alone: damaged, or made to run code"
    ):
        train(data, tmp_path / "run", TrainedConfig(**{**CONFIG, "epochs": 1}), resume=True)
    assert not (ROOT / "hostile-code-was-run").exists()


def test_two_processes_evaluate_as_one(data: Path, whole: Run, tmp_path: Path) -> None:
    checkpoint = whole.checkpoints / "last.ckpt"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    told = {"checkpoint": str(checkpoint)}
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    pair = [program(data, tmp_path / "rows.json", told=told, environment={**shared, "RANK": r}) for r in "01"]
    assert [finish(process) for process in pair] == [0, 0]
    alone = predict(open_examples(data, SplitConfig(strategy="native")), checkpoint)
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [index for index, _ in rows] == [index for index, _ in alone] == list(range(7))
    assert torch.allclose(torch.tensor([s for _, s in rows]), torch.tensor([s for _, s in alone]), atol=1e-6)


def test_a_run_that_patience_ended_is_not_gone_on_with(data: Path, tmp_path: Path) -> None:
    config = TrainedConfig(**{**CONFIG, "epochs": 30, "lr": 30.0, "patience": 2})
    run, first = train(data, tmp_path / "run", config)
    before = log(run.root)
    _, again = train(data, tmp_path / "run", config, resume=True)
    assert (again.epochs, again.score, again.best) == (first.epochs, first.score, first.best)
    assert log(run.root) == before


def test_repeatable_arithmetic_ends_with_the_training(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "run", TrainedConfig(**{**CONFIG, "epochs": 1}))
    assert not torch.are_deterministic_algorithms_enabled()
