"""COCO files as JSON: opened as forgivingly as Python's own reader opens them, and their members checked."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from converters.formats.coco.slices import Slices, open_sliced
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError

__all__ = [
    "check_coco",
    "check_members",
    "image_id",
    "image_places",
    "open_coco_file",
    "open_json",
    "shown",
    "whole_number",
]

_WHOLE = re.compile(r"[+-]?(0|[1-9][0-9]{0,17})(\.0*)?")
_LARGE = 1 << 18  # bytes of a file from which on its images and annotations are read one by one
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def open_coco_file(path: Path) -> Any:
    """What a JSON file holds; of a large COCO file the images and annotations as `Slices`.

    Raises:
        ToolkitError: as `open_json`.
    """
    large = path.is_file() and path.stat().st_size > _LARGE
    sliced = open_sliced(path) if large else None
    return open_json(path) if sliced is None else sliced


def check_coco(path: Path, document: Any) -> JsonObject:
    """What was opened, as a COCO annotation file.

    Raises:
        ToolkitError: it lacks one of images, annotations and categories, or something in those.
    """
    for part in ("images", "annotations", "categories"):
        if not isinstance(document, dict) or not isinstance(document.get(part), list | Slices):
            raise ToolkitError(path, f"has no list of {part}", "name a COCO annotation file")
        if not isinstance(document[part], Slices):  # which were looked at when they were found
            check_members(path, part, document[part], _MEMBERS[part])
    told: JsonObject = document
    return told


_MEMBERS: dict[str, JsonObject] = {
    "images": {"file_name": str},
    "annotations": {},
    "categories": {"name": str | int},
}


def open_json(path: Path) -> Any:
    """What a JSON file holds. A byte order mark is passed over; NaN and Infinity are read, as Python itself does.

    Raises:
        ToolkitError: it cannot be read, or is not JSON.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ToolkitError(path, f"cannot be read ({error.strerror or error})", "replace it") from error
    try:
        if data.startswith(_UTF16):
            data = data.decode("utf-16").encode()
        data = data.removeprefix(b"\xef\xbb\xbf")
        return orjson.loads(data) if b"NaN" not in data and b"Infinity" not in data else _open_lenient(data)
    except UnicodeDecodeError as error:
        problem = f"is not text in UTF-8 (byte {error.start} is {error.object[error.start]:#04x})"
        raise ToolkitError(path, problem, "save it as UTF-8") from error
    except (ValueError, RecursionError) as error:
        try:
            data.decode()
        except UnicodeDecodeError as wrong:
            problem = f"is not text in UTF-8 (byte {wrong.start} is {data[wrong.start]:#04x})"
            raise ToolkitError(path, problem, "save it as UTF-8") from error
        raise ToolkitError(path, "is not readable JSON", f"replace it ({error})") from error


def _open_lenient(data: bytes) -> Any:
    """JSON that may hold NaN and Infinity; text that cannot be written again is refused."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        document = json.loads(data.decode())
    try:
        orjson.dumps(document)
    except TypeError as error:
        raise ValueError(str(error)) from error
    return document


def check_members(path: Path, part: str, records: Sequence[Any], members: JsonObject) -> None:
    """Raise where a record of a COCO file lacks what is needed."""
    for number, record in enumerate(records):
        if not isinstance(record, dict):
            raise ToolkitError(path, f"{part}[{number}] is no object", "correct or remove it")
        for name, kind in members.items():
            value = record.get(name)
            if not isinstance(value, kind) or isinstance(value, bool):
                raise ToolkitError(path, f"{part}[{number}] has no usable {name!r}", "correct or remove it")


def whole_number(value: object) -> int | None:
    """A whole number, also where it stands as 1.0 or as text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value.strip().partition(".")[0])
    return None


def image_id(path: Path, place: str, value: object) -> int | str:
    """The id of an image as it is compared: a whole number where it is one, else text.

    Raises:
        ToolkitError: it is neither.
    """
    number = whole_number(value)
    if number is not None:
        return number
    if isinstance(value, str) and value:
        return value
    raise ToolkitError(path, f"{place} has no usable image id: it is {shown(value)}", "give it a whole number")


def image_places(path: Path, document: JsonObject) -> dict[int | str, int]:
    """The ids of the images of a COCO file, and the place at which each stands first.

    Raises:
        ToolkitError: one is no id.
    """
    places: dict[int | str, int] = {}
    for place, record in enumerate(document["images"]):
        places.setdefault(image_id(path, f"images[{place}]", record.get("id")), place)
    return places


def shown(value: object) -> str:
    """A value as it stands in JSON, text with its quotes; cut where it is long."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
