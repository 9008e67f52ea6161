"""LabelMe's JSON files: what one holds, checked; shapes that cannot be told from others are refused by their number."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from converters.formats.coco.document import shown, whole_number
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError
from toolkit.files.typed import parse_json

__all__ = ["BACKGROUND", "IGNORE", "LabelmeFile", "Shape", "ShapeKind", "is_labelme", "read_labelme"]

BACKGROUND, IGNORE = "_background_", "__ignore__"
"""Labels that LabelMe's own scripts know: what is drawn so is of no class; what is drawn so is to be passed over."""

ShapeKind = Literal["polygon", "rectangle", "circle", "line", "linestrip", "point", "oriented_rectangle", "mask"]

_MEMBERS = ("imagePath", "imageData", "imageHeight", "imageWidth")
_KINDS: dict[object, ShapeKind] = {
    None: "polygon",  # files of old versions
    "polygon": "polygon",
    "rectangle": "rectangle",
    "circle": "circle",
    "line": "line",
    "linestrip": "linestrip",
    "point": "point",
    "oriented_rectangle": "oriented_rectangle",
    "rotation": "oriented_rectangle",  # as X-AnyLabeling calls it
    "mask": "mask",
}
_COUNTS: dict[ShapeKind, tuple[int, int | None]] = {
    "polygon": (3, None),
    "rectangle": (2, 2),
    "circle": (2, 2),
    "line": (2, 2),
    "linestrip": (2, None),
    "point": (1, 1),
    "oriented_rectangle": (4, 4),
    "mask": (2, 2),
}
"""The fewest and the most points of a shape."""
_CORNERS = 4  # of rectangles, as X-AnyLabeling writes them
_FARTHEST = 1e6  # pixels that a coordinate may lie from the image's corner
_REMEDY = "replace it, or remove it"


class Shape(NamedTuple):
    """One shape.

    Attributes:
        number: its place in the list.
        label: class.
        kind: its type.
        points: x, y in pixels; too few where it was never finished.
        group: shapes of one label and one group are one object; "" for none.
        mask: base64 of a PNG, for a mask.
        box: sides (x0, y0, x1, y1) that a rectangle of ours stands for, where they are no whole numbers.
        attributes: what else is said of it.
    """

    number: int
    label: str
    kind: ShapeKind
    points: list[tuple[float, float]]
    group: str
    mask: str
    box: tuple[float, ...]
    attributes: dict[str, str]

    @property
    def finished(self) -> bool:
        """Whether it has the points that it takes."""
        return len(self.points) >= _COUNTS[self.kind][0]


@dataclass(frozen=True, eq=False)
class LabelmeFile:
    """A LabelMe file.

    Attributes:
        path: of the file.
        shapes: in their order.
        image: name of the image as it stands there; "" where none does.
        size: width and height of the image in pixels; None where they do not stand there.
        flags: those that are set, of the image as a whole.
        version: major version of the LabelMe that wrote it; 0 where it does not say.
        embedded: base64 of the image, or "".
    """

    path: Path
    shapes: tuple[Shape, ...]
    image: str
    size: tuple[int, int] | None
    flags: tuple[str, ...] = ()
    version: int = 0
    embedded: str = field(default="", repr=False)


def is_labelme(document: object) -> bool:
    """Whether what a JSON file holds is of LabelMe."""
    return isinstance(document, dict) and "shapes" in document and any(name in document for name in _MEMBERS)


def read_labelme(path: Path) -> LabelmeFile | None:
    """A LabelMe file; None for JSON of another kind.

    Raises:
        ToolkitError: it cannot be read, is no JSON, or something in it is not what LabelMe writes.
    """
    document = parse_json(path, _REMEDY)
    if not is_labelme(document):
        return None
    shapes = document["shapes"]
    if not isinstance(shapes, list):
        raise ToolkitError(path, f"its shapes are {shown(shapes)}, no list", _REMEDY)
    image, embedded = document.get("imagePath"), document.get("imageData")
    for name, value in (("imagePath", image), ("imageData", embedded)):
        if value is not None and not isinstance(value, str):
            raise ToolkitError(path, f"its {name} is {shown(value)}, no text", "correct it")
    return LabelmeFile(
        path,
        tuple(_shape(path, number, shape) for number, shape in enumerate(shapes)),
        image or "",
        _size(path, document),
        tuple(name for name, value in _members(document.get("flags")).items() if value is True),
        _major(document.get("version")),
        embedded or "",
    )


