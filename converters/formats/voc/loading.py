"""Pascal VOC labels of one image -> instances."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from converters.formats.base import VocBoxes
from converters.formats.label_tree import InstanceList, LabelRecord
from converters.formats.voc.annotation import VocObject, read_annotation
from converters.formats.voc.box_forms import as_box
from converters.formats.voc.class_values import ClassValues
from converters.formats.voc.segments import Segment, read_segments
from converters.rasterize import Rounding
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import Box, Instance

__all__ = ["MapFile", "Told", "load_boxes", "load_voc", "written_boxes"]

_CONTRADICTS = 0.9  # share of box and mask that are one, where their classes cannot both be right


@dataclass(frozen=True)
class MapFile:
    """A label map: "class" or "object", its file, and the SHA-256 of that, which alone tells whether it is another."""

    kind: str
    path: str = field(repr=False)
    digest: str


class Told(NamedTuple):
    """How the labels of an image are read, beside the path of the first of their files.

    Attributes:
        xml: whether that is an XML file.
        maps: its label maps.
        form: what corners of boxes are.
        values: what the values in the class map mean.
    """

    xml: bool
    maps: tuple[MapFile, ...] = ()
    form: VocBoxes = "inclusive1"
    values: ClassValues | None = None


def load_voc(entry: LabelRecord, rounding: Rounding) -> InstanceList:
    """Instances of an image: what its maps show, with what its XML file says of that; other objects have boxes alone.

    An object that marks no pixel of the image is left out and named.

    Raises:
        ToolkitError: a file cannot be read, or two of them contradict each other.
    """
    if entry.payload is None:
        return InstanceList()
    told, objects = entry.payload[1], _objects(entry)
    size = entry.image_size()
    left_out: list[str] = []
    if not entry.ours:
        _check_upright(entry.payload[0], objects)
    boxed = [_boxed(number, one, told.form, size, left_out) for number, one in enumerate(objects, 1)]
    maps = {one.kind: Path(one.path) for one in told.maps}
    if not maps:
        return InstanceList([one for one in boxed if one is not None], left_out)
    found, map_size = read_segments(
        maps.get("class"), maps.get("object"), told.values or ClassValues(), [one.label for one in objects]
    )
    first = next(iter(maps.values()))
    if map_size != size:
        sizes = f"{map_size[0]} x {map_size[1]} pixels, its image {size[0]} x {size[1]}"
        raise ToolkitError(first, f"is {sizes}", "make the two the same size")
    return InstanceList(_joined(first, objects, boxed, found), left_out)


def load_boxes(entry: LabelRecord, rounding: Rounding) -> InstanceList:
    """The boxes of an image's objects, whatever its maps show: as supervision 0.31 reads XML files.

    Raises:
        ToolkitError: a file cannot be read.
    """
    if entry.payload is None:
        return InstanceList()
    form, size, left_out = entry.payload[1].form, entry.image_size(), list[str]()
    boxed = [_boxed(number, one, form, size, left_out) for number, one in enumerate(_objects(entry), 1)]
    return InstanceList([one for one in boxed if one is not None], left_out)


def _check_upright(path: str, objects: Sequence[VocObject]) -> None:
    """Refuse boxes that CVAT's export says are turned, and leaves as they were before.

    Raises:
        ToolkitError: there is one.
    """
    for number, one in enumerate(objects, 1):
        angle = dict(one.attributes).get("rotation", "")
        if re.fullmatch(r"-?\d+(\.\d+)?", angle) and float(angle) % 180 != 0:
            problem = f"is a box that is turned by {angle[:20]} degrees (attribute rotation), and stands there upright"
            remedy = "export from CVAT as 'CVAT for images 1.1', or remove the attribute"
            raise ToolkitError(f"{path}: object {number}", problem, remedy)


def _boxed(number: int, one: VocObject, form: VocBoxes, size: tuple[int, int], left_out: list[str]) -> Instance | None:
    """An object as its box has it; None, and a line in `left_out`, where it marks nothing."""
    name = f"object {number} ({one.label})"
    if one.corners is None:
        left_out.append(f"{name} has no upright box")
        return None
    box = as_box(one.corners, form)
    found = Instance.of_box(one.label, box, size, dict(one.attributes))
    if found is None:
        empty = box[2] <= box[0] or box[3] <= box[1]
        left_out.append(f"{name} has a box that {'is empty' if empty else 'lies outside of the image'}")
    return found


def _joined(
    path: Path, objects: Sequence[VocObject], boxed: Sequence[Instance | None], found: Sequence[Segment]
) -> list[Instance]:
    """Masks in the place of the boxes that they are of, and what no box is of after them.

    Object k of the XML file is that of number k in the map, as the devkit has it, where class and place agree; else
    the one of its class that overlaps it most.
    """
    joined: list[Instance | None] = list(boxed)
    spare: list[Instance] = []
    for number, one in found:
        place = number - 1
        if 0 <= place < len(objects) and objects[place].label == one.label and _touch(boxed[place], one):
            joined[place] = replace(one, attributes=dict(objects[place].attributes))
        else:
            spare.append(one)
    free = {place for place, one in enumerate(joined) if one is not None and one.mask is None}
    extra: list[Instance] = []
    for one in spare:
        shares = {place: _share(joined[place], one) for place in free}
        fitting = [place for place in free if objects[place].label == one.label and shares[place] > 0]
        if fitting:
            best = min(fitting, key=lambda place: (-shares[place], place))
            joined[best] = replace(one, attributes=dict(objects[best].attributes))
            free.discard(best)
            continue
        wrong = next((place for place in sorted(free) if shares[place] >= _CONTRADICTS), None)
        if wrong is not None:
            what = f"shows {one.label!r} where object {wrong + 1} of the XML file is {objects[wrong].label!r}"
            raise ToolkitError(path, what, "correct the one that is wrong")
        extra.append(one)
    return [*(one for one in joined if one is not None), *extra]


def _touch(box: Instance | None, mask: Instance) -> bool:
    """Whether a mask lies within a box, or near it; one whose box marks nothing lies nowhere."""
    return box is not None and _share(box, mask) > 0


def _share(one: Instance | None, other: Instance) -> float:
    """Intersection over union of two objects' boxes."""
    if one is None:
        return 0.0
    (x0, y0, x1, y1), (u0, v0, u1, v1) = one.bbox, other.bbox
    width, height = min(x1, u1) - max(x0, u0), min(y1, v1) - max(y0, v0)
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((x1 - x0) * (y1 - y0) + (u1 - u0) * (v1 - v0) - both)


def written_boxes(record: LabelRecord) -> list[tuple[str, Box]]:
    """Classes and boxes, half-open, of the objects in the XML file of an image, as they stand there.

    Raises:
        ToolkitError: it cannot be read.
    """
    boxed = (one for one in _objects(record) if one.corners is not None)
    return [(one.label, as_box(one.corners, record.payload[1].form)) for one in boxed if one.corners is not None]


def _objects(record: LabelRecord) -> Sequence[VocObject]:
    """The objects in the XML file of an image; none where it has none."""
    if record.payload is None:
        return ()
    path, told = record.payload
    return read_annotation(Path(path)).objects if told.xml else ()
