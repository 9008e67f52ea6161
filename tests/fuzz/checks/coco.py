"""COCO files with one thing odd in each: read, converted to every format and verified; nothing from outside gets in."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np

from converters import convert, read_labels, verify
from tests.commands import save
from tests.fuzz.check import Check
from tests.fuzz.judge import Judge, Outcome
from tests.fuzz.making.coco_cases import HEIGHT, SECRET, SOUND, WIDTH, CocoCase, coco_cases
from tests.fuzz.making.trees import FORMATS

_CASES = coco_cases()


def _make(home: Path, case: CocoCase) -> Path:
    """A tree in a folder of its own, beside which something lies that nobody may have."""
    shutil.rmtree(home / "in", ignore_errors=True)
    shutil.rmtree(home / "out", ignore_errors=True)
    root = home / "in/tree"
    for name in ("a.png", "b.png"):
        save(root / "images/train" / name, np.full((HEIGHT, WIDTH), 90, np.uint8))
    for place in (home / "in", home):  # an image, so that nothing else than its place is wrong with it
        secret = save(place / "secret.png", np.full((HEIGHT, WIDTH), 30, np.uint8))
        secret.write_bytes(secret.read_bytes() + SECRET)
    if b"link.png" in case.data:
        (root / "images/train/link.png").symlink_to("../../../secret.png")
    (root / "annotations").mkdir()
    (root / "annotations/instances_train.json").write_bytes(case.data)
    return root


def _read(root: Path) -> list[tuple[str, tuple[int, int, int, int], int]]:
    return [(one.label, one.bbox, one.area) for image in read_labels(root) for one in image.instances]


def attempt(home: Path, judge: Judge, rng: random.Random) -> None:
    case = _CASES[judge.number]
    root = _make(home, case)

    def keep(where: Path) -> None:
        where.with_suffix(".json").write_bytes(case.data)

    read = judge.run(lambda: _read(root), f"read_labels: {case.name}", keep)
    wanted = FORMATS[:-1] if judge.number % 4 == 0 else ("masks", rng.choice(FORMATS[:6]))
    done = judge.run(lambda: convert(root, home / "out", wanted), f"convert: {case.name}", keep)
    if case.want == "read" and (read.value != [SOUND] or done.status != "ok"):
        judge.find(f"not read: {case.name}", f"{read.value} {done.value}", keep)
    if case.want == "refuse" and done.status == "ok":
        judge.find(f"not refused: {case.name}", f"{read.value}", keep)
    _check_output(home / "out", judge, case, done)
    if done.status == "ok":
        told = judge.run(lambda: verify(home / "out", against=root), f"verify: {case.name}", keep)
        if told.status == "ok" and not told.value.passed:
            judge.find(f"convert succeeds, verify fails: {case.name}", f"{told.value.failures[:2]}", keep)


def _check_output(out: Path, judge: Judge, case: CocoCase, done: Outcome) -> None:
    files = [path for path in out.rglob("*") if path.is_file()] if out.exists() else []
    for path in files:
        content = path.read_bytes()
        if SECRET in content or content.startswith(b"root:"):
            judge.find(f"a file from outside is in the output: {case.name}", str(path.relative_to(out)))
    if done.status != "ok" and out.exists() and any(out.iterdir()):
        judge.find(f"an error leaves something behind: {case.name}", f"{sorted(out.iterdir())[:3]}")


CHECK = Check(
    count=len(_CASES),
    prepare=lambda home: home,
    attempt=attempt,
    cases=tuple(case.name for case in _CASES),
    memory=4 << 30,
)
