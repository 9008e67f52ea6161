"""The command line in a forked process, struck by a signal at a chosen touch of the file system."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

from toolkit.cli import main

__all__ = ["Ended", "defectkit"]

_TOUCHES = frozenset(
    {
        *("open", "os.rename", "os.link", "os.symlink", "os.mkdir", "os.remove", "os.rmdir", "os.truncate"),
        *("os.scandir", "os.listdir", "shutil.rmtree", "os.chmod", "os.utime"),
    }
)
"""Audit events; what is killed just before one of these has done all that came before it, and nothing of it."""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        status: exit status, or the signal below 0.
        touches: how often it touched the file system; only of a run that was not struck.
    """

    status: int
    err: str
    touches: int = 0


class _Striker:
    """Counts touches, and sends this process a signal at one of them."""

    def __init__(self, number: int, at: int) -> None:
        self.number, self.at, self.count = number, at, 0
        self.process = os.getpid()

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if event not in _TOUCHES:
            return
        self.count += 1
        if self.count == self.at and os.getpid() == self.process:
            os.kill(self.process, self.number)


def defectkit(home: Path, *words: str | Path, number: int = 0, at: int = 0) -> Ended:
    """Run a command; send it the signal `number` at its touch `at`, from 1.

    Args:
        home: folder for what it prints.
    """
    err, counted = home / "stderr", home / "touches"
    counted.unlink(missing_ok=True)
    process = os.fork()
    if process == 0:
        _run([str(word) for word in words], err, counted, number, at)
    _, ended = os.waitpid(process, 0)
    touches = int(counted.read_text()) if counted.exists() else 0
    return Ended(os.waitstatus_to_exitcode(ended), err.read_text(errors="replace"), touches)


def _run(words: list[str], err: Path, counted: Path, number: int, at: int) -> None:
    """In the forked process, which it ends."""
    status = 70
    try:
        for sink, descriptor in ((os.devnull, 1), (err, 2)):
            os.dup2(os.open(sink, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        sys.argv = ["defectkit", *words]
        striker = _Striker(number, at)
        sys.addaudithook(striker)
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException:
            status = 1
            traceback.print_exc()
        if not at:
            counted.write_text(str(striker.count))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)
