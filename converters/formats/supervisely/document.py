"""Supervisely's annotation files and the classes of its projects, checked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from converters.formats.coco.document import shown
from converters.formats.foreign.values import attributes_of, class_name, members, side_lengths
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError
from toolkit.files.typed import parse_json

__all__ = ["AREAS", "FLAT", "Annotation", "Thing", "marks_things", "read_annotation", "read_shapes"]

AREAS = ("bitmap", "polygon", "multipolygon", "rectangle")
"""Geometries that are read."""
FLAT = ("point", "line", "polyline", "graph", "keypoints", "cuboid", "cuboid_2d", "cuboid_3d", "point_3d")
"""Those that mark no pixels, or that stand for what is no part of a picture."""
_REMEDY = "export the project again"
_OBJECT = re.compile(rb'"objects"\s*:\s*\[\s*\{')


class Thing(NamedTuple):
    """An object of an annotation.

    Attributes:
        place: where it stands, for messages.
        number: its place in the list.
        label: class.
        kind: its geometry.
        told: all that stands there.
        attributes: its tags.
    """

    place: str
    number: int
    label: str
    kind: str
    told: JsonObject
    attributes: dict[str, str]


class Annotation(NamedTuple):
    """What a file says of an image: width and height, its objects, and name and value of each of its tags."""

    size: tuple[int, int]
    things: list[Thing]
    tags: list[tuple[str, Any]]


def marks_things(path: Path) -> bool:
    """Whether a file is an annotation that has an object."""
    try:
        data = path.read_bytes()
    except OSError:
        return False
    return b'"classTitle"' in data and _OBJECT.search(data) is not None


def read_annotation(path: Path, shapes: dict[str, str]) -> Annotation:
    """An annotation file.

    Args:
        path: of it.
        shapes: class -> geometry, which old files do not tell.

    Raises:
        ToolkitError: it cannot be read, is no JSON, or something in it is not what Supervisely writes.
    """
    document = parse_json(path, _REMEDY)
    if not isinstance(document, dict) or "objects" not in document or "size" not in document:
        raise ToolkitError(path, "is no annotation of Supervisely's (objects and size)", "replace it, or remove it")
    size = members(str(path), document["size"], "its size")
    things = document["objects"]
    if not isinstance(things, list):
        raise ToolkitError(path, f"its objects are {shown(things)}, no list", _REMEDY)
    return Annotation(
        side_lengths(str(path), size.get("width"), size.get("height")),
        [_thing(f"{path}: objects[{number}]", number, one, shapes) for number, one in enumerate(things)],
        _tags(str(path), document.get("tags")),
    )


def _thing(place: str, number: int, told: object, shapes: dict[str, str]) -> Thing:
    """An object, checked.

    Raises:
        ToolkitError: it has no class, or nothing tells its geometry.
    """
    one = members(place, told, "it")
    label = class_name(place, one.get("classTitle"))
    kind = one.get("geometryType") or one.get("shape") or ("bitmap" if one.get("bitmap") else shapes.get(label))
    if not isinstance(kind, str) or kind == "any":
        remedy = "name the project's folder, whose meta.json tells"
        raise ToolkitError(place, f"does not tell its geometry, nor does the class {label!r}", remedy)
    return Thing(place, number, label, kind, one, attributes_of(_flags(_tags(place, one.get("tags")))))


def _flags(tags: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Tags without a value are true."""
    return [(name, True if value is None else value) for name, value in tags]


def _tags(place: str, told: object) -> list[tuple[str, Any]]:
    """Name and value of each tag; in old files a tag is its name.

    Raises:
        ToolkitError: they are no tags.
    """
    found = []
    for tag in told if isinstance(told, list) else []:
        name, value = (tag.get("name"), tag.get("value")) if isinstance(tag, dict) else (tag, None)
        if not isinstance(name, str) or not name:
            raise ToolkitError(place, f"has the tag {shown(tag)}, which has no name", "correct or remove it")
        found.append((name, value))
    return found


def read_shapes(path: Path) -> dict[str, str] | None:
    """Class -> geometry, as a project's meta.json has them; None where there is none.

    Raises:
        ToolkitError: it cannot be read, or names a class twice.
    """
    if not path.is_file():
        return None
    document = members(str(path), parse_json(path, _REMEDY), "it")
    classes, found = document.get("classes"), dict[str, str]()
    if not isinstance(classes, list):
        raise ToolkitError(path, f"its classes are {shown(classes)}, no list", _REMEDY)
    for number, told in enumerate(classes):
        place = f"{path}: classes[{number}]"
        one = members(place, told, "it")
        name, shape = class_name(place, one.get("title")), one.get("shape")
        if name in found:
            raise ToolkitError(place, f"is called {name!r}, as another one", "rename one of them")
        found[name] = shape if isinstance(shape, str) else "any"
    return found
