"""One input after another: what came of it, and what of that is a finding.

A public function returns, or raises a `ToolkitError` whose every problem names the file, the fault and the way out.
Another exception, a hang, a gigabyte more of memory, or code out of a file that ran are findings.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tests.commands import ROOT
from toolkit.errors import ToolkitError

__all__ = ["SECONDS", "TRAP", "Finding", "Judge", "Outcome", "Save"]

SECONDS = float(os.environ.get("FUZZ_SECONDS", "60"))
"""Of the processor; an input that takes longer hangs."""

TRAP = "code-ran"
"""Hostile files make a file of this name in the working folder, if they get code to run."""

_SPARE = 1 << 30  # bytes of resident memory that one input may add
_LONGEST = 3000  # letters of one problem
_SHOWN = 300  # letters of one detail
_REAL = 12  # times as long on the clock, for a process that waits

Save = Callable[[Path], object]
"""Keeps the input at a path, to which it may add an ending."""


class Outcome(NamedTuple):
    """What came of a call: its value, or the error that refused the input."""

    status: Literal["ok", "refused", "finding"]
    value: Any


@dataclass(frozen=True)
class Finding:
    """A fault, by the first input that shows it.

    Attributes:
        kind: what is the same for all inputs that show it: the exception and the line of ours, for instance.
        number: of the input.
        detail: what was seen.
        kept: where the input lies; "" where it was not kept.
    """

    kind: str
    number: int
    detail: str
    kept: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class _HangError(BaseException):
    """Not to be caught by what handles damaged files."""


def _stop(*_: object) -> None:
    raise _HangError


class Judge:
    """Runs inputs, counts what came of them, and keeps the first of each kind of finding."""

    def __init__(self, seed: int, kept: Path, report: Callable[[Finding], object]) -> None:
        self.seed = seed
        self.number = 0
        self.tried = 0
        self.outcomes: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self._kept = kept
        self._report = report
        signal.signal(signal.SIGALRM, _stop)
        signal.signal(signal.SIGPROF, _stop)

    def find(self, kind: str, detail: str, save: Save | None = None) -> None:
        """Note a finding; the first of its kind is reported, and its input kept."""
        self.kinds[kind] += 1
        if self.kinds[kind] > 1:
            return
        place = ""
        if save is not None:
            slug = "".join(letter if letter.isalnum() else "_" for letter in kind)[:80]
            target = self._kept / f"{slug}-{self.seed}-{self.number}"
            with suppress(OSError):
                target.parent.mkdir(parents=True, exist_ok=True)
                save(target)
                place = str(target)
        self._report(Finding(kind, self.number, detail[:_SHOWN], place))

    def run(self, function: Callable[[], Any], what: str, save: Save | None = None) -> Outcome:
        """Call a public function on an input.

        Args:
            function: the call.
            what: its name and the kind of input up to a colon, by which hangs are told apart; then more of it.
            save: keeps the input.
        """
        self.tried += 1
        before = _restart_peak()
        outcome = self._clocked(function, what, save)
        grown = _peak() - before
        if grown > _SPARE:
            self.find(f"memory: {what.split(':')[0]}", f"{what}: {grown >> 20} MB more", save)
        if Path(TRAP).exists():
            Path(TRAP).unlink()
            self.find(f"code out of a file ran: {what.split(':')[0]}", what, save)
        self.outcomes[outcome.status] += 1
        return outcome

    def _clocked(self, function: Callable[[], Any], what: str, save: Save | None) -> Outcome:
        limit = int(time.process_time() + 2 * SECONDS + 2)  # what no signal handler of Python stops, the kernel does
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.setitimer(signal.ITIMER_REAL, _REAL * SECONDS)
        try:
            return Outcome("ok", function())
        except ToolkitError as error:
            self._read_error(error, what, save)
            return Outcome("refused", error)
        except _HangError:
            self.find(f"hang: {what.split(':')[0]}", f"{what}: more than {SECONDS:g} s", save)
            return Outcome("finding", None)
        except Exception as error:
            self.find(f"{type(error).__name__} at {_line_of(error)}", f"{what}: {error!s}", save)
            return Outcome("finding", error)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.setitimer(signal.ITIMER_PROF, 0)

    def _read_error(self, error: ToolkitError, what: str, save: Save | None) -> None:
        """Whether the error says in a line which file, what is wrong, and what to do."""
        place = _line_of(error)
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, MemoryError):
                self.find(f"memory asked for beyond the limit: {place}", f"{what}: {error}", save)
            cause = cause.__cause__
        for problem in error.problems[:50]:
            text = str(problem)
            faults = {
                "without a remedy": not problem.remedy.strip(),
                "without a file or a fault": not problem.problem.strip() or not problem.file,
                "that is long": len(text) > _LONGEST,
                "that cannot be printed": text != text.encode(errors="replace").decode(),
            }
            for fault in (name for name, there in faults.items() if there):
                self.find(f"a message {fault}: {place}", f"{what}: {text[:_SHOWN]!r}", save)


def _line_of(error: BaseException) -> str:
    """The innermost line of the packages that an error passed."""
    frames = traceback.extract_tb(error.__traceback__)
    packages = tuple(str(ROOT / name) + os.sep for name in ("toolkit", "converters", "finetune"))
    frame = next((frame for frame in reversed(frames) if frame.filename.startswith(packages)), frames[-1])
    return f"{os.path.relpath(frame.filename, ROOT)}:{frame.lineno} {frame.name}"


def _restart_peak() -> int:
    """Let the peak of resident memory begin anew where the kernel can; bytes of it now."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    """Bytes. What getrusage tells includes the parent's, so that /proc goes before it."""
    with suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
