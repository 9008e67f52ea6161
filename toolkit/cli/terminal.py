"""What a person at a terminal sees: progress, tables, one-line errors. And the one JSON object that a program sees."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from textwrap import indent
from typing import Any

from toolkit.errors import ToolkitError

__all__ = [
    "print_error",
    "print_failures",
    "print_json",
    "print_json_error",
    "print_json_rows",
    "print_manifests",
    "print_notes",
    "print_table",
    "print_verification",
    "progress_bar",
    "say",
    "short_figure",
    "told_at_once",
]

_PIPE_WIDTH = 120  # columns of a table that no terminal shows
_SHOWN = 20  # failures of a check; a tree that is compared with the wrong source has thousands
_MANY = 10  # problems from which a line at the end says how many there are


@contextmanager
def progress_bar(text: str) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on stderr while the block runs: yields what to call with (done, total), or None off a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def told_at_once(progress: object, *, quiet: bool = False) -> Iterator[list[str]]:
    """Print on stderr what a learner tells while the block runs: its notes, and where no bar shows them its epochs.

    Args:
        progress: what `progress_bar` yields; None where there is no terminal.
        quiet: tell notes alone.

    Yields:
        The notes that were told, as they come.
    """
    from finetune.engine.remarks.telling import listening

    notes: list[str] = []

    def told(kind: str, text: str) -> None:
        if kind == "note" and text not in notes:  # the runs of attempts find the same
            notes.append(text)
            print_notes([text])
        elif kind == "progress" and progress is None and not quiet and sys.stderr is not None:
            print(text, file=sys.stderr, flush=True)

    with listening(told):
        yield notes


def say(text: str) -> None:
    """Text on stdout. That its reader has gone away (`| head`) is no error, and ends nothing."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]], *, texts: int = 1) -> None:
    """A table on stdout; the first `texts` columns are text, the others are numbers."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index < texts else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))  # names are shown as they are, not as markup
    console = Console(width=None if sys.stdout is not None and sys.stdout.isatty() else _PIPE_WIDTH)
    with console.capture() as captured:
        console.print(table)
    say("\n".join(line.rstrip() for line in captured.get().rstrip().splitlines()) + "\n")


def print_manifests(manifests: Mapping[str, Mapping[str, Any]], title: str) -> None:
    """A row for every label tree that was written: what is in it, and how exact it is."""
    from converters.writing.summary import MANIFEST_HEADER, manifest_rows

    print_table(title, MANIFEST_HEADER, manifest_rows(manifests))


def print_verification(title: str, trees: Sequence[Mapping[str, Any]]) -> None:
    """A row for every label tree that was verified, and the worst images of those that are not exact.

    A dash stands where nothing was compared, or what was has no pixels.

    Args:
        title: what was verified.
        trees: as they stand in the JSON of `defectkit verify`.
    """
    rows = [
        [
            tree["format"],
            tree["images"],
            f"{tree['exact']} of {tree['compared']}" if tree["compared"] else "-",
            "-" if tree["min_iou"] is None else f"{tree['min_iou']:.4f}",
            len(tree["failures"]),
        ]
        for tree in trees
    ]
    print_table(title, ["format", "images", "exact", "min IoU", "failures"], rows)
    worst = [
        [tree["format"], image["key"], f"{image['iou']:.4f}", image["lost"], image["gained"]]
        for tree in trees
        for image in tree["worst"]
    ]
    if worst:
        print_table("the worst images", ["format", "image", "IoU", "px lost", "px gained"], worst, texts=2)


def print_notes(notes: Iterable[str]) -> None:
    """Remarks, one line each, on stderr."""
    for note in dict.fromkeys(notes):
        print(f"note: {note}", file=sys.stderr)


def print_failures(lines: Sequence[str], most: int = _SHOWN) -> None:
    """What a check found wrong, on stderr, at most so many lines of it."""
    for line in lines[:most]:
        print(f"failed: {line}", file=sys.stderr)
    if len(lines) > most:
        print(f"failed: {len(lines) - most} more; --json lists all", file=sys.stderr)


def print_error(error: ToolkitError) -> None:
    """One line for each problem, on stderr."""
    for problem in error.problems:
        print("error: " + " ".join(str(problem).split()), file=sys.stderr)
    if len(error.problems) > _MANY:
        print(f"note: {len(error.problems)} problems in all", file=sys.stderr)


def print_json_error(error: ToolkitError) -> None:
    """An error as one JSON object on stdout, for those who asked for JSON."""
    told = [{"file": one.file, "problem": one.problem, "remedy": one.remedy} for one in error.problems]
    with suppress(OSError):  # where stdout itself is at fault, the line on stderr has said so
        print_json({"error": " ".join(str(error.problems[0]).split()), "problems": told})


def short_figure(value: object) -> str:
    """A figure in a table; "-" for one that could not be had, which is null in JSON."""
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.4f}"
    return "-" if value is None else str(value)


def print_json(value: Mapping[str, object]) -> None:
    """One JSON object on stdout."""
    import orjson

    say(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode())


def print_json_rows(about: Mapping[str, object], name: str, rows: Iterable[Mapping[str, object]]) -> None:
    """One JSON object on stdout: `about`, and a list of rows as its last member, which are taken one at a time."""
    import orjson

    def told(value: object) -> str:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode()

    say(told(about).removesuffix("\n}") + f",\n  {told(name)}: [")
    before = None
    for row in rows:
        if before is not None:
            say(before + ",")
        before = indent(told(row), "    ")
    say(f"{before or ''}\n  ]\n}}")
