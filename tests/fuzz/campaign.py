"""A check from its first input to its last: started again behind an input that ends the process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.commands import ROOT
from tests.fuzz.check import find_check
from tests.fuzz.judge import Finding

__all__ = ["Result", "campaign"]

_MOST_CRASHES = 50  # beyond, the check itself is at fault


@dataclass
class Result:
    """What a check came to.

    Attributes:
        inputs: how many there were.
        calls: calls of public functions.
        outcomes: status -> calls.
        findings: the first of each kind.
        kinds: kind -> how often it was seen.
    """

    name: str
    seed: int
    inputs: int = 0
    calls: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def __str__(self) -> str:
        told = ", ".join(f"{count} {name}" for name, count in sorted(self.outcomes.items()))
        calls = f"{self.calls} calls ({told})" if self.calls else "no calls"
        line = f"{self.name}: seed {self.seed}, {self.inputs} inputs, {calls}, {len(self.findings)} findings"
        return f"{line}, {self.seconds:.0f} s"


@contextmanager
def _place() -> Iterator[Path]:
    """Where a check works: below the folder that FUZZ_TMP names, or in one of its own."""
    named = os.environ.get("FUZZ_TMP")
    if named:
        Path(named).mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="fuzz-", dir=named)).resolve()
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def campaign(
    name: str,
    seed: int,
    *,
    start: int = 0,
    stop: int | None = None,
    kept: Path | None = None,
    report: Callable[[Finding], object] = lambda finding: None,
) -> Result:
    """Run a check's inputs from `start` up to `stop`.

    Args:
        name: of the check.
        seed: of the random numbers.
        start, stop: numbers of the inputs; the check's own count where `stop` is None.
        kept: folder for the inputs of findings; none are kept where it is None.
        report: told each finding as it comes.
    """
    result = Result(name, seed)
    began = time.monotonic()
    check = find_check(name)
    stop = check.count if stop is None else min(stop, check.count) if check.cases else stop
    result.inputs = max(0, stop - start)
    with _place() as home:
        for crash in range(_MOST_CRASHES):
            ended = _child(result, home / str(crash), start, stop, kept or home / "kept", report)
            if ended is None:
                break
            start = ended + 1
        else:
            result.findings.append(Finding("many crashes: the rest was not tried", start, "see the others"))
    result.seconds = time.monotonic() - began
    return result


def _child(
    result: Result, home: Path, start: int, stop: int, kept: Path, report: Callable[[Finding], object]
) -> int | None:
    """Inputs until the end, None, or until the number of the one at which the process died."""
    work, log, errors = home / "work", home / "log", home / "stderr"
    work.mkdir(parents=True)
    words = [result.name, result.seed, start, stop, work, kept, log]
    with open(errors, "wb") as sink:
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.worker", *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            check=False,
        )
    at, ended = start - 1, False
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else ():
        told: dict[str, Any] = json.loads(line)
        if "finding" in told:
            _note(result, Finding(**told["finding"]), report)
        elif "at" in told:
            at = told["at"]
        else:
            ended = True
            result.calls += told["tried"]
            result.outcomes.update(told["outcomes"])
            result.kinds.update(told["kinds"])
    if not ended:
        stderr = errors.read_text(errors="replace").strip()[-600:]
        _note(result, Finding(f"the process ended: {_how(done.returncode)}", max(at, start), stderr), report)
    shutil.rmtree(home, ignore_errors=True)
    return None if ended else max(at, start)


def _note(result: Result, finding: Finding, report: Callable[[Finding], object]) -> None:
    if finding.kind not in {one.kind for one in result.findings}:
        result.findings.append(finding)
        report(finding)


def _how(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    name = signal.Signals(-status).name
    return {"SIGXCPU": "SIGXCPU, a hang that no handler stopped"}.get(name, name)
