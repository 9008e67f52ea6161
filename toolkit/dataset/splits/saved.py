"""Splits as CSV files."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, unquote

from pydantic import AfterValidator, BeforeValidator, ConfigDict, ValidationError

from toolkit.dataset.samples import Sample
from toolkit.dataset.splits.model import NONE, SUBSETS, Split, is_named, strata_of
from toolkit.errors import BadInputError, Problem, ToolkitError
from toolkit.files.typed import Row

__all__ = ["load_split", "read_split", "write_split"]


def write_split(split: Mapping[str, str], path: str | Path) -> None:
    """Save a split: a comment line, then `key,subset` sorted by key.

    Raises:
        ToolkitError: the file cannot be written.
    """
    from toolkit.files.locks import locked
    from toolkit.files.publish import write_whole

    strategy = split.strategy if isinstance(split, Split) else "file"
    settings = split.settings if isinstance(split, Split) else {}
    every = dict(split) | dict.fromkeys(split.left_out if isinstance(split, Split) else (), NONE)
    words = {"strategy": strategy, **settings, "samples": len(every)}
    told = " ".join(f"{name}={_word(value)}" for name, value in words.items())
    rows = [f"# {told}", "key,subset", *(f"{_quote(key)},{every[key]}" for key in sorted(every))]
    with locked(path):
        write_whole(Path(path), ("\n".join(rows) + "\n").encode())


_PLAIN = "/:{}()[]*?^$|.\\+=<>!#&@'~`"  # with letters and digits all that neither spreadsheets nor we split at


def _word(value: object) -> str:
    """A setting as one word, what would end it written as in URLs; several names with "+" between them."""
    if isinstance(value, tuple):
        return "+".join(quote(str(one), safe=_PLAIN.replace("+", "")) for one in value)
    return quote(str(value), safe=_PLAIN)


def _names(word: str) -> tuple[str, ...]:
    return tuple(unquote(one) for one in word.split("+")) if word else ()


def _quote(key: str) -> str:
    return '"' + key.replace('"', '""') + '"' if any(c in key for c in ',"#\r\n') else key


def read_split(path: str | Path, dataset: Sequence[Sample]) -> Split:
    """Read a split and check it against the dataset.

    A split made with "uniform" leaves samples out on purpose, any other the classes that its first line names as left
    out; elsewhere every sample that has a label must be listed, those to be left out with the subset "none".

    Raises:
        ToolkitError: unknown, missing or doubled keys, subsets other than train, val, test and none, or a subset for an
            image without a label.
    """
    path = Path(path)
    strata = strata_of(dataset)
    unlabelled = {sample.key for sample in dataset if sample.kind == "unlabelled"}
    rows, told = _known_rows(path, strata)
    subsets, problems = _subsets(path, rows, strata, unlabelled)
    if told.strategy == "uniform" and told.samples is not None:
        lost = told.samples - len(rows)
        if lost > 0:
            problems.append(Problem(str(path), f"{lost} of its {told.samples} lines are missing", "make it again"))
    else:
        missing = sorted(strata.keys() - subsets.keys() - unlabelled)
        remedy = f"add a line for it, with the subset {NONE} to leave it out"
        problems += [
            Problem(str(path), f"the key {key!r} is missing", remedy)
            for key in missing
            if not is_named(strata[key], told.left_out)
        ]
    if problems:
        raise BadInputError(problems)
    return _split(subsets, told)


def load_split(path: str | Path, known: Collection[str] = ()) -> Split:
    """Read a split as it stands, whatever dataset it is of.

    Args:
        path: the CSV file.
        known: keys that are taken as they are; from others spaces around them are removed.

    Raises:
        ToolkitError: doubled keys, or subsets other than train, val, test and none.
    """
    path = Path(path)
    cells, told = _read_rows(path)
    rows = [(line, key if key in known else key.strip(), subset) for line, key, subset in cells]
    subsets, problems = _subsets(path, rows, None, set())
    if problems:
        raise BadInputError(problems)
    return _split(subsets, told)


_LONGEST = 200  # characters of a key in a message


def _subset(word: str) -> str:
    if word not in (*SUBSETS, NONE):
        raise ValueError(f"unknown subset {_shown(word)}")
    return word


def _counted(word: object) -> object:
    """A count of lines; what is no number counts nothing."""
    return int(word) if isinstance(word, str) and re.fullmatch("[0-9]{1,18}", word) else None


class _Assigned(Row):
    """A row: the image of a key is of a subset, or of none."""

    key: str
    subset: Annotated[str, AfterValidator(_subset)]


class _Told(Row):
    """What the first comment says of how a split was made; words without a field are its settings."""

    model_config = ConfigDict(extra="allow")

    strategy: str = "file"
    samples: Annotated[int | None, BeforeValidator(_counted)] = None
    left_out: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()

    def settings(self) -> dict[str, object]:
        words = {name: unquote(str(word)) for name, word in (self.model_extra or {}).items()}
        return words | ({"left_out": self.left_out} if "left_out" in self.model_fields_set else {})


_Row = tuple[int, str, str]


def _known_rows(path: Path, known: Collection[str]) -> tuple[list[_Row], _Told]:
    """The rows of a split that has at least one image of the dataset, and what its first comment says."""
    cells, told = _read_rows(path)
    rows = [(line, key if key in known else key.strip(), subset) for line, key, subset in cells]
    if all(key not in known for _, key, _ in rows):
        problem = f"none of its {len(rows)} keys is in the dataset (such as {_shown(rows[0][1])})"
        raise ToolkitError(path, problem, "name the split of this dataset, or make one with 'defectkit split'")
    return rows, told


def _shown(word: str) -> str:
    """A word of the file in a message, which stays readable."""
    return repr(word if len(word) <= _LONGEST else f"{word[:_LONGEST]}...")


def _subsets(
    path: Path, rows: Sequence[_Row], known: Collection[str] | None, unlabelled: Collection[str]
) -> tuple[dict[str, str], list[Problem]]:
    """Key -> subset, and what is wrong with the rows."""
    problems: list[Problem] = []
    subsets: dict[str, str] = {}
    for line, key, subset in rows:
        place = f"{path}:{line}"
        if key in subsets:
            problems.append(Problem(place, f"the key {_shown(key)} stands twice", "remove one of the two lines"))
        elif known is not None and key not in known:
            problems.append(
                Problem(place, f"the key {_shown(key)} is not in the dataset", "remove the line, or correct it")
            )
        elif fault := _fault(key, subset):
            problems.append(Problem(place, fault, f"use {', '.join(SUBSETS)} or {NONE}"))
        elif key in unlabelled and subset != NONE:
            problems.append(Problem(place, f"the image {key!r} has no label", f"remove the line, or use {NONE}"))
        subsets[key] = subset
    return subsets, problems


def _fault(key: str, subset: str) -> str:
    """What is wrong with a row by itself; "" for nothing."""
    try:
        _Assigned(key=key, subset=subset)
    except ValidationError as error:
        return str(error.errors()[0]["ctx"]["error"])
    return ""


def _split(subsets: Mapping[str, str], told: _Told) -> Split:
    kept = {key: subset for key, subset in subsets.items() if subset != NONE}
    return Split(kept, strategy=told.strategy, settings=told.settings(), left_out=subsets.keys() - kept.keys())


def _read_rows(path: Path) -> tuple[list[_Row], _Told]:
    """(line number, key, subset) of each row, and what the first comment says."""
    import csv

    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # names may hold what else ends a line in Unicode
    except OSError as error:
        raise ToolkitError(path, f"cannot be read ({error.strerror})", "make it with 'defectkit split'") from error
    except UnicodeDecodeError as error:
        raise ToolkitError(path, "is no text in UTF-8", "save it as CSV UTF-8") from error
    told: dict[str, str] = {}
    if lines and lines[0].startswith("#"):
        words = lines[0][1:].rstrip(",;").split()  # spreadsheets fill the line with separators
        told = dict(word.split("=", 1) for word in words if "=" in word)
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#") or line.replace(" ", "") == "key,subset":
            continue
        try:
            cells = next(csv.reader([line]))
        except csv.Error as error:
            raise ToolkitError(f"{path}:{number}", f"is not of the form key,subset ({error})", "correct it") from error
        if len(cells) != 2:
            remedy = "put a comma between the two, not a semicolon" if ";" in line else "correct the line"
            raise ToolkitError(f"{path}:{number}", "is not of the form key,subset", remedy)
        rows.append((number, cells[0], cells[1].strip()))
    if not rows:
        raise ToolkitError(path, "assigns no samples", "make it with 'defectkit split'")
    return rows, _Told.model_validate(told)
