"""What is tried on the damaged labels of a format: they are read, converted and verified, or refused in a line."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from converters import convert, read_labels, verify
from tests.fuzz.judge import Judge
from tests.fuzz.making.trees import copy_tree

__all__ = ["go_the_road"]


def go_the_road(
    sound: Path,
    home: Path,
    damage: Callable[[random.Random, Path], str],
    formats: tuple[str, Sequence[str]],
    judge: Judge,
    rng: random.Random,
) -> None:
    """Read, convert and verify a copy of a sound tree that was damaged.

    Args:
        sound: the tree.
        home: the folder that everything is written into.
        damage: changes the copy, and says how.
        formats: to convert to: one, and another drawn from several.
        judge: takes up what is found.
        rng: the input's own random numbers.
    """
    name = sound.name
    for old in ("now", "out"):
        shutil.rmtree(home / old, ignore_errors=True)
    root = copy_tree(sound, home / "now")
    what = damage(rng, root)

    def keep(where: Path) -> None:
        shutil.copytree(root, where, dirs_exist_ok=True)

    read = judge.run(lambda: _read(root), f"read_labels {what}: {name}", keep)
    if read.status != "ok":
        return
    wanted = [formats[0], rng.choice(formats[1])]
    mode: Literal["fail", "skip"] = "fail" if rng.random() < 0.5 else "skip"
    out = home / "out"
    done = judge.run(lambda: convert(root, out, wanted, on_problem=mode), f"convert {what}: {name}", keep)
    if done.status != "ok":
        if out.exists() and any(out.iterdir()):
            judge.find("an error leaves something behind", f"{sorted(out.iterdir())} {name}", keep)
        return
    told = judge.run(lambda: verify(out, against=root), f"verify {what}: {name}", keep)
    if told.status == "ok" and not told.value.passed:
        judge.find(f"convert succeeds, verify fails: {what}", f"{told.value.failures[:2]}", keep)


def _read(root: Path) -> int:
    return sum(len(image.instances) for image in read_labels(root))
