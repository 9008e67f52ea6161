"""What corners of boxes are, told by label maps: the tight box of a mask can be read in one way alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from converters.formats.base import VocBoxes
from converters.formats.voc.annotation import VocObject
from converters.formats.voc.box_forms import as_box
from converters.formats.voc.class_values import ClassValues
from converters.formats.voc.gathering import ImageLabels
from converters.formats.voc.segments import Segment, read_segments
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import Box

__all__ = ["form_by_maps"]

_CLEAR = 4
"""Boxes that are tight in one way for each that is so in the other: masks drawn by hand miss their boxes by chance."""
_SLACK = 0.01


@dataclass(eq=False)
class _Evidence:
    """How many boxes are those of their masks in each way, and whether any object has a box and no mask."""

    tight: Counter[VocBoxes]
    boxes: int = 0
    boxes_alone: int = 0


def form_by_maps(every: Iterable[ImageLabels], values: ClassValues) -> tuple[VocBoxes, str] | None:
    """What corners are, and why; None where the maps do not tell, and some objects have boxes alone.

    Args:
        every: the labels of the images of a tree.
        values: what stands for what in their class maps.
    """
    seen = _Evidence(Counter())
    for labels in every:
        objects = [one for one in labels.told.objects if one.corners is not None] if labels.told is not None else []
        if objects and labels.told is not None:
            _take_in(seen, objects, _shown(labels, values, labels.told.objects))
    ranked = sorted(get_args(VocBoxes), key=lambda form: -seen.tight[form])
    first, second = (seen.tight[form] for form in ranked)
    if first and first >= _CLEAR * second:
        return ranked[0], f"{first} of {seen.boxes} are the tight boxes of their masks so"
    if not seen.boxes_alone:
        return "inclusive1", "the label maps show every object, and count"
    return None


def _shown(labels: ImageLabels, values: ClassValues, objects: Sequence[VocObject]) -> list[Segment]:
    """What the maps of an image show; nothing where it has none, or these are at fault, which is said elsewhere."""
    maps = labels.maps
    if not maps:
        return []
    try:
        return read_segments(maps.get("class"), maps.get("object"), values, [one.label for one in objects])[0]
    except ToolkitError:
        return []


def _take_in(seen: _Evidence, objects: Sequence[VocObject], segments: Sequence[Segment]) -> None:
    """Hold the boxes of an image against its masks."""
    left = [one for _, one in segments]
    for thing in objects:
        seen.boxes += 1
        own = [one for one in left if one.label == thing.label]
        near = max(own, key=lambda one: _share(thing, one.bbox), default=None)
        if near is None or _share(thing, near.bbox) == 0:
            seen.boxes_alone += 1
            continue
        left.remove(near)
        for form in get_args(VocBoxes):
            if thing.corners is not None and _is_tight(as_box(thing.corners, form), near.bbox):
                seen.tight[form] += 1


def _is_tight(box: Box, tight: Box) -> bool:
    return max(abs(a - b) for a, b in zip(box, tight, strict=True)) <= _SLACK


def _share(thing: VocObject, box: Box) -> float:
    """Intersection over union of an object's corners, as they stand, and a box."""
    if thing.corners is None:
        return 0.0
    (x0, y0, x1, y1), (u0, v0, u1, v1) = thing.corners, box
    width, height = min(x1, u1) - max(x0 - 1, u0), min(y1, v1) - max(y0 - 1, v0)
    both = max(0.0, width) * max(0.0, height)
    return both / ((x1 - x0 + 1) * (y1 - y0 + 1) + (u1 - u0) * (v1 - v0) - both) if both else 0.0
