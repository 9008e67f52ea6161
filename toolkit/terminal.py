"""What a person at a terminal sees: progress, tables, one-line errors. And the one JSON object that a program sees."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from toolkit.errors import ToolkitError

__all__ = ["print_error", "print_json", "print_notes", "print_table", "progress_bar"]


@contextmanager
def progress_bar(text: str) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on stderr while the block runs: yields what to call with (done, total), or None off a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on stdout; the first column is text, the others are numbers."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index == 0 else "right", no_wrap=index == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))  # names are shown as they are, not as markup
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def print_notes(notes: Iterable[str]) -> None:
    """Remarks, one line each, on stderr."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def print_error(error: ToolkitError) -> None:
    """One line for each problem, on stderr."""
    for problem in error.problems:
        print("error: " + " ".join(str(problem).split()), file=sys.stderr)


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on stdout."""
    import orjson

    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode() + "\n")
