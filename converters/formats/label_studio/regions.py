"""The results of an annotation -> regions of an image, checked, and what is said of the image as a whole."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from converters.formats.coco.document import shown, whole_number
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError

__all__ = ["Region", "Said", "Shape", "is_box", "read_results"]

Shape = Literal["rectangle", "polygon", "ellipse", "brush"]

_SHAPES: tuple[Shape, ...] = ("rectangle", "polygon", "ellipse", "brush")
_ABOUT = ("choices", "textarea", "number", "rating", "datetime", "taxonomy")
"""What may be said of a region, or of the image."""
_FARTHEST = 1e8  # per cent of a side: beyond all images
_CORRECT, _AGAIN = "correct or remove it", "draw it again, or remove it"


class Region(NamedTuple):
    """A region of an image.

    Attributes:
        name: its id, or its place in the list.
        shape: what it is.
        label: class.
        numbers: per cent of the image's sides: x, y, width, height of a rectangle, centre and radii of an ellipse, x
            and y of each point of a polygon.
        rotation: degrees, clockwise: of a rectangle about its first corner, of an ellipse about its centre.
        rle: of a brush.
        attributes: what else is said of it.
    """

    name: str
    shape: Shape
    label: str
    numbers: tuple[float, ...] = ()
    rotation: float = 0.0
    rle: bytes = b""
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(eq=False)
class Said:
    """All that an annotation says.

    Attributes:
        regions: in their order.
        size: width and height of the image that they were drawn on; None where nothing says.
        choices: question -> what was chosen, for the image as a whole.
        others: kinds of results that mark no area, and how many there are of each.
    """

    regions: list[Region] = field(default_factory=list)
    size: tuple[int, int] | None = None
    choices: dict[str, list[str]] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)


def is_box(region: Region) -> bool:
    """Whether a region is an upright box."""
    return region.shape == "rectangle" and region.rotation % 90 == 0


def read_results(place: str, results: Sequence[Any]) -> Said:
    """What the results of an annotation say; those of one id are of one region.

    Raises:
        ToolkitError: one is malformed, has no class or several, or was drawn on another picture than the image.
    """
    said = Said()
    groups: dict[str, list[JsonObject]] = defaultdict(list)
    for number, result in enumerate(results):
        if not isinstance(result, dict):
            raise ToolkitError(f"{place}: result[{number}]", f"is {shown(result)}, no result", _CORRECT)
        if result.get("type") == "relation":
            said.others["relation"] += 1
            continue
        own = result.get("id")
        groups[own if isinstance(own, str) and own else f"[{number}]"].append(result)
    for name, group in groups.items():
        _take_in(said, f"{place}: region {name}", name, group)
    return said


def _take_in(said: Said, place: str, name: str, group: Sequence[JsonObject]) -> None:
    """Take in the results of one id."""
    drawn = [(one, shape) for one in group if (shape := _shape(place, one)) is not None]
    if not drawn:
        for one in group:
            _take_in_unplaced(said, place, one)
        return
    kinds = {shape for _, shape in drawn}
    if len(kinds) > 1:
        raise ToolkitError(place, f"is a {' and a '.join(sorted(kinds))}", "give each an id of its own")
    if any(_geometry(one) != _geometry(drawn[0][0]) for one, _ in drawn[1:]):
        raise ToolkitError(place, "is drawn twice, in different places", "give each an id of its own")
    _check_picture(said, place, group)
    about = {name: text for one in group if _kind(one) in _ABOUT for name, text in _told(one)}
    first, shape = drawn[0]
    score = next((one["score"] for one in group if _is_number(one.get("score"))), None)
    about |= {"score": repr(score)} if score is not None else {}
    attributes = tuple(sorted({**_meta(group), **about}.items()))
    region = Region(name, shape, _label(place, group), attributes=attributes)
    said.regions.append(_placed(place, region, _value(first)))


def _take_in_unplaced(said: Said, place: str, result: JsonObject) -> None:
    """Take in a result that is no shape: a choice for the image, or what is only counted."""
    kind, question = _kind(result), result.get("from_name")
    if kind != "choices":
        said.others[kind] += 1
        return
    texts = _value(result).get("choices")
    if not isinstance(texts, list) or not all(isinstance(one, str) and one.strip() for one in texts):
        raise ToolkitError(place, f"has the choices {shown(texts)}, no list of texts", _CORRECT)
    said.choices.setdefault(question if isinstance(question, str) else "choices", []).extend(texts)


def _geometry(result: JsonObject) -> JsonObject:
    return {name: told for name, told in _value(result).items() if not name.endswith("labels")}


def _kind(result: JsonObject) -> str:
    """What a result is, in lower case: its type, without what tells that it has labels."""
    told = result.get("type")
    name = told.lower() if isinstance(told, str) else ""
    short = name.removesuffix("labels")
    return short if short else ("labels" if name else "no type")


def _value(result: JsonObject) -> JsonObject:
    value = result.get("value")
    return value if isinstance(value, dict) else {}


def _shape(place: str, result: JsonObject) -> Shape | None:
    """Which shape a result is; None where it is none that marks an area.

    Raises:
        ToolkitError: it is one that cannot be read.
    """
    kind, value = _kind(result), _value(result)
    if kind in ("bitmask", "magicwand") and "rle" not in value:
        raise ToolkitError(place, f"is a {kind}, and is not read", "draw it with a brush, or remove it")
    if kind in ("brush", "bitmask", "magicwand") or (kind == "labels" and "rle" in value):
        return "brush"
    if kind in _SHAPES:
        return kind
    if kind != "labels":
        return None
    if "radiusX" in value:
        return "ellipse"
    if "points" in value:
        return "polygon"
    return "rectangle" if {"x", "y", "width", "height"} <= value.keys() else None


def _label(place: str, group: Sequence[JsonObject]) -> str:
    """The class of a region.

    Raises:
        ToolkitError: it has none, or several.
    """
    found: dict[str, None] = {}
    for one in group:
        for name, labels in _value(one).items():
            if not name.endswith("labels"):
                continue
            if not isinstance(labels, list) or not all(isinstance(label, str) and label.strip() for label in labels):
                raise ToolkitError(place, f"has the {name} {shown(labels)}, no list of classes", _CORRECT)
            found |= dict.fromkeys(labels)
    if not found:
        raise ToolkitError(place, "has no label", "name its class, or remove it")
    if len(found) > 1:
        problem = f"has {len(found)} labels, {' and '.join(map(repr, list(found)[:3]))}"
        raise ToolkitError(place, problem, "leave it one, or draw it once for each")
    return next(iter(found))


def _check_picture(said: Said, place: str, group: Sequence[JsonObject]) -> None:
    """Note the size of the picture that a region was drawn on.

    Raises:
        ToolkitError: it is that of no image, or another than that of the regions before; or the picture was turned.
    """
    for one in group:
        turned = one.get("image_rotation")
        if isinstance(turned, int | float) and turned % 360:
            remedy = "turn the image file so, or draw it on the image as it is"
            raise ToolkitError(place, f"was drawn on an image turned by {shown(turned)} degrees", remedy)
        page = one.get("item_index", _value(one).get("item_index"))
        if _is_number(page) and page:
            raise ToolkitError(place, "is of one of several images of its task", "make a task of each image")
        given = [one.get(side, _value(one).get(side)) for side in ("original_width", "original_height")]
        if given == [None, None]:
            continue
        width, height = map(whole_number, given)
        if width is None or height is None or min(width, height) < 1:
            told = " x ".join(map(shown, given))
            raise ToolkitError(place, f"has the original size {told}, that of no image", "correct it")
        if said.size is not None and said.size != (width, height):
            sizes = f"{width} x {height}, others of its image {said.size[0]} x {said.size[1]}"
            raise ToolkitError(place, f"has the original size {sizes}", "correct it")
        said.size = width, height


def _placed(place: str, region: Region, value: JsonObject) -> Region:
    """A region with its coordinates.

    Raises:
        ToolkitError: they are none.
    """
    if region.shape == "brush":
        return region._replace(rle=_rle(place, value))
    if region.shape == "polygon":
        return region._replace(numbers=_points(place, value))
    names = ("x", "y", "width", "height") if region.shape == "rectangle" else ("x", "y", "radiusX", "radiusY")
    numbers = tuple(_number(place, name, value.get(name)) for name in names)
    if min(numbers[2:]) < 0:
        raise ToolkitError(place, f"is {numbers[2]:g} wide and {numbers[3]:g} high", _CORRECT)
    rotation = value.get("rotation")
    return region._replace(
        numbers=numbers, rotation=0.0 if rotation is None else _number(place, "rotation", rotation) % 360
    )


def _points(place: str, value: JsonObject) -> tuple[float, ...]:
    """The points of a polygon; none where it was never closed."""
    points = value.get("points")
    if not isinstance(points, list) or not all(isinstance(one, list) and len(one) == 2 for one in points):
        raise ToolkitError(place, f"has the points {shown(points)}, no list of [x, y]", _CORRECT)
    found = tuple(_number(place, "coordinate", number) for point in points for number in point)
    return () if value.get("closed") is False else found


def _rle(place: str, value: JsonObject) -> bytes:
    told = value.get("rle")
    if not isinstance(told, list) or not told:
        raise ToolkitError(place, f"is a brush of the rle {shown(told)}, no list of bytes", _AGAIN)
    if {*map(type, told)} != {int} or min(told) < 0 or max(told) > 255:
        raise ToolkitError(place, "is a brush whose rle holds something else than numbers from 0 to 255", _AGAIN)
    return bytes(told)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(place: str, name: str, value: Any) -> float:
    """A coordinate.

    Raises:
        ToolkitError: it is none.
    """
    if not _is_number(value) or not math.isfinite(value):
        raise ToolkitError(place, f"has the {name} {shown(value)}, no number", _CORRECT)
    if abs(value) > _FARTHEST:
        raise ToolkitError(place, f"has the {name} {shown(value)}, beyond all images", "correct it")
    return float(value)


def _told(result: JsonObject) -> list[tuple[str, str]]:
    """What is said of a region by a control: its name, and a text."""
    name, value = result.get("from_name"), _value(result).get(_answer_of(_kind(result)))
    parts = value if isinstance(value, list) else [value]
    texts = [str(one) for one in parts if isinstance(one, str | int | float)]
    return [(name, ", ".join(texts))] if isinstance(name, str) and texts else []


def _answer_of(kind: str) -> str:
    return "text" if kind == "textarea" else kind


def _meta(group: Sequence[JsonObject]) -> dict[str, str]:
    """What stands in a region's `meta`: text that annotators write, and attributes of ours."""
    found: dict[str, str] = {}
    for one in group:
        meta = one.get("meta")
        for name, told in (meta if isinstance(meta, dict) else {}).items():
            if isinstance(told, list) and all(isinstance(part, str) for part in told):
                found[name] = ", ".join(told)
            elif isinstance(told, str):
                found[name] = told
    return found
