"""Small files spoilt in every way that one can think of: key by key, cell by cell, and as bytes."""

from __future__ import annotations

import copy
import csv
import io
import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import yaml

from tests.commands import Outcome, defectkit
from toolkit.errors import ToolkitError

__all__ = [
    "accepted",
    "spoilt",
    "spoilt_bytes",
    "survives",
]

Spoilt = Iterator[tuple[str, bytes]]
"""What was done, and what stands in the file then."""

_Ways = Iterator[tuple[str, Callable[[], bytes]]]
"""The same, made when it is asked for: of many ways a test may take a few."""

_VALUES: tuple[Any, ...] = (
    None,
    True,
    "",
    "text",
    "../../elsewhere",
    "nul\0",
    "x" * 5000,
    -1,
    0.5,
    10**30,
    float("nan"),
    float("inf"),
    [],
    {"a": {"b": 1}},
    [None],
)
_CELLS = (
    "",
    " ",
    "-1",
    "0",
    "0.5",
    "1e400",
    "nan",
    "9" * 5000,
    "../x",
    "a/b",
    "nul\0",
    "x" * 200_000,
    "é",
    '"',
    "a\nb",
)
_MISSING = object()


def _spoilt_json(data: bytes) -> _Ways:
    """A JSON file with one value after the other replaced."""
    for place, change in _replaced(json.loads(data)):
        yield place, lambda change=change: json.dumps(change()).encode()  # type: ignore[misc]


def _yaml(document: Any) -> bytes:
    made: bytes = yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, encoding="utf-8")
    return made


def _spoilt_yaml(data: bytes) -> _Ways:
    """A YAML file with one value after the other replaced, and what only YAML has."""
    document = yaml.safe_load(data)
    for place, change in _replaced(document):
        yield place, lambda change=change: _yaml(change())  # type: ignore[misc]
    levels = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))
    odd = ["2001-99-99", "!!int x", "&a [*a]", "!!python/object:os.system {}", "0b_", "{[1]: 2}", "!!timestamp x"]
    for name in list(document)[:4]:
        others = {key: value for key, value in document.items() if key != name}
        rest = _yaml(others) if others else b""
        for text in odd:
            yield f"{name}: {text}", partial(bytes, rest + f"{name}: {text}\n".encode())
        yield f"{name}: aliases", partial(bytes, rest + f"a0: &a0 [x, x]\n{levels}\n{name}: *a11\n".encode())


def _spoilt_table(data: bytes) -> _Ways:
    """A CSV file: cells of its last row replaced, columns taken away or doubled, cells too many and too few."""
    rows = list(csv.reader(io.StringIO(data.decode())))
    header, last = next(row for row in rows if not row[0].startswith("#")), rows[-1]
    for column, name in enumerate(header):
        for value in _CELLS:
            cells = [*last[:column], value, *last[column + 1 :]]
            yield f"{name}={value[:12]!r}", partial(_table, [*rows[:-1], cells])
        yield f"no column {name}", partial(_table, [row[:column] + row[column + 1 :] for row in rows])
        yield f"two columns {name}", partial(_table, [[*row, *row[column : column + 1]] for row in rows])
    yield "a cell too few", partial(_table, [*rows, last[:-1]])
    yield "a cell too many", partial(_table, [*rows, [*last, "x"]])
    yield "the last row twice", partial(_table, [*rows, last])
    yield "the header alone", partial(_table, [header])


def spoilt_bytes(data: bytes) -> Spoilt:
    """Any file: cut short, empty, in other encodings, and nothing of its kind at all."""
    for part in (1, len(data) // 3, len(data) // 2, len(data) - 3):
        yield f"cut to {part} bytes", data[:part]
    yield "empty", b""
    yield "blank", b" \n\n"
    yield "binary", bytes(range(256)) * 4
    yield "nul", b"\0" * 64
    yield "UTF-16", data.decode().encode("utf-16")
    yield "a byte order mark", b"\xef\xbb\xbf" + data
    yield "Latin-1", data + b"\xe9"
    yield "deep", b"[" * 100_000
    for text in ("null", "3", "[]", "{}", '"text"', "NaN"):
        yield text, text.encode()


def spoilt(path: Path, every: int = 1) -> Spoilt:
    """A file of ours in all of these ways, by its ending; or every so many-th of them."""
    data = path.read_bytes()
    kinds: dict[str, Callable[[bytes], _Ways]] = {".json": _spoilt_json, ".yaml": _spoilt_yaml, ".csv": _spoilt_table}
    ways = chain(kinds[path.suffix](data), ((told, partial(bytes, way)) for told, way in spoilt_bytes(data)))
    yield from ((told, make()) for told, make in islice(ways, 0, None, every))


def survives(told: str, call: Callable[[], object]) -> bool:
    """Whether a function takes a damaged file; if not, it has to say so as commands do."""
    refusal: ToolkitError | None = None
    try:
        call()
    except ToolkitError as error:
        refusal = error
    except Exception as error:
        raise AssertionError(f"{told}: {type(error).__name__}: {error}") from error
    lines = [str(problem) for problem in refusal.problems] if refusal is not None else []
    assert all("; " in line for line in lines), (told, lines)
    return refusal is None


def accepted(told: str, *words: str | Path) -> Outcome:
    """Run a command that has to work, to find fault with what it checks, or to refuse in a line; nothing else."""
    try:
        outcome = defectkit(*words)
    except Exception as error:
        raise AssertionError(f"{told}: {type(error).__name__}: {error}") from error
    assert outcome.status in (0, 1, 2), (told, outcome)
    assert "Traceback" not in outcome.err, (told, outcome.err)
    if outcome.status == 2:
        lines = outcome.err.splitlines()
        assert outcome.errors, (told, outcome.err)
        assert all(line.startswith(("error: ", "note: ")) for line in lines), (told, outcome.err)
        assert all("; " in line for line in outcome.errors), (told, outcome.err)
    return outcome


def _replaced(document: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    for path in _paths(document):
        for value in (_MISSING, *_VALUES):
            told = f"{'.'.join(map(str, path))}={'missing' if value is _MISSING else repr(value)[:20]}"
            yield told, partial(_changed, document, path, value)


def _changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(document)
    holder = changed
    for part in path[:-1]:
        holder = holder[part]
    if value is _MISSING:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return changed


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key, and of lists the first place."""
    items = value.items() if isinstance(value, dict) else list(enumerate(value))[:1] if isinstance(value, list) else ()
    for name, inner in items:
        yield (*path, name)
        yield from _paths(inner, (*path, name))


def _table(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
