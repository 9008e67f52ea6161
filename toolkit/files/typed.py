"""Files that this program wrote, or is told by, read into models: JSON, YAML and CSV, and one line for what is wrong.

A model (pydantic) says what a file may hold. Whatever else is in a file, and whatever befalls one that is cut short or
no text at all, becomes one `ToolkitError` that names the file, the place within it, and what to do.
"""

from __future__ import annotations

import csv
import reprlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import orjson
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from toolkit.errors import ToolkitError

__all__ = [
    "Count",
    "Finite",
    "Name",
    "PathText",
    "Record",
    "Row",
    "Share",
    "Side",
    "checked",
    "fault_of",
    "parse_json",
    "parse_yaml",
    "read_json",
    "read_rows",
    "read_text",
    "yaml_line",
    "yaml_value",
]

_LARGEST = 1 << 53  # of whole numbers that every reader of JSON takes for what they are
_LONGEST_PATH = 4096
_LONGEST_FIELD = 1 << 28  # characters in a field of a table; csv's own limit is too low for classes of long names
_MOST_NODES = 1_000_000  # in a YAML document with its aliases written out


def _part_of_path(text: str) -> str:
    if text in ("", ".", "..") or any(mark in text for mark in "/\\\0") or len(text.encode()) > 255:
        raise ValueError("should be the name of a file or folder")
    return text


def _path(text: str) -> str:
    if "\0" in text or len(text) > _LONGEST_PATH:
        raise ValueError("should be a path")
    return text


Count = Annotated[int, Field(ge=0, le=_LARGEST)]
Side = Annotated[int, Field(ge=1, le=1 << 31)]
"""Of an image, in pixels."""
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[str, AfterValidator(_part_of_path)]
"""One part of a path, which leads nowhere else."""
PathText = Annotated[str, AfterValidator(_path)]


class Record(BaseModel):
    """An object of a JSON or YAML file of ours: nothing is taken for what it is not, and what is unknown is kept."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow", populate_by_name=True)


class Row(BaseModel):
    """A row of a table, whose cells are text; columns without a field are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


Model = TypeVar("Model", bound=BaseModel)


def checked(kind: type[Model], value: object, place: str | Path, remedy: str) -> Model:
    """A value as a model.

    Args:
        kind: the model.
        value: what a file holds.
        place: the file, for messages.
        remedy: what to do where it does not fit.

    Raises:
        ToolkitError: it does not fit.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise ToolkitError(place, fault_of(error), remedy) from error


def fault_of(error: ValidationError) -> str:
    """The first fault that a model found, as ``options.min_area: should be ... (it is -1)``, and how many more."""
    first, *others = error.errors(include_url=False, include_context=False)
    where = ".".join(str(part) for part in first["loc"])
    text = str(first["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    text = text[:1].lower() + text[1:]
    more = f"; and {len(others)} more" if others else ""
    if first["type"] == "missing":
        return f"lacks {where!r}{more}"
    if not where:
        return f"holds no table of keys{more}" if first["type"] in ("model_type", "dict_type") else f"{text}{more}"
    return f"{where}: {text} (it is {reprlib.repr(first['input'])}){more}"


def read_text(path: Path, remedy: str) -> str:
    """A text file in UTF-8; a byte order mark is passed over.

    Raises:
        ToolkitError: it cannot be read, or is no such text.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ToolkitError(path, f"cannot be read ({error.strerror or error})", "check the path") from error
    except UnicodeDecodeError as error:
        raise ToolkitError(path, f"is no text in UTF-8 (byte {error.start})", remedy) from error


def parse_json(path: Path, remedy: str) -> Any:
    """What a JSON file holds.

    Raises:
        ToolkitError: it cannot be read, or is no JSON.
    """
    text = read_text(path, remedy)
    try:
        return orjson.loads(text)
    except ValueError as error:
        raise ToolkitError(path, f"is no JSON that can be read ({error})", remedy) from error


def read_json(path: Path, kind: type[Model], remedy: str) -> Model:
    """A JSON file as a model.

    Raises:
        ToolkitError: it cannot be read, is no JSON, or does not fit.
    """
    return checked(kind, parse_json(path, remedy), path, remedy)


def parse_yaml(path: Path, remedy: str) -> Any:
    """What a YAML file holds, None for an empty one.

    Raises:
        ToolkitError: it cannot be read, is no YAML, or its aliases unfold to more than memory holds.
    """
    return yaml_value(read_text(path, remedy), path, remedy)


def yaml_value(text: str, place: str | Path, remedy: str) -> Any:
    """A text as YAML; `place` is where it stands.

    Raises:
        ToolkitError: as `parse_yaml`.
    """
    try:
        value = yaml.safe_load(text)
        nodes = _nodes(value, {})
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise ToolkitError(place, f"is not valid YAML{where}", remedy) from error
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        # The loader makes dates and numbers of what looks like them, and raises whatever they do: 2001-99-99.
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise ToolkitError(place, f"is not valid YAML ({told})", remedy) from error
    if nodes > _MOST_NODES:
        raise ToolkitError(place, "repeats itself without end (its aliases unfold to too much)", remedy)
    return value


def yaml_line(text: str, place: Sequence[int | str]) -> int:
    """The line, from 1, of a value in a YAML document: of the innermost that is there of those that `place` leads by.

    Args:
        text: the document, which is valid YAML.
        place: keys and numbers of list items, as pydantic tells them.
    """
    node, line = yaml.compose(text, Loader=yaml.SafeLoader), 1
    for part in place:
        if isinstance(node, yaml.MappingNode):
            pair = next((pair for pair in reversed(node.value) if pair[0].value == str(part)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _nodes(value: object, known: dict[int, int]) -> int:
    """Values within a value where each alias counts as what it stands for; of one that holds itself, too many."""
    if not isinstance(value, dict | list | set | tuple):
        return 1
    if id(value) not in known:
        known[id(value)] = _MOST_NODES + 1  # until it is counted: it holds itself
        inner = [*value, *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_nodes(one, known) for one in inner)
    return known[id(value)]


def read_rows(path: Path, kind: type[Model], remedy: str) -> Iterator[Model]:
    """The rows of a CSV file with a header, one model each.

    Raises:
        ToolkitError: it cannot be read, is no text, lacks a column, or a row does not fit; the line is named.
    """
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_FIELD))
    lines = 0
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            _check_header(path, header, kind, remedy)
            for cells in reader:
                lines = reader.line_num
                if not cells:
                    continue
                if len(cells) != len(header):
                    problem = f"has {len(cells)} cells, its header {len(header)}"
                    raise ToolkitError(f"{path}:{lines}", problem, remedy)
                yield checked(kind, dict(zip(header, cells, strict=True)), f"{path}:{lines}", remedy)
    except OSError as error:
        raise ToolkitError(path, f"cannot be read ({error.strerror or error})", "check the path") from error
    except UnicodeDecodeError as error:
        raise ToolkitError(path, f"is no text in UTF-8 (after line {lines})", remedy) from error
    except csv.Error as error:
        raise ToolkitError(f"{path}:{lines + 1}", f"is no row of a table ({error})", remedy) from error


def _check_header(path: Path, header: list[str], kind: type[BaseModel], remedy: str) -> None:
    wanted = [field.alias or name for name, field in kind.model_fields.items() if field.is_required()]
    missing = [name for name in wanted if name not in header]
    if missing:
        shown = ", ".join(name[:40] for name in header[:8]) or "nothing"
        raise ToolkitError(path, f"has no column {missing[0]!r} (it has: {shown!a})", remedy)
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise ToolkitError(path, f"has the column {twice!a} twice", remedy)
