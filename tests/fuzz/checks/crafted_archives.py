"""Archives by hand through `prepare`: what is hostile is refused in little memory, and nothing lands outside DEST."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from tests.fuzz.check import Check
from tests.fuzz.judge import Judge
from tests.fuzz.making.archive_cases import archive_cases
from toolkit.intake import prepare as unpack

_CASES = archive_cases()


def attempt(home: Path, judge: Judge, rng: random.Random) -> None:
    case = _CASES[judge.number]
    outer = home / "outer"
    shutil.rmtree(outer, ignore_errors=True)
    outer.mkdir()
    file = home / "archive.bin"
    file.write_bytes(case.make(home))
    before = sorted(home.iterdir())
    done = judge.run(lambda: unpack(file, outer / "dest"), f"prepare: {case.name}")
    if case.want == "refuse" and done.status == "ok":
        judge.find(f"not refused: {case.name}", f"{done.value.products}")
    if case.want == "unpack" and done.status == "refused":
        judge.find(f"refused: {case.name}", f"{done.value}")
    if sorted(home.iterdir()) != before or sorted(path.name for path in outer.iterdir()) not in ([], ["dest"]):
        judge.find(f"something outside of the target: {case.name}", f"{sorted(home.iterdir())}")
    left = sorted(outer.rglob("*"))
    if done.status != "ok" and left:
        judge.find(f"a refusal leaves something behind: {case.name}", f"{left[:5]}")
    if any(path.is_symlink() for path in left):
        judge.find(f"a link was unpacked: {case.name}", f"{left[:5]}")


CHECK = Check(
    count=len(_CASES),
    prepare=lambda home: home,
    attempt=attempt,
    cases=tuple(case.name for case in _CASES),
    memory=3 << 30,
)
