"""Programs of tests, in processes that are forked where everything is loaded: importing torch takes seconds.

What a test wants to know of a fresh interpreter, as what it imports, needs `subprocess` all the same.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from tests.commands import PATIENCE, ROOT, Outcome
from tests.forks import FORKS

__all__ = ["finish", "run", "start"]


def start(
    code: str, *words: str | Path, environment: Mapping[str, str] | None = None, says: Path | None = None
) -> BaseProcess:
    """Begin what `python -c code words...` would do; in a folder `says`, files stdout and stderr have what it says."""
    process = FORKS.Process(target=_run, args=(code, [str(word) for word in words], dict(environment or {}), says))
    process.start()
    return process


def finish(process: BaseProcess) -> int:
    """Wait for a process: its exit status, or the negative number of the signal that ended it."""
    process.join(PATIENCE)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"a process hangs: {process}")
    return process.exitcode


def run(code: str, *words: str | Path, environment: Mapping[str, str] | None = None) -> Outcome:
    """What `python -c code words...` leaves behind."""
    with TemporaryDirectory() as says:
        status = finish(start(code, *words, environment=environment, says=Path(says)))
        return Outcome(status, *(Path(says, name).read_text() for name in ("stdout", "stderr")))


def _run(code: str, words: list[str], environment: dict[str, str], says: Path | None) -> None:
    for number, name in enumerate(("stdout", "stderr") if says else (), 1):
        os.dup2(os.open(f"{says}/{name}", os.O_WRONLY | os.O_CREAT, 0o666), number)
    os.chdir(ROOT)
    os.environ |= environment
    sys.argv = ["-c", *words]
    torch.set_num_threads(1)
    exec(code, {"__name__": "__main__"})
