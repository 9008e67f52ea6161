"""A classifier of crops with averaged weights and folds, whole and interrupted; and what it looked at."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from finetune.classifier.config import ClassifierConfig
from finetune.classifier.learner import evaluate, predict, train
from finetune.classifier.module import ClassifierModule
from finetune.engine.runs import Run
from tests.commands import save
from tests.finetune.classifier.classifying import config
from toolkit.errors import ToolkitError
from toolkit.imaging.images import read_header

CROPS: dict[str, Any] = {
    "split": {"val": 0.2, "test": 0.2},
    "tiles": {"side": 24, "per_image": 2},
    "head": {"kind": "mlp", "hidden": 8, "dropout": 0.2},
    "class_weights": "balanced",
    "ema": 0.9,
    "warmup": 1,
    "patience": 2,
    "batch_size": 8,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five good images and five with a white spot, of 64 x 40 pixels."""
    root = tmp_path_factory.mktemp("data")
    for number in range(5):
        image = np.random.default_rng(number).integers(20, 60, (40, 64, 3)).astype(np.uint8)
        save(root / f"part/train/good/{number:03}.png", image)
        image = np.random.default_rng(number + 50).integers(20, 60, (40, 64, 3)).astype(np.uint8)
        image[4 : 10 + number, 9 * number : 9 * number + 8] = 255
        save(root / f"part/test/dent/{number:03}.png", image)
        save(root / f"part/ground_truth/dent/{number:03}_mask.png", (image[:, :, 0] == 255).astype(np.uint8) * 255)
    return root


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    calls: list[tuple[int, int]] = []
    told = config(**CROPS, out_of_fold=2)
    made = train(data, told, tmp_path_factory.mktemp("runs") / "run", progress=lambda *numbers: calls.append(numbers))
    assert calls == [(done, 6) for done in range(1, 7)]
    return made


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_every_image_is_told_by_a_model_that_never_saw_it(run):
    rows = {row["key"]: row for row in table(run.root / "out_of_fold.csv")}
    predicted = table(run.root / "predictions.csv")
    assert list(rows) == [row["key"] for row in predicted]
    assert [rows[row["key"]]["subset"] for row in predicted] == [row["subset"] for row in predicted]
    for fold in ("0", "1"):
        own = {row["key"]: row for row in table(run.root / f"folds/fold{fold}/predictions.csv")}
        for key in (key for key, row in rows.items() if row["fold"] == fold):
            assert own[key]["subset"] == "test"
            assert own[key]["p_good"] == rows[key]["p_good"]
    told = json.loads((run.root / "metrics.json").read_text())
    right = sum(row["predicted"] == row["label"] for row in rows.values())
    assert told["out_of_fold_accuracy"] == pytest.approx(right / 10)
    assert {"good_auroc", "escape", "false_reject", "out_of_fold_good_auroc"} <= told.keys()


def test_a_run_that_was_interrupted_ends_with_the_same_predictions(run, data, tmp_path, monkeypatch):
    taken = ClassifierModule.training_step

    def interrupted(self: ClassifierModule, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        if self.global_step == 2:  # of two steps an epoch: in the second one
            raise KeyboardInterrupt
        return taken(self, batch)

    told = config(**CROPS)
    with monkeypatch.context() as patched:
        patched.setattr(ClassifierModule, "training_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(data, told, tmp_path / "run")
    resumed = train(data, told, tmp_path / "run", resume=True)
    assert (resumed.root / "predictions.csv").read_bytes() == (run.root / "predictions.csv").read_bytes()
    best = torch.load(resumed.checkpoints / "best.ckpt", weights_only=True)
    assert any(
        not torch.equal(best["state_dict"][name], best["current_model_state"][name]) for name in best["state_dict"]
    )


def test_it_is_evaluated_and_predicts_as_it_was_trained(run, data, tmp_path):
    told = json.loads((run.root / "metrics.json").read_text())
    found = evaluate(run)
    assert found == pytest.approx({name: told[name] for name in found}, nan_ok=True)


def test_what_it_looked_at_has_the_proportions_of_the_image(run, data, tmp_path):
    rows = predict(run, [data / "part/test/dent/001.png"], tmp_path)
    header = read_header(tmp_path / str(rows[0]["picture"]))
    assert (header.width, header.height) == (224, 140)
    kept = {row["key"]: row for row in table(run.root / "predictions.csv")}
    assert rows[0]["p_good"] == pytest.approx(float(kept["part/test/dent/001"]["p_good"]), abs=2e-6)


@pytest.mark.parametrize("settings", [{"aspect": 2.0}, {"resize": "letterbox", "aspect": 4.0}])
def test_other_frames_train_and_predict(data, tmp_path, settings):
    told = config(**settings, split={"val": 0, "test": 0.2}, mode="linear-probe", image_size=64)
    made = train(data, told, tmp_path / "run")
    rows = predict(made, [data / "part/test/dent/001.png"], tmp_path / "out")
    header = read_header(tmp_path / "out" / str(rows[0]["picture"]))
    assert (header.width, header.height) == (224, 140)


def test_nothing_is_left_of_a_training_that_cannot_begin(data, tmp_path):
    for told, problem in (({"patience": 2}, "patience 2"), ({"out_of_fold": 9}, "out_of_fold 9")):
        settings = ClassifierConfig(**{**config().model_dump(), "split": {"val": 0, "test": 0.2}, **told})
        with pytest.raises(ToolkitError, match=problem):
            train(data, settings, tmp_path / "run")
        assert not (tmp_path / "run").exists()
