"""Tables and documents beside images: read whole, and refused by name where they are not what they should be."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.errors import ToolkitError
from toolkit.files.typed import parse_json

__all__ = ["read_columns", "read_json", "read_lines", "read_table"]

_LONGEST = 1 << 28  # characters in a field: run lengths of large masks are longer than csv's default allows
_SHOWN = 40  # characters of a column's name, in a message


def read_lines(path: Path) -> list[str]:
    """The lines of a text file.

    Raises:
        ToolkitError: it cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ToolkitError(path, f"cannot be read ({_first_line(error)})", "give a text file in UTF-8") from error


def read_table(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The records of a CSV file with a header, each with its line; space around a field is left out.

    Args:
        path: the file.
        columns: those that it must have.

    Raises:
        ToolkitError: it cannot be read, lacks a column, or a record has more or fewer fields than the header.
    """
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST))
    records = csv.reader(read_lines(path), skipinitialspace=True)
    try:
        header = [name.strip() for name in next(records, [])]
        missing = [name for name in columns if name not in header]
        if missing:
            shown = ", ".join(name[:_SHOWN] for name in header[:5]) or "nothing"
            raise ToolkitError(path, f"has no column {missing[0]!r} (it has: {shown})", "give the table its header")
        for fields in records:
            if not any(field.strip() for field in fields):
                continue
            if len(fields) != len(header):
                what = f"line {records.line_num} has {len(fields)} fields, its header {len(header)}"
                raise ToolkitError(path, what, "correct the line")
            yield records.line_num, dict(zip(header, (field.strip() for field in fields), strict=True))
    except csv.Error as error:
        raise ToolkitError(path, f"line {records.line_num}: {error}", "correct the line") from error


def read_columns(path: Path, columns: Sequence[str], skip: int = 0) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The records of a file without a header whose fields are divided by tabs; fields that a line lacks are empty.

    Args:
        path: the file.
        columns: names for its fields.
        skip: lines before the first record.

    Raises:
        ToolkitError: it cannot be read, or a line has more fields than there are columns.
    """
    for number, line in enumerate(read_lines(path)[skip:], skip + 1):
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) > len(columns):
            raise ToolkitError(path, f"line {number} has {len(fields)} fields, not {len(columns)}", "correct the line")
        if any(fields):
            yield number, {**dict.fromkeys(columns, ""), **dict(zip(columns, fields, strict=False))}


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        ToolkitError: it cannot be read, or is no JSON.
    """
    return parse_json(path, "give the whole file")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
