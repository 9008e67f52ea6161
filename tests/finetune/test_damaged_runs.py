"""Run directories that somebody damaged: they are read, or refused in a line that names the file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from finetune.anomaly.thresholds import ThresholdFacts
from finetune.classifier.learner import ClassFacts
from finetune.engine.facts import Facts
from finetune.engine.runs import Run, open_run, read_config, read_metrics
from finetune.experiments.attempts_file import read_attempts
from finetune.experiments.comparison import compare_runs
from finetune.learners import find_config
from finetune.longtail.learner import _TailFacts
from finetune.longtail.module import _Stage
from finetune.sam.learner import _Began
from finetune.yolo_world.predictor import WordFacts
from finetune.yolo_world.prompts import phrases_of
from tests.commands import ROOT
from tests.damage import accepted, spoilt, survives
from toolkit.files.typed import read_json

OLD = ROOT / "tests/old/0.1.0/runs"
FACTS: dict[str, type[Facts]] = {
    "classifier": ClassFacts,
    "longtail": _TailFacts,
    "vae": ThresholdFacts,
    "sam": _Began,
    "yolo-world": WordFacts,
}


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str], Path]:
    return lambda learner: Path(shutil.copytree(OLD / learner, tmp_path / learner))


def _settings(run: Run) -> None:
    read_config(run, find_config(run.learner))


def _seconds(run: Run) -> None:
    [float(row["seconds"]) + int(row["epoch"]) for row in run.log_rows()]


READERS: dict[str, Callable[[Run], object]] = {
    "config.yaml": _settings,
    "metrics.json": read_metrics,
    "log.csv": _seconds,
}


@pytest.mark.parametrize("learner", FACTS)
def test_what_a_run_says_of_itself(run: Callable[[str], Path], learner: str) -> None:
    root = run(learner)
    path = root / "environment.json"
    for told, data in spoilt(path, 2):
        path.write_bytes(data)
        survives(told, lambda: open_run(root).facts(FACTS[learner]))


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("learner", ["longtail", "vae"])
def test_each_file_of_a_run(run: Callable[[str], Path], learner: str, name: str) -> None:
    root = run(learner)
    path = root / name
    for number, (told, data) in enumerate(spoilt(path, 3)):
        path.write_bytes(data)
        if survives(told, lambda: READERS[name](open_run(root))) and number % 20 == 0:
            accepted(told, "compare", root, OLD / "classifier")


def test_predictions(run: Callable[[str], Path]) -> None:
    root = run("classifier")
    for told, data in spoilt(root / "predictions.csv"):
        (root / "predictions.csv").write_bytes(data)
        survives(told, lambda: compare_runs([OLD / "classifier", root]))


def test_a_file_of_attempts(tmp_path: Path) -> None:
    file = tmp_path / "attempts.yaml"
    told = {"data": "x", "baseline": "a", "folds": 2, "seeds": [0], "settings": {"epochs": 1}, "attempts": {"a": {}}}
    file.write_text(yaml.safe_dump(told))
    for way, data in spoilt(file):
        file.write_bytes(data)
        survives(way, lambda: read_attempts(file))


def test_phrases(tmp_path: Path) -> None:
    file = tmp_path / "phrases.yaml"
    file.write_text("dent: small dent\nscratch: long scratch\n")
    for way, data in spoilt(file):
        file.write_bytes(data)
        survives(way, lambda: phrases_of(["dent", "scratch"], {}, better=file))


def test_the_end_of_a_first_stage(tmp_path: Path) -> None:
    file = tmp_path / "stage.json"
    file.write_text('{"checkpoint": "best.ckpt", "epochs": 3, "val": 0.5}')
    for way, data in spoilt(file):
        file.write_bytes(data)
        survives(way, lambda: read_json(file, _Stage, "remove it"))


def test_a_classifier_without_its_classes_is_refused_by_name(run: Callable[[str], Path]) -> None:
    root = run("classifier")
    path = root / "environment.json"
    path.write_text(path.read_text().replace('"classes"', '"clases"'))
    outcome = accepted("", "predict", root, ROOT / "tests/old/0.1.0/source", "--out", root.parent / "out")
    assert (outcome.status, outcome.err) == (2, f"error: {path}: lacks 'classes'; train again\n")
    assert not (root.parent / "out").exists()
    assert Run(root, "classifier").environment()["learner"] == "classifier"
