"""Predictions on their way to disk, an image at a time: however many there are, memory holds a share of them.

OUT/predictions.csv    a row for each image; `problem` says why one could not be predicted
OUT/labels/FORMAT/     label trees, of a learner that makes labels
OUT/NAME.json          what a learner lists of all images
"""

from __future__ import annotations

import csv
import io
import json
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import indent
from typing import IO, overload

from converters.writing.pipeline import write_labels
from finetune.engine.runs import Number, Row
from finetune.engine.shares import PredictedFile
from toolkit.aliases import JsonObject
from toolkit.errors import BadInputError, Problem

__all__ = ["PredictedRows", "keep_predictions"]

PROBLEM = "problem"
"""The last column of every learner's rows."""

_KEPT = 1000  # rows that stay in memory; of more, the others are read from the file when they are asked for


class PredictedRows(Sequence[Row]):
    """The rows of predictions.csv, in the order of the images.

    The first thousand are in memory. Of more, the others are read from the file when they are asked for, so that it has
    to stand where it was written.

    Attributes:
        problems: what is wrong with the images that could not be predicted; their rows have nothing but `problem`.
    """

    def __init__(self, file: Path) -> None:
        """Begin with no rows."""
        self.problems: list[Problem] = []
        self._file = file
        self._columns: tuple[str, ...] = ()
        self._kinds: dict[str, type] = {}
        self._kept: list[Row] = []
        self._places = array("Q")  # where each row begins in the file, and where the last one ends

    def __len__(self) -> int:
        return max(0, len(self._places) - 1)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> list[Row]: ...
    def __getitem__(self, place: int | slice) -> Row | list[Row]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        number = range(len(self))[place]
        if number < len(self._kept):
            return dict(self._kept[number])
        with open(self._file, "rb") as file:
            return self._read(file, number)

    def __iter__(self) -> Iterator[Row]:
        yield from (dict(row) for row in self._kept)
        if len(self) > len(self._kept):
            with open(self._file, "rb") as file:
                for number in range(len(self._kept), len(self)):
                    yield self._read(file, number)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self)} rows of {self._file}>"

    def moved(self, file: Path) -> PredictedRows:
        """The same rows; from now on the file is said to stand here."""
        self._file = file
        return self

    def _read(self, file: IO[bytes], number: int) -> Row:
        begin, end = self._places[number], self._places[number + 1]
        file.seek(begin)
        text = io.StringIO(file.read(end - begin).decode(), newline="")
        cells = dict(zip(self._columns, next(csv.reader(text)), strict=True))
        bad = bool(cells[PROBLEM])
        return {name: self._value(name, cell, bad) for name, cell in cells.items()}

    def _value(self, name: str, cell: str, bad: bool) -> Number:
        kind = self._kinds.get(name, str)
        if not cell and (bad or name == PROBLEM or kind is not str or name not in self._kinds):
            return None
        return cell if kind is str else kind(cell)

    def begin(self, table: IO[bytes], columns: Iterable[str]) -> None:
        """Say what the columns are."""
        self._columns = (*columns, PROBLEM)
        table.write(_line(self._columns))
        self._places.append(table.tell())

    def put(self, table: IO[bytes], row: Mapping[str, Number]) -> None:
        """Put a row behind those that there are. It has all columns, or `file` and `problem` alone."""
        told: Row = {name: row.get(name) for name in self._columns}
        for name, value in told.items():
            if value is not None:
                self._kinds.setdefault(name, type(value))
        table.write(_line(told.values()))
        self._places.append(table.tell())
        if len(self._kept) < _KEPT:
            self._kept.append(told)


def keep_predictions(
    told: Iterable[PredictedFile],
    out: Path,
    *,
    formats: Sequence[str] = (),
    classes: Sequence[str] = (),
    listed: str = "",
) -> PredictedRows:
    """Write what is made of images as it comes.

    Args:
        told: an item for each image.
        out: folder to write into.
        formats: of the label trees, of a learner that makes labels.
        classes: names of all classes in them.
        listed: name of the file that lists what is found, "" for none.

    Raises:
        BadInputError: not one of the images could be predicted.
        ToolkitError: as `told`, or something cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows = PredictedRows(out / "predictions.csv")
    with open(out / "predictions.csv", "wb") as table, _listing(out / listed if listed else None) as listing:
        labelled = (
            one.labelled for one in _put_down(told, rows, table, listing) if one.labelled is not None
        )  # taken one at a time
        if formats:
            write_labels(labelled, out / "labels", formats, classes=classes, image_mode="copy", overwrite=True)
        else:
            deque(labelled, maxlen=0)
    return rows


def _put_down(
    told: Iterable[PredictedFile], rows: PredictedRows, table: IO[bytes], listing: Callable[[JsonObject], None]
) -> Iterator[PredictedFile]:
    """The same items, each when its row is written; problems wait for the first row that says what the columns are."""
    waiting: list[Row] = []
    for one in told:
        waiting.append({**one.row, PROBLEM: None if one.problem is None else _reason(one.problem)})
        if one.problem is not None:
            rows.problems.append(one.problem)
        elif not rows:
            rows.begin(table, one.row)
        if one.problem is None or rows:
            for row in waiting:
                rows.put(table, row)
            waiting.clear()
        for found in one.found:
            listing(found)
        yield one
    if not rows and rows.problems:
        raise BadInputError(rows.problems)


@contextmanager
def _listing(file: Path | None) -> Iterator[Callable[[JsonObject], None]]:
    """What adds an object to the list in a JSON file, whose bytes are those of `write_json`."""
    if file is None:
        yield lambda found: None
        return
    with open(file, "wb") as listed:
        between = ["[\n"]

        def add(found: JsonObject) -> None:
            text = json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False)
            listed.write((between[0] + indent(text, "  ")).encode(errors="backslashreplace"))
            between[0] = ",\n"

        yield add
        listed.write(b"\n]\n" if listed.tell() else b"[]\n")


def _reason(problem: Problem) -> str:
    return "; ".join(part for part in (problem.problem, problem.remedy) if part)


def _line(cells: Iterable[Number]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode(errors="backslashreplace")
