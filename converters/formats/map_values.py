"""What the values of class maps mean: which class, nothing, or pixels to pass over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.aliases import JsonObject
from toolkit.dataset.samples import is_background_word
from toolkit.errors import ToolkitError

__all__ = ["IGNORE", "MapValues", "map_values"]

IGNORE = 255
"""Value in class-id maps of pixels that training and evaluation pass over."""

_VALUES = range(256)


@dataclass(frozen=True)
class MapValues:
    """What stands for what in the maps of a tree.

    Attributes:
        names: value -> class.
        passed: values that label nothing: background, and what is to be ignored.
        classes: names of the classes, in the order of their ids.
        note: what a user should know of it; "" for nothing.
    """

    names: dict[int, str]
    passed: tuple[int, ...]
    classes: tuple[str, ...]
    note: str = ""

    @property
    def ignores(self) -> bool:
        """Whether 255 is to be ignored, and not a class."""
        return IGNORE not in self.names


def map_values(path: Path, document: JsonObject, *, ours: bool) -> MapValues:
    """What the values of a tree's maps mean, as ultralytics' semantic task reads its dataset file.

    0 is background where its name says so, where it has none, and where there is one class alone, which is 1 then;
    else it is a class like others.

    Args:
        path: the dataset file.
        document: what it holds.
        ours: whether defectkit wrote it: its 0 is always background.

    Raises:
        ToolkitError: it maps values in a way that is not understood.
    """
    named: dict[int, str] = {
        number: name for number, name in document["names"].items() if not _is_ignored(number, name)
    }
    note = ""
    if ours or is_background_word(named.get(0, "background")):
        classes = {number: name for number, name in named.items() if number > 0}
    elif len(named) == 1:
        classes = {1: named[0]}
        note = f"{path}: names one class, {named[0]!r}: 1 in its maps, and 0 is background, as ultralytics reads them"
    else:
        classes = named
        note = f"{path}: 0 in its maps is the class {named[0]!r}, not background: call it background if it is that"
    mapped = _mapping(path, document)
    background = () if 0 in classes else (0,)
    names = {value: classes[mapped[value]] for value in _VALUES if mapped[value] in classes}
    passed = tuple(v for v in _VALUES if mapped[v] in (*background, IGNORE) and v not in names)
    return MapValues(names, passed, tuple(classes[number] for number in sorted(classes)), note)


def _is_ignored(number: int, name: str) -> bool:
    return number == IGNORE and is_background_word(name)


def _mapping(path: Path, document: JsonObject) -> list[int]:
    """Class id of each value from 0 to 255.

    Raises:
        ToolkitError: `label_mapping` is not numbers to numbers, or stands beside `reduce_zero_label`.
    """
    given, reduced = document.get("label_mapping"), str(document.get("reduce_zero_label", "")).lower()
    mapped = list(_VALUES)
    if reduced in ("true", "yes", "on", "1"):
        if given:
            problem = "has both label_mapping and reduce_zero_label"
            raise ToolkitError(path, problem, "remove reduce_zero_label, and put what it does into label_mapping")
        return [IGNORE, *range(IGNORE - 1), IGNORE]  # mmsegmentation: 0 is ignored, all else one less, 255 stays
    if given in (None, "", "null", "~"):
        return mapped
    if not isinstance(given, Mapping):
        raise ToolkitError(path, "has a label_mapping that is no mapping", "write it as `7: 0`, one a line")
    for value, number in given.items():
        try:
            source = int(value)
            target = IGNORE if number in (None, "", "null", "~", "ignore_label") else int(number)
        except (TypeError, ValueError) as error:
            problem = f"has a label_mapping of {value!r} to {number!r}, which are not two numbers"
            raise ToolkitError(path, problem, "write it as `7: 0`, or `7: ignore_label`") from error
        if source in _VALUES:  # cityscapes has -1, which is in no map
            mapped[source] = target
    return mapped
