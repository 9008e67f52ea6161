"""VIA's files: the annotations of a project, a JSON export, or a CSV export, as one list of images."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from converters.formats.coco.document import open_json, shown, whole_number
from converters.formats.foreign.values import members
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError
from toolkit.files.typed import read_text

__all__ = ["COLUMNS", "FIELDS", "ViaImage", "is_via", "read_via"]

FIELDS = ("filename", "regions")
"""Members of an image that VIA 2 always writes."""
COLUMNS = ("filename", "region_shape_attributes", "region_attributes")
"""Of a CSV export."""
_PROJECT = "_via_img_metadata"
_REMEDY = "export the annotations from VIA again"
_LONGEST = 1 << 28  # characters in a cell
_VIA_1 = re.compile(r"[0-9]+")


Options = Mapping[str, Mapping[str, str]]


class ViaImage(NamedTuple):
    """An image in a file of VIA's.

    Attributes:
        place: where it stands, for messages.
        name: of its file, or a path or an address.
        length: of its file in bytes; None where that is not known.
        prefix: folder that the project finds its images in; "" where it does not say.
        regions: as they stand, `shape_attributes` and `region_attributes` each.
        attributes: names of what is said of the image as a whole.
        options: attribute of regions -> id of each option that its project offers -> its text.
    """

    place: str
    name: str
    length: int | None
    prefix: str
    regions: list[JsonObject]
    attributes: tuple[str, ...]
    options: Options


def is_via(document: object) -> bool:
    """Whether what a JSON file holds is VIA's, of version 1 or 2."""
    if not isinstance(document, dict):
        return False
    if _PROJECT in document:
        return True
    first = next(iter(document.values()), None)
    return isinstance(first, dict) and all(name in first for name in FIELDS)


def read_via(path: Path) -> list[ViaImage] | None:
    """The images of a file; None for JSON, or a table, of another kind.

    Raises:
        ToolkitError: it cannot be read, or is not what VIA writes.
    """
    if path.suffix.lower() == ".csv":
        return _read_table(path)
    document = open_json(path)
    if not is_via(document):
        return None
    prefix, images = "", document
    options: Options = {}
    if _PROJECT in document:
        images = members(str(path), document[_PROJECT], _PROJECT)
        prefix, options = _prefix(document.get("_via_settings")), _options(document.get("_via_attributes"))
    return [_image(f"{path}: {shown(key)}", told, prefix, options) for key, told in images.items()]


def _options(attributes: Any) -> Options:
    """The texts of options, of the attributes of regions that have such; one without a text has its id for it."""
    told = attributes.get("region") if isinstance(attributes, dict) else None
    members_of = told.items() if isinstance(told, dict) else ()
    lists = {name: one.get("options") for name, one in members_of if isinstance(one, dict)}
    return {
        name: {key: text.strip() for key, text in listed.items() if isinstance(text, str) and text.strip()}
        for name, listed in lists.items()
        if isinstance(listed, dict)
    }


def _prefix(settings: Any) -> str:
    core = settings.get("core") if isinstance(settings, dict) else None
    told = core.get("default_filepath") if isinstance(core, dict) else None
    return told if isinstance(told, str) else ""


def _image(place: str, told: object, prefix: str, options: Options) -> ViaImage:
    """An image of a JSON file, checked.

    Raises:
        ToolkitError: it has no name, or its regions are none.
    """
    image = members(place, told, "it")
    name, regions = image.get("filename"), image.get("regions", [])
    if not isinstance(name, str) or not name:
        raise ToolkitError(place, f"has the filename {shown(name)}, which names no file", "correct or remove it")
    if isinstance(regions, dict):  # VIA 1: their numbers are keys
        regions = [regions[key] for key in sorted(regions, key=_number)]
    if not isinstance(regions, list):
        raise ToolkitError(place, f"has the regions {shown(regions)}, no list", _REMEDY)
    found = [_region(f"{place}: regions[{number}]", one) for number, one in enumerate(regions)]
    return ViaImage(
        place, name, _length(image.get("size")), prefix, found, _said(image.get("file_attributes")), options
    )


def _length(value: object) -> int | None:
    """The length of a file; -1 stands for that of an address."""
    number = whole_number(value)
    return number if number is not None and number > 0 else None


def _number(key: str) -> tuple[int, str]:
    return (int(key), "") if _VIA_1.fullmatch(key) and len(key) < 10 else (1 << 31, key)


def _said(attributes: object) -> tuple[str, ...]:
    """Names of attributes that have a value."""
    return tuple(name for name, value in attributes.items() if value) if isinstance(attributes, dict) else ()


def _region(place: str, told: object) -> JsonObject:
    region = members(place, told, "it")
    return {
        name: members(place, region.get(name, {}), f"its {name}") for name in ("shape_attributes", "region_attributes")
    }


def _read_table(path: Path) -> list[ViaImage] | None:
    """The images of a CSV export, a row a region.

    Raises:
        ToolkitError: it is no text, or a row does not fit.
    """
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST))
    reader = csv.reader(io.StringIO(read_text(path, _REMEDY), newline=""))
    found: dict[tuple[str, str], ViaImage] = {}
    line = 0
    try:
        header = [name.strip().lstrip("#") for name in next(reader, [])]  # old versions begin it with a mark
        if not all(name in header for name in COLUMNS):
            return None
        for cells in reader:
            line = reader.line_num
            if not cells:
                continue
            if len(cells) != len(header):
                problem = f"has {len(cells)} cells, its header {len(header)}"
                raise ToolkitError(f"{path}:{line}", problem, _REMEDY)
            row = dict(zip(header, cells, strict=True))
            shape, told, said = (_cell(path, line, row.get(name, "")) for name in (*COLUMNS[1:], "file_attributes"))
            if not row["filename"]:
                raise ToolkitError(f"{path}:{line}", "names no file", "correct or remove it")
            key = row["filename"], row.get("file_size", "")
            length = _length(row.get("file_size"))
            image = ViaImage(f"{path}:{line}", row["filename"], length, "", [], _said(said), {})
            regions = found.setdefault(key, image).regions
            if shape or told:
                regions.append({"shape_attributes": shape, "region_attributes": told})
    except csv.Error as error:
        raise ToolkitError(f"{path}:{line + 1}", f"is no row of a table ({error})", _REMEDY) from error
    return list(found.values())


def _cell(path: Path, line: int, text: str) -> JsonObject:
    """JSON in a cell; an empty one is an empty object.

    Raises:
        ToolkitError: it is no object.
    """
    try:
        value = orjson.loads(text) if text.strip() else {}
    except ValueError as error:
        raise ToolkitError(f"{path}:{line}", f"holds {shown(text)}, no JSON", _REMEDY) from error
    return members(f"{path}:{line}", value, "a cell")
