"""SegmentationClass and SegmentationObject: label maps -> instances."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from converters.formats.painting import boxes_of_ids
from converters.formats.voc.class_values import VOID, ClassValues, packed_colours
from toolkit.errors import ToolkitError
from toolkit.geometry.instances import find_instances
from toolkit.geometry.labels import Instance
from toolkit.imaging.masks import Mask
from toolkit.imaging.opening import read_file
from toolkit.imaging.stored import is_lossy, read_stored

__all__ = ["Segment", "classes_in", "read_segments"]

Segment = tuple[int, Instance]
"""Number of an object, 0 where none is told, and what it marks."""

_Map = npt.NDArray[np.uint8]
_WRITE = "write it again"


def read_segments(
    class_map: Path | None, object_map: Path | None, values: ClassValues, labels: Sequence[str]
) -> tuple[list[Segment], tuple[int, int]]:
    """The instances that the maps of an image show, by their numbers, and the size (width, height) of the maps.

    An object's class is that of the pixels under it; where there is no class map, that of the object of its number.
    Pixels of a class that are of no object, all of them where there is no object map, are split into components.

    Args:
        class_map, object_map: the files, at least one.
        values: what stands for what in class maps.
        labels: classes of the objects in the image's XML file, in their order.

    Raises:
        ToolkitError: a map cannot be read, holds a value that nothing names, or the two contradict each other.
    """
    ids = _object_ids(object_map) if object_map is not None else None
    classes = class_ids(class_map, values) if class_map is not None else None
    if ids is not None and classes is not None and ids.shape != classes.shape:
        sizes = f"{ids.shape[1]} x {ids.shape[0]} pixels, {class_map} is {classes.shape[1]} x {classes.shape[0]}"
        raise ToolkitError(str(object_map), f"is {sizes}", "make the two the same size")
    found: list[Segment] = []
    if ids is not None and object_map is not None:
        for number, (x0, y0, x1, y1) in boxes_of_ids(ids).items():
            if number == VOID:
                continue
            marked = ids[y0:y1, x0:x1] == number
            under = classes[y0:y1, x0:x1][marked] if classes is not None else None
            label = _label(object_map, number, under, values, labels)
            found.append((number, Instance(label, (x0, y0, x1, y1), marked, int(np.count_nonzero(marked)))))
    if classes is not None:
        found += [(0, one) for one in _components(classes, ids, values)]
    one = ids if ids is not None else classes
    return found, (one.shape[1], one.shape[0]) if one is not None else (0, 0)


def _label(
    path: Path,
    number: int,
    under: npt.NDArray[np.uint8] | None,
    values: ClassValues,
    labels: Sequence[str],
) -> str:
    """The class of an object.

    Raises:
        ToolkitError: the pixels under it are of several classes, or of none.
    """
    if under is None:
        if number <= len(labels):
            return labels[number - 1]
        raise ToolkitError(path, f"holds object {number}, of which nothing tells the class", "add its class map")
    present = sorted({int(value) for value in np.unique(under)} - {VOID})
    if len(present) != 1 or present[0] not in values.names:
        shown = " and ".join(values.names.get(value, "background") for value in present) or "void alone"
        raise ToolkitError(path, f"its object {number} lies on {shown} in the class map", _WRITE)
    return values.names[present[0]]


def _components(classes: _Map, ids: _Map | None, values: ClassValues) -> list[Instance]:
    """What is of a class and of no object, part by part."""
    free = np.ones(classes.shape, np.bool_) if ids is None else ids == 0
    height, width = classes.shape
    named: dict[str, list[int]] = {}
    for value in sorted({int(one) for one in np.unique(classes[free])} & values.names.keys()):
        named.setdefault(values.names[value], []).append(value)
    found: list[Instance] = []
    for label, numbers in named.items():
        marked = np.isin(classes, numbers) & free
        found += find_instances(Mask.of(marked.view(np.uint8), width, height), label).instances
    return found


def classes_in(class_map: Path, values: ClassValues) -> tuple[list[str], tuple[int, int]]:
    """The classes that a map shows, and its size (width, height).

    Raises:
        ToolkitError: it cannot be read, or holds a value that nothing names.
    """
    ids = class_ids(class_map, values)
    present = {int(value) for value in np.unique(ids)}
    return [values.names[value] for value in sorted(present & values.names.keys())], (ids.shape[1], ids.shape[0])


def class_ids(path: Path, values: ClassValues) -> _Map:
    """The values in a class map, uint8 (H, W); those of coloured maps are told by their colours.

    Raises:
        ToolkitError: it cannot be read, or holds what nothing names.
    """
    ids = _numbers(path, values.colours, by_colour=values.path is not None)
    unknown = sorted({int(value) for value in np.unique(ids)} - values.names.keys() - values.passed)
    if unknown:
        if values.path is None:
            what = f"holds the class {unknown[0]}, and nothing names the classes of values"
            raise ToolkitError(path, what, "add a labelmap.txt of lines name:red,green,blue::, background first")
        raise ToolkitError(path, f"holds the class {unknown[0]}, which {values.path} does not name", "correct it")
    return ids


def _object_ids(path: Path) -> _Map:
    return _numbers(path, {colour: number for number, colour in enumerate(packed_colours())}, by_colour=False)


def _numbers(path: Path, colours: dict[int, int], *, by_colour: bool) -> _Map:
    """The numbers in a map: palette indices and grey values as they stand, else what colours stand for.

    With `by_colour` a palette counts by its colours where all of them stand for something, as datumaro reads it.

    Raises:
        ToolkitError: it cannot be read, is lossy, or holds a colour that stands for nothing.
    """
    data = read_file(path)
    stored = read_stored(path, data)
    if is_lossy(data):
        raise ToolkitError(path, "is a label map whose values lossy compression has changed", "save it anew as PNG")
    if stored.palette is None and stored.pixels.ndim == 2:
        if stored.pixels.max(initial=0) > VOID:
            raise ToolkitError(path, f"holds the value {stored.pixels.max()}, more than 255", "save it as 8-bit PNG")
        return np.asarray(stored.pixels, np.uint8)
    if stored.palette is not None:
        used = [int(index) for index in stored.used()]
        shown = {index: _packed(stored.palette[index].tolist()) for index in used}
        if not by_colour or not all(colour in colours for colour in shown.values()):
            return np.asarray(stored.pixels, np.uint8)
        table = np.zeros(VOID + 1, np.uint8)
        for index, colour in shown.items():
            table[index] = index if index == VOID else colours[colour]
        return np.asarray(table[stored.pixels], np.uint8)
    packed = stored.packed()
    present, places = np.unique(packed, return_inverse=True)
    strange = [int(colour) for colour in present if int(colour) not in colours]
    if strange:
        red, green, blue = strange[0] >> 16, strange[0] >> 8 & VOID, strange[0] & VOID
        what = f"holds the colour {red},{green},{blue}, which stands for nothing"
        raise ToolkitError(path, what, "name it in labelmap.txt")
    told = np.array([colours[int(colour)] for colour in present], np.uint8)
    return np.asarray(told[places.reshape(packed.shape)], np.uint8)


def _packed(colour: Sequence[int]) -> int:
    return colour[0] << 16 | colour[1] << 8 | colour[2]
