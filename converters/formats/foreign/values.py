"""Values of label files that other tools wrote, checked one by one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.formats.coco.document import shown, whole_number
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError

__all__ = ["Points", "attributes_of", "class_name", "coordinate", "members", "pairs", "side_lengths", "told_value"]

_FARTHEST = 1e6  # pixels that a coordinate may lie from the image's corner
_REMEDY = "correct or remove it"

Points = npt.NDArray[np.float64]
"""(K, 2): x, y in pixels."""


def coordinate(place: str, what: str, value: object) -> float:
    """A number that may be a coordinate or a length in pixels.

    Raises:
        ToolkitError: it is none, or lies beyond all images.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ToolkitError(place, f"has the {what} {shown(value)}, no number", _REMEDY)
    if abs(value) > _FARTHEST:
        raise ToolkitError(place, f"has the {what} {shown(value)}, beyond all images", _REMEDY)
    return value


def pairs(place: str, given: object) -> Points:
    """Points that stand as [[x, y], ...].

    Raises:
        ToolkitError: they do not.
    """
    if not isinstance(given, list):
        raise ToolkitError(place, f"has the points {shown(given)}, no list", _REMEDY)
    for point in given:
        if not isinstance(point, list) or len(point) != 2:
            raise ToolkitError(place, f"has the point {shown(point)}, which is not [x, y]", _REMEDY)
    found = [[coordinate(place, "coordinate", value) for value in point] for point in given]
    return np.array(found, np.float64).reshape(-1, 2)


def members(place: str, value: object, what: str) -> JsonObject:
    """A JSON object.

    Raises:
        ToolkitError: it is none.
    """
    if not isinstance(value, dict):
        raise ToolkitError(place, f"{what} is {shown(value)}, no object", _REMEDY)
    return value


def class_name(place: str, value: object) -> str:
    """The name of a class.

    Raises:
        ToolkitError: it is none.
    """
    if not isinstance(value, str) or not value.strip():
        raise ToolkitError(place, f"has the class {shown(value)}, which is no name", "name its class")
    return value


def side_lengths(place: str, width: object, height: object) -> tuple[int, int]:
    """Width and height of an image.

    Raises:
        ToolkitError: they are those of no image.
    """
    found = whole_number(width), whole_number(height)
    if found[0] is None or found[1] is None or min(found[0], found[1]) < 1:
        raise ToolkitError(place, f"has the size {shown(width)} x {shown(height)}, that of no image", "correct it")
    return found[0], found[1]


def told_value(value: Any) -> str:
    """A value of an attribute as text; "" where it says nothing."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or value in ("", [], {}):
        return ""
    return value if isinstance(value, str) else shown(value)


def attributes_of(told: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> dict[str, str]:
    """Attributes as text by name, without those that say nothing; several values of a name follow each other."""
    found: dict[str, list[str]] = {}
    for name, value in told.items() if isinstance(told, Mapping) else told:
        if text := told_value(value):
            found.setdefault(name, []).append(text)
    return {name: "; ".join(dict.fromkeys(values)) for name, values in found.items()}
