"""The front door: `defectkit COMMAND`. Commands parse, call one function of the packages, and print.

This package alone imports from the floors above. This file imports next to nothing, so that Ctrl-C is met with a line
from the first moment on, while all else is still being loaded.
"""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from toolkit.cli.front import app

__all__ = ["app", "main", "start"]

_INTERRUPTED = 128 + signal.SIGINT  # typer makes it of Ctrl-C
_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
_NEXT = {
    "attempts": "the same command goes on with the runs that are missing",
    "convert": "the same command with --resume goes on from the last checkpoint, if there is one",
    "prepare": "the same command with --resume goes on from the last file",
    "train": "the same command with --resume and --out RUN goes on from the run's last checkpoint, if there is one",
    "view": "the same command with --resume goes on from the last image",
}
"""Command -> what to do after an interruption. Others have to be run again."""


def __getattr__(name: str) -> object:
    if name == "app":
        from toolkit.cli.front import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main() -> None:
    """Run the command line; exit with 0, 1 (a check failed), 2 (the input is at fault) or 128 and a signal's number."""
    words = sys.argv[1:]
    came: list[int] = []  # signals; whatever is running may make anything of the exception that they raise

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        came.append(number)
        raise KeyboardInterrupt

    main_thread = threading.current_thread() is threading.main_thread()  # which alone may have handlers
    before = {number: signal.getsignal(number) for number in _WORDS if main_thread}
    status: int | None = None
    try:
        try:
            for number, handler in before.items():
                if handler in (signal.default_int_handler, signal.SIG_DFL):  # what is ignored stays so, as by nohup
                    signal.signal(number, interrupt)
            from toolkit.cli.front import run

            status = run(words, came)
        except BaseException as error:
            if not came and not isinstance(error, KeyboardInterrupt):
                raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler if status is not None else signal.SIG_IGN)
        if status in (None, _INTERRUPTED) or (came and status):
            status = _say_interrupted(words, came[0] if came else signal.SIGINT)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    sys.exit(status)


def start() -> None:
    """Run the command line as a program of its own, whose end Ctrl-C does not disturb."""
    try:
        main()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _say_interrupted(words: list[str], number: int) -> int:
    """One line that says what to do next; the exit status."""
    command = next((word for word in words if not word.startswith("-")), "")
    told = _NEXT.get(command, "run the same command again")
    if "--resume" in words:
        told = told.replace(" with --resume and --out RUN", "").replace(" with --resume", "")
    print(f"{_WORDS[signal.Signals(number)]}: {told}", file=sys.stderr)
    return 128 + number
