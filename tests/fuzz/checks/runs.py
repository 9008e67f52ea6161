"""Run directories, settings, attempts and phrases with something odd in them, as commands read them."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import yaml

from finetune.engine.config import load_config
from finetune.engine.runs import open_run, read_config, read_metrics
from finetune.experiments.attempts_file import read_attempts
from finetune.experiments.comparison import compare_runs
from finetune.learners import find_config
from tests.fuzz.check import Check
from tests.fuzz.judge import Judge
from tests.fuzz.mutations import damage_text, damage_words, mutate, swap
from tests.fuzz.values import VALUES, YAMLS

_LEARNERS = ("classifier", "longtail", "vae", "patchcore", "yolo", "yolo-world", "sam")
_ROWS = b"key,image,truth,predicted,correct,p_a\na,a.png,a,a,1,0.5\nb,b.png,a,b,0,0.5\n"
_TABLES = (b"", b"\xff\xfe", b"a" * 200_000 + b",b\n1", b'"' * 1001, b"key\n", b"key,correct\na,maybe\na,1\n", b"\0\n")
_KEYS = ("lr", "epochs", "a.b", "", "weights", "split.val", "augment.turn", "..", "=", "x" * 300)


def _write_run(rng: random.Random, run: Path) -> str:
    """A run in which one file or another is odd; the learner's name."""
    learner = rng.choice(_LEARNERS)
    settings: Any = find_config(learner)().model_dump(mode="json")
    environment: Any = {"learner": learner, "data": "/nowhere", "split_sha256": "x", "classes": ["a"], "notes": []}
    metrics: Any = {"accuracy": 0.5, "map50": 0.1, "image_auroc": 0.9, "seconds": 3.0, "split_sha256": "x"}
    if rng.random() < 0.5:
        environment["schema"] = 2
    files: dict[str, Any] = {"environment.json": environment, "metrics.json": metrics, "config.yaml": settings}
    (run / "checkpoints").mkdir(parents=True)
    for name, value in files.items():
        document = swap(rng, value) if rng.random() < 0.5 else value
        data = _dumped(name, document)
        roll = rng.random()
        if roll < 0.1 and name == "config.yaml":
            data = rng.choice(YAMLS)
        elif roll < 0.15:
            data = mutate(rng, data)
        elif roll < 0.2:
            data = damage_text(rng, data)
        (run / name).write_bytes(data)
    table = rng.choice((_ROWS, mutate(rng, _ROWS), damage_words(rng, _ROWS, ","), rng.choice(_TABLES)))
    (run / "predictions.csv").write_bytes(table)
    return learner


def _dumped(name: str, document: Any) -> bytes:
    if name.endswith(".json"):
        return json.dumps(document).encode()
    try:
        return yaml.safe_dump(document).encode("utf-8", "surrogatepass")
    except yaml.YAMLError:
        return b"lr: 1"


def attempt(home: Path, judge: Judge, rng: random.Random) -> None:
    run, other = home / "runs/one", home / "runs/other"
    shutil.rmtree(home / "runs", ignore_errors=True)
    learner = _write_run(rng, run)
    _write_run(rng, other)
    config = find_config(learner)

    def save(where: Path) -> None:
        shutil.copytree(home / "runs", where, dirs_exist_ok=True)

    judge.run(lambda: read_config(open_run(run), config), "read_config", save)
    judge.run(lambda: (open_run(run).environment(), read_metrics(open_run(run))), "open_run", save)
    judge.run(lambda: find_config(open_run(run).learner), "find_config", save)
    judge.run(lambda: open_run(run).logged_seconds(), "logged_seconds", save)
    pair = [run, other] if rng.random() < 0.5 else [run, home / "runs/../runs/one"]
    compared = judge.run(lambda: compare_runs(pair), "compare_runs", save)
    if compared.status == "ok":
        judge.run(compared.value.table, "Comparison.table", save)
        judge.run(compared.value.as_json, "Comparison.as_json", save)
    _settings(judge, rng, config)
    _attempts(home, judge, rng, learner)


def _settings(judge: Judge, rng: random.Random, config: Any) -> None:
    setting = rng.choice(_KEYS) + rng.choice(("=", "=", "")) + str(rng.choice(VALUES))[:300]
    judge.run(lambda: load_config(config, None, [setting]), f"load_config: {setting[:60]!r}")


def _attempts(home: Path, judge: Judge, rng: random.Random, learner: str) -> None:
    told: Any = {"learner": learner, "data": str(home), "folds": 2, "seeds": [0], "settings": {}}
    document = swap(rng, {**told, "attempts": {"a": {}, "b": {"lr": 0.1}}})
    file = home / "attempts.yaml"
    file.write_bytes(rng.choice(YAMLS) if rng.random() < 0.3 else json.dumps(document).encode())
    judge.run(lambda: read_attempts(file), "read_attempts", lambda where: shutil.copyfile(file, f"{where}.yaml"))


CHECK = Check(count=1500, prepare=lambda home: home, attempt=attempt, memory=0)
