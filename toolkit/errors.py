"""The errors that a user can cause: each names the file, says what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from toolkit.flags import in_python

__all__ = ["BadInputError", "Problem", "ToolkitError"]

_MOST, _END = 1_000, 300  # letters of what is wrong, and of its end where the middle is left out


@dataclass(frozen=True, order=True)
class Problem:
    """One fault in the user's files: where it is, what is wrong, and the way out."""

    file: str
    problem: str
    remedy: str = ""

    def __post_init__(self) -> None:
        # File names are bytes on POSIX, and need not be text: such a name is shown with escapes.
        object.__setattr__(self, "file", self.file.encode(errors="backslashreplace").decode())
        for part in ("problem", "remedy"):  # which may quote a name as long as a damaged file has it
            object.__setattr__(self, part, _cut(getattr(self, part)))

    def __str__(self) -> str:
        return "; ".join(part for part in (f"{self.file}: {self.problem}", self.remedy) if part)


def _cut(text: str) -> str:
    """A text that can be printed, without its middle where nobody would read it to its end."""
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= _MOST else f"{text[: _MOST - _END]} ... {text[-_END:]}"


class ToolkitError(Exception):
    """The user's input is at fault. `str()` is one line: ``FILE: what is wrong; what to do``.

    Texts are given with flags, as the command line has them, and `str()` tells of keyword arguments in their place. The
    command line prints the problems themselves after ``error: ``, and exits with status 2.
    """

    def __init__(self, file: str | Path, problem: str, remedy: str = "") -> None:
        super().__init__(str(file), problem, remedy)
        self.problems: tuple[Problem, ...] = (Problem(str(file), problem, remedy),)

    def __str__(self) -> str:
        return in_python(self.with_flags)

    @property
    def with_flags(self) -> str:
        """What `str()` says, in the words of the command line; reports and galleries have it so."""
        return "\n".join(str(problem) for problem in self.problems)


class BadInputError(ToolkitError):
    """Several files are at fault; `problems` lists every one, and `str()` has a line for each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        found = tuple(problems)
        super().__init__(found[0].file, found[0].problem, found[0].remedy)
        self.problems = found

    def __reduce__(self) -> tuple[type[BadInputError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)
