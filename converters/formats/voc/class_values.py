"""What values and colours in SegmentationClass mean: labelmap.txt, class_names.txt, or the devkit's own classes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from toolkit.dataset.samples import is_background_word
from toolkit.errors import ToolkitError
from toolkit.files.typed import read_text

__all__ = ["DEVKIT", "VOID", "ClassValues", "colour_map", "labelmap_text", "packed_colours", "read_class_values"]

VOID = 255
"""Value of pixels that are of no class and not of the background: borders, and what is difficult."""

DEVKIT = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""Classes of Pascal VOC, whose values are 1 to 20."""

_VALUES = 256
_LINE = re.compile(r"(?P<name>.+?)(?::(?P<colour>\s*\d+\s*,\s*\d+\s*,\s*\d+\s*|)(?::[^:]*){0,2})?")
_TABLES = ("labelmap.txt", "class_names.txt", "labels.txt")
_REMEDY = "write one class a line, as name:red,green,blue:: in labelmap.txt"


@lru_cache
def colour_map() -> npt.NDArray[np.uint8]:
    """The colours of values: uint8 (256, 3), as the devkit's VOClabelcolormap makes them."""
    numbers = np.arange(_VALUES)
    colours = np.zeros((_VALUES, 3), np.int64)
    for place in range(8):
        for channel in range(3):
            colours[:, channel] |= ((numbers >> (3 * place + channel)) & 1) << (7 - place)
    return colours.astype(np.uint8)


def packed_colours() -> list[int]:
    """The same as 0xRRGGBB."""
    return [int(red) << 16 | int(green) << 8 | int(blue) for red, green, blue in colour_map()]


@dataclass(frozen=True)
class ClassValues:
    """What stands for what in the class maps of a tree.

    Attributes:
        names: value -> class.
        passed: values that label nothing: background and void.
        colours: 0xRRGGBB -> value, for maps that are coloured.
        path: where it stands; None where nothing says it.
    """

    names: dict[int, str] = field(default_factory=dict)
    passed: frozenset[int] = frozenset({0, VOID})
    colours: dict[int, int] = field(default_factory=dict)
    path: Path | None = field(default=None, repr=False)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, each once, in the order of their values."""
        return tuple(dict.fromkeys(self.names[value] for value in sorted(self.names)))


def read_class_values(root: Path, used: Iterable[str], *, ours: bool = False) -> ClassValues:
    """What the values in the class maps of a tree mean; nothing where nothing tells.

    Args:
        root: the tree.
        used: classes that its XML files name: where all are the devkit's, so are the values.
        ours: whether defectkit wrote it: its first line is the background, whatever it is called.

    Raises:
        ToolkitError: a file of classes cannot be read, or names too many.
    """
    path = next((root / name for name in _TABLES if (root / name).is_file()), None)
    if path is None:
        named = set(used)
        devkit = dict(enumerate(DEVKIT, 1)) if named and named <= set(DEVKIT) else {}
        return ClassValues(devkit, colours={colour: value for value, colour in enumerate(packed_colours())})
    entries = _entries(path, ours)
    if len(entries) > _VALUES:
        raise ToolkitError(path, f"names {len(entries)} classes, and a map has {_VALUES} values", _REMEDY)
    colours: dict[int, int] = {}
    for value, (name, colour) in enumerate(entries):
        own = colour if colour is not None else packed_colours()[value]
        if colours.setdefault(own, value) != value:
            raise ToolkitError(path, f"gives {name!r} the colour of {entries[colours[own]][0]!r}", _REMEDY)
    colours.setdefault(packed_colours()[VOID], VOID)
    nothing = {value for value, (name, _) in enumerate(entries) if _is_nothing(value, name, ours)}
    if entries and not nothing:
        problem = f"names no background: is {entries[0][0]!r}, its first class, 0 in the maps?"
        raise ToolkitError(path, problem, "put a line background:0,0,0:: where it stands")
    names = {value: name for value, (name, _) in enumerate(entries) if value not in nothing}
    return ClassValues(names, frozenset({*nothing, VOID} - names.keys()), colours, path)


def _is_nothing(value: int, name: str, ours: bool) -> bool:
    return value == 0 if ours else is_background_word(name)


def _entries(path: Path, ours: bool) -> list[tuple[str, int | None]]:
    """The lines of a file of classes: name, and colour where one is told."""
    found: list[tuple[str, int | None]] = []
    for number, line in enumerate(read_text(path, _REMEDY).split("\n")):
        text = line.rstrip("\r")
        if not text.strip() or (text.startswith("#") and (number == 0 or not ours)):
            continue
        if not found and text.strip() == "__ignore__":  # labelme's -1
            continue
        match = _LINE.fullmatch(text if ours else text.strip())
        if match is None:
            raise ToolkitError(f"{path}:{number + 1}", f"is no class: {text!r:.60}", _REMEDY)
        found.append((match["name"], _colour(f"{path}:{number + 1}", match["colour"])))
    return found


def _colour(place: str, text: str | None) -> int | None:
    if not text or not text.strip():
        return None
    red, green, blue = map(int, text.split(","))
    if max(red, green, blue) >= _VALUES:
        raise ToolkitError(place, f"has the colour {text.strip()}, which is none", _REMEDY)
    return red << 16 | green << 8 | blue


def labelmap_text(classes: Sequence[str]) -> bytes:
    """labelmap.txt of background and classes, as datumaro and CVAT read it; colours are those of the palette."""
    lines = ["# label:color_rgb:parts:actions"]
    for value, name in enumerate(("background", *classes)):
        red, green, blue = colour_map()[value].tolist()
        lines.append(f"{name}:{red},{green},{blue}::")
    return "\n".join([*lines, ""]).encode()
