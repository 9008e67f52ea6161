"""LabelMe's shapes -> instances: what is drawn later lies on top, and shapes of one group are one object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from converters.formats.label_tree import InstanceList, LabelRecord
from converters.formats.labelme.document import BACKGROUND, IGNORE, LabelmeFile, Shape, read_labelme
from converters.formats.labelme.drawing import draw_shape
from converters.rasterize import Rounding
from toolkit.aliases import BoolArray
from toolkit.errors import ToolkitError
from toolkit.geometry.instances import crop_to_bbox
from toolkit.geometry.labels import Instance

__all__ = ["all_boxes", "classes_of", "exact_box", "instances_of", "load_labelme", "objects_of", "rectangle_points"]

Size = tuple[int, int]
Box = tuple[int, int, int, int]


def load_labelme(entry: LabelRecord, rounding: Rounding) -> InstanceList:
    """Instances of an image, as LabelMe draws its shapes; none where no file is of it.

    What marks no pixel of the image is left out and named.

    Raises:
        ToolkitError: the file has changed since it was looked at, or a mask in it is damaged.
    """
    if entry.payload is None:
        return InstanceList()
    path = Path(entry.payload)
    document = read_labelme(path)
    if document is None:
        raise ToolkitError(path, "is no LabelMe file any more", "put the file back, and begin again")
    return instances_of(document, entry.image_size())


@dataclass(eq=False)
class _Piece:
    """A shape as drawn: the pixels `mask` from (x, y) on."""

    shape: Shape
    mask: BoolArray
    x: int
    y: int

    @property
    def box(self) -> Box:
        return self.x, self.y, self.x + self.mask.shape[1], self.y + self.mask.shape[0]


def instances_of(document: LabelmeFile, size: Size) -> InstanceList:
    """The objects of a file in an image of `size`, in the order in which the last of their shapes are drawn.

    Where a group is drawn on after another object lies on it, it keeps only what is then seen of it: painted in their
    order, objects give what LabelMe's `shapes_to_label` does. Others keep what lies under the next. What is drawn as
    background is taken from all that is drawn before.

    Raises:
        ToolkitError: a mask in it is damaged.
    """
    left_out: list[str] = []
    pieces: list[_Piece] = []
    for shape in document.shapes:
        piece = _drawn(shape, document, size, left_out)
        if piece is None:
            continue
        if shape.label == BACKGROUND:
            for other in pieces:
                _take_away(other, piece)
        else:
            pieces.append(piece)
    found = []
    for group in objects_of([piece.shape for piece in pieces]):
        instance = _instance([pieces[number] for number in group], pieces[group[0] : group[-1] + 1], size)
        if instance is None:
            left_out.append(f"shapes[{pieces[group[-1]].shape.number}] lies wholly under what is drawn as {BACKGROUND}")
        else:
            found.append((group[-1], instance))
    found.sort(key=lambda one: one[0])
    return InstanceList((instance for _, instance in found), left_out)


def _drawn(shape: Shape, document: LabelmeFile, size: Size, left_out: list[str]) -> _Piece | None:
    """A shape as drawn; None where it marks nothing, which is said."""
    place = f"shapes[{shape.number}]"
    if shape.label == IGNORE:
        left_out.append(f"{place} is drawn as {IGNORE}, which is no class")
        return None
    if not shape.finished:
        if shape.label != BACKGROUND:
            left_out.append(f"{place} is a {shape.kind} of {len(shape.points)} points, and marks nothing")
        return None
    mask, (x, y) = draw_shape(shape, size, document.path, document.version)
    if not mask.any():
        if shape.label != BACKGROUND:
            left_out.append(f"{place} marks no pixel of the image")
        return None
    return _Piece(shape, mask, x, y)


def objects_of(shapes: Sequence[Shape]) -> Iterator[list[int]]:
    """Numbers of the shapes of each object: those of one label and one group are one; none is without a group."""
    groups: dict[tuple[str, str], list[int]] = {}
    for number, shape in enumerate(shapes):
        if shape.group:
            groups.setdefault((shape.label, shape.group), []).append(number)
        else:
            yield [number]
    yield from groups.values()


def classes_of(shapes: Iterable[Shape]) -> tuple[str, ...]:
    """Classes of shapes, each once."""
    return tuple(dict.fromkeys(one.label for one in shapes if one.label not in (BACKGROUND, IGNORE)))


def all_boxes(shapes: Sequence[Shape]) -> bool:
    """Whether all objects that shapes mark are boxes."""
    if any(shape.label == BACKGROUND for shape in shapes):
        return False
    marking = [shape for shape in shapes if shape.label != IGNORE]
    return all(shape.kind == "rectangle" for shape in marking) and all(len(one) == 1 for one in objects_of(marking))


def _take_away(piece: _Piece, other: _Piece) -> None:
    """Take the pixels of another piece out of one."""
    x0, y0, x1, y1 = _common(piece.box, other.box)
    if x1 > x0 and y1 > y0:
        cover = other.mask[y0 - other.y : y1 - other.y, x0 - other.x : x1 - other.x]
        if cover.any():
            piece.mask = piece.mask.copy()
            piece.mask[y0 - piece.y : y1 - piece.y, x0 - piece.x : x1 - piece.x] &= ~cover


def _common(one: Box, other: Box) -> Box:
    return max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])


def _instance(own: list[_Piece], since: list[_Piece], size: Size) -> Instance | None:
    """The object that some pieces make up; `since`: all that is drawn from the first of them to the last."""
    shape = own[0].shape
    if len(own) == 1:
        box = exact_box(own[0].shape, own[0].box) if own[0].mask.all() else None
        if box is not None and shape.kind == "rectangle":
            return Instance.of_box(shape.label, box, size, shape.attributes)
        found = crop_to_bbox(own[0].mask, shape.label, (own[0].x, own[0].y))
        return None if found is None else replace(found, attributes=shape.attributes)
    boxes = [piece.box for piece in own]
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right, bottom = max(box[2] for box in boxes), max(box[3] for box in boxes)
    canvas = np.zeros((bottom - top, right - left), np.bool_)
    mine = {id(piece) for piece in own}
    for piece in since:
        x0, y0, x1, y1 = _common(piece.box, (left, top, right, bottom))
        if x1 > x0 and y1 > y0:
            here = canvas[y0 - top : y1 - top, x0 - left : x1 - left]
            here[piece.mask[y0 - piece.y : y1 - piece.y, x0 - piece.x : x1 - piece.x]] = id(piece) in mine
    found = crop_to_bbox(canvas, shape.label, (left, top))
    return None if found is None else replace(found, attributes=_joined([piece.shape for piece in own]))


def _joined(shapes: Sequence[Shape]) -> dict[str, str]:
    """What several shapes say; what they say differently one after the other."""
    told: dict[str, list[str]] = {}
    for shape in shapes:
        for name, value in shape.attributes.items():
            told.setdefault(name, []).append(value)
    return {name: "; ".join(dict.fromkeys(values)) for name, values in told.items()}


def exact_box(shape: Shape, drawn: Box) -> tuple[float, float, float, float]:
    """The box of a rectangle: the pixels that LabelMe draws, or what it says to stand for if it is drawn so."""
    if len(shape.box) == 4:
        x0, y0, x1, y1 = shape.box
        if [list(point) for point in shape.points] == rectangle_points((x0, y0, x1, y1)):
            return x0, y0, x1, y1
    return drawn


def rectangle_points(box: tuple[float, float, float, float]) -> list[list[int]]:
    """First and last pixel of a box, as LabelMe has the corners of a rectangle."""
    one = Instance("", box, None, 0)
    left, top, right, bottom = one.window
    return [[left, top], [right - 1, bottom - 1]]
