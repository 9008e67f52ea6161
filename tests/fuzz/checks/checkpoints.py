"""Checkpoints and feature tables: code in them is refused, and never runs; damage is told in a line."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from finetune.engine.checkpoints import read_checkpoint, read_tensors
from finetune.sam.models import read_sam_weights
from finetune.yolo_world.prompts import HASH, WIDTH, TextEmbeddings, phrases_of, read_table, write_table
from tests.fuzz.check import Check
from tests.fuzz.judge import Judge
from tests.fuzz.making.checkpoints import code_behind_tensors, hostile, saved
from tests.fuzz.mutations import mutate, swap
from tests.fuzz.values import VALUES, YAMLS


class _World(NamedTuple):
    home: Path
    readers: dict[str, Callable[[Path], Any]]
    hostile: list[Path]
    sound: list[bytes]


def prepare(home: Path) -> _World:
    readers: dict[str, Callable[[Path], Any]] = {
        "read_tensors": lambda file: read_tensors(file, problem="is damaged", remedy="get another"),
        "read_table": read_table,
        "read_checkpoint": read_checkpoint,
        "read_sam_weights": lambda file: read_sam_weights("vit_b", file),
    }
    try:
        from finetune.detection.runtime import load_ultralytics, read_ultralytics

        load_ultralytics()
        readers["read_ultralytics"] = read_ultralytics
    except ImportError:  # an extra
        pass
    files = []
    for name, data in hostile(home).items():
        files.append(home / f"{name.replace(' ', '-')}.pt")
        files[-1].write_bytes(data)
    table = home / "table.pt"
    write_table(TextEmbeddings(HASH, {"scratch": torch.ones(WIDTH), "hole": torch.zeros(WIDTH)}), table)
    weights = {"state_dict": {"a": torch.zeros(4, 4)}, "epoch": 3}
    return _World(
        home, readers, files, [table.read_bytes(), saved(weights), saved(weights, legacy=True), code_behind_tensors()]
    )


def attempt(world: _World, judge: Judge, rng: random.Random) -> None:
    if judge.number < len(world.hostile):
        file = world.hostile[judge.number]
        for name, reader in world.readers.items():
            read = judge.run(lambda reader=reader: reader(file), f"{name}: {file.name}")
            if read.status == "ok" and not isinstance(read.value, int | float):
                judge.find(f"a hostile file is accepted: {name}", f"{file.name}: {type(read.value)}")
        return
    data = mutate(rng, rng.choice(world.sound))
    file = world.home / "damaged.pt"
    file.write_bytes(data)
    name = rng.choice(sorted(world.readers))
    judge.run(lambda: world.readers[name](file), f"{name}: damaged", lambda where: shutil.copyfile(file, f"{where}.pt"))
    if rng.random() < 0.3:
        _phrases(world, judge, rng)


def _phrases(world: _World, judge: Judge, rng: random.Random) -> None:
    file = world.home / "phrases.yaml"
    document = swap(rng, {"scratch": rng.choice(VALUES), "hole": "a hole"})
    file.write_bytes(rng.choice(YAMLS) if rng.random() < 0.5 else json.dumps(document).encode())
    judge.run(
        lambda: phrases_of(["scratch", "hole", "good"], {"scratch": {"zipper"}}, better=file),
        "phrases_of",
        lambda where: shutil.copyfile(file, f"{where}.yaml"),
    )


CHECK = Check(count=800, prepare=prepare, attempt=attempt, memory=0)