def _members(value: object) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _major(version: object) -> int:
    found = re.match(r"\d{1,4}", version) if isinstance(version, str) else None
    return int(found[0]) if found else 0


def _size(path: Path, document: JsonObject) -> tuple[int, int] | None:
    """Width and height; None where either is not said.

    Raises:
        ToolkitError: they are those of no image.
    """
    found = []
    for name in ("imageWidth", "imageHeight"):
        value = document.get(name)
        number = whole_number(value)
        if value is not None and (number is None or number < 1):
            raise ToolkitError(path, f"its {name} is {shown(value)}, the size of no image", "correct it")
        found.append(number)
    return (found[0], found[1]) if found[0] is not None and found[1] is not None else None


def _shape(path: Path, number: int, shape: Any) -> Shape:
    """A shape, checked.

    Raises:
        ToolkitError: it has no label, is of no type that LabelMe draws, or its points are none.
    """
    place = f"{path}: shapes[{number}]"
    if not isinstance(shape, dict):
        raise ToolkitError(place, f"is {shown(shape)}, no object", "correct or remove it")
    label = shape.get("label")
    if not isinstance(label, str) or not label.strip():
        raise ToolkitError(place, f"has the label {shown(label)}, which names no class", "name its class")
    told = shape.get("shape_type")
    kind = _KINDS.get(told) if told is None or isinstance(told, str) else None
    if kind is None:
        remedy = "draw it as a polygon, or remove it"
        raise ToolkitError(place, f"is of the type {shown(told)}, which LabelMe does not draw", remedy)
    group, mask = shape.get("group_id"), shape.get("mask") if kind == "mask" else ""
    if isinstance(group, dict | list):
        raise ToolkitError(place, f"has the group_id {shown(group)}, no number", "correct it")
    if kind == "mask" and (not isinstance(mask, str) or not mask):
        raise ToolkitError(place, "is a mask without its 'mask', a PNG in base64", "draw it again, or remove it")
    return Shape(
        number,
        label,
        kind,
        _points(place, kind, shape.get("points")),
        "" if group is None or group == "" else shown(group),
        str(mask),
        _box(shape.get("box")),
        _attributes(shape),
    )


def _points(place: str, kind: ShapeKind, given: object) -> list[tuple[float, float]]:
    """The points of a shape.

    Raises:
        ToolkitError: they are no pairs of numbers, too many, or beyond all images.
    """
    if not isinstance(given, list):
        raise ToolkitError(place, f"has the points {shown(given)}, no list", "correct or remove it")
    for point in given:
        if not isinstance(point, list) or len(point) != 2:
            raise ToolkitError(place, f"has the point {shown(point)}, which is not [x, y]", "correct or remove it")
        for value in point:
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ToolkitError(place, f"has the coordinate {shown(value)}, no number", "correct or remove it")
            if abs(value) > _FARTHEST:
                raise ToolkitError(place, f"has the coordinate {shown(value)}, beyond all images", "correct it")
    points = [(x, y) for x, y in given]
    if kind == "rectangle" and len(points) == _CORNERS:
        points = _diagonal(points)
    most = _COUNTS[kind][1]
    if most is not None and len(points) > most:
        counted = f"{most} point" + ("s" if most > 1 else "")
        raise ToolkitError(place, f"is a {kind} of {len(points)} points, and takes {counted}", "correct or remove it")
    return points


def _diagonal(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Two opposite corners of an upright rectangle of four; the points themselves where it is none."""
    lefts, tops = sorted({x for x, _ in points}), sorted({y for _, y in points})
    upright = len(lefts) == len(tops) == 2 and len(set(points)) == _CORNERS
    crossed = points[0][0] != points[2][0] and points[0][1] != points[2][1]
    return [(lefts[0], tops[0]), (lefts[1], tops[1])] if upright and crossed else points


def _box(value: object) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) != 4:
        return ()
    numbers = [one for one in value if isinstance(one, int | float) and not isinstance(one, bool)]
    return tuple(numbers) if len(numbers) == 4 and all(map(math.isfinite, numbers)) else ()


def _attributes(shape: JsonObject) -> dict[str, str]:
    """What a shape says beside its class and its place: flags, attributes, a description."""
    told: JsonObject = {**_members(shape.get("flags")), **_members(shape.get("attributes"))}
    if shape.get("difficult") is True:
        told["difficult"] = True
    told["description"] = shape.get("description") or None
    found = {}
    for name, value in told.items():
        if isinstance(value, bool):
            found[name] = "true" if value else "false"
        elif isinstance(value, str | int | float):
            found[name] = str(value)
    return found
