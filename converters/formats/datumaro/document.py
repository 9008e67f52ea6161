"""Datumaro's JSON files: categories and items, checked as far as an index needs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from converters.formats.coco.document import open_json, shown, whole_number
from converters.formats.foreign.signs import entries, told_bytes
from converters.formats.foreign.values import class_name, members, side_lengths
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError

__all__ = ["DatumaroFile", "Item", "datumaro_files", "is_datumaro_file", "item_of", "label_of", "read_datumaro"]

_FOLDER = "annotations"
_REMEDY = "export it from Datumaro again"
_OTHER_MEDIA = ("point_cloud", "video", "video_frame")


class Item(NamedTuple):
    """An item.

    Attributes:
        place: where it stands, for messages.
        name: its id.
        path: of its image; "" where none is told.
        size: width and height where they are told.
        annotations: as they stand.
        said: names of what is said of it as a whole.
    """

    place: str
    name: str
    path: str
    size: tuple[int, int] | None
    annotations: list[JsonObject]
    said: tuple[str, ...] = ()


class DatumaroFile(NamedTuple):
    """A file: the names of its labels, in the order of their ids, and its items."""

    labels: list[str]
    items: list[JsonObject]


def is_datumaro_file(path: Path) -> bool:
    """Whether a file is of Datumaro's own format, by its first and last bytes."""
    if path.suffix.lower() != ".json":
        return False
    data = told_bytes(path)
    if b'"dm_format_version"' in data:
        return True
    return all(name in data for name in (b'"categories"', b'"items"', b'"annotations"')) and b'"images"' not in data


def datumaro_files(root: Path) -> list[Path]:
    """The files of a folder that are of Datumaro's own format: those in `annotations`."""
    if not root.is_dir():
        return []
    found = [Path(entry.path) for entry in entries(root / _FOLDER) if entry.name.lower().endswith(".json")]
    return [path for path in found if is_datumaro_file(path)]


def read_datumaro(path: Path) -> DatumaroFile:
    """The labels and the items of a file.

    Raises:
        ToolkitError: it cannot be read, or is not what Datumaro writes.
    """
    document = members(str(path), open_json(path), "it")
    categories = members(str(path), document.get("categories"), "categories")
    listed = members(str(path), categories.get("label") or {"labels": []}, "categories.label").get("labels")
    items = document.get("items")
    for name, value in (("categories.label.labels", listed), ("items", items)):
        if not isinstance(value, list):
            raise ToolkitError(path, f"{name} is {shown(value)}, no list", _REMEDY)
    labels: list[str] = []
    for number, told in enumerate(listed or []):
        place = f"{path}: labels[{number}]"
        name = class_name(place, members(place, told, "it").get("name"))
        if name in labels:
            raise ToolkitError(place, f"is called {name!r}, as another one", "rename one of them")
        labels.append(name)
    return DatumaroFile(labels, items or [])


def item_of(path: Path, number: int, told: object) -> Item:
    """An item, checked.

    Raises:
        ToolkitError: it has no name, is no image, or its annotations are none.
    """
    item = members(f"{path}: items[{number}]", told, "it")
    name = item.get("id")
    if not isinstance(name, str) or not name:
        raise ToolkitError(f"{path}: items[{number}]", f"has the id {shown(name)}, which is no name", _REMEDY)
    place = f"{path}: item {shown(name)}"
    if other := next((kind for kind in _OTHER_MEDIA if item.get(kind)), None):
        raise ToolkitError(place, f"is a {other.replace('_', ' ')}, and images are read", "remove it")
    image = members(place, item.get("image") or item.get("media") or {}, "its image")
    given, size = image.get("path") or "", image.get("size")
    if not isinstance(given, str):
        raise ToolkitError(place, f"has the path {shown(given)}, no text", "correct it")
    if size is not None and (not isinstance(size, list) or len(size) != 2):
        raise ToolkitError(place, f"has the size {shown(size)}, which is not [height, width]", "correct it")
    annotations = item.get("annotations") or []
    if not isinstance(annotations, list):
        raise ToolkitError(place, f"has the annotations {shown(annotations)}, no list", _REMEDY)
    found = [members(f"{place}: annotations[{place_in}]", one, "it") for place_in, one in enumerate(annotations)]
    sides = side_lengths(place, size[1], size[0]) if size is not None else None
    said = members(place, item.get("attr") or {}, "its attr")
    return Item(place, name, given, sides, found, tuple(said))


def label_of(place: str, annotation: JsonObject, names: dict[int, str]) -> str:
    """The label of an annotation.

    Raises:
        ToolkitError: it has none, or an unknown one.
    """
    told: Any = annotation.get("label_id")
    number = whole_number(told)
    if number is None:
        raise ToolkitError(place, f"has the label_id {shown(told)}, which is no label", "give it one, or remove it")
    if number not in names:
        raise ToolkitError(place, f"has the unknown label_id {number}", "correct it, or add the label")
    return names[number]
