"""CVAT's XML files, image by image; what is wrong with an image is said of it, and the others are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

from converters.formats.cvat.values import whole
from toolkit.errors import Problem, ToolkitError
from toolkit.files.xml_files import parse_xml

__all__ = ["AREAS", "BUILT_IN", "CvatFile", "CvatImage", "Shape", "place_of", "read_cvat"]

AREAS = ("box", "polygon", "mask", "ellipse")
"""Shapes that have pixels; all others, such as <polyline>, are named and left out."""

BUILT_IN = {"occluded": "0", "source": "manual", "z_order": "0", "group_id": "0"}
"""What CVAT says of every shape beside its class, and what is usual: that says nothing."""

_GEOMETRY = {
    "box": ("xtl", "ytl", "xbr", "ybr", "rotation"),
    "polygon": ("points",),
    "mask": ("rle", "left", "top", "width", "height"),
    "ellipse": ("cx", "cy", "rx", "ry", "rotation"),
}
_LARGEST = 1 << 31
_REMEDY = "export it again as 'CVAT for images 1.1'"


class Shape(NamedTuple):
    """One shape of an image.

    Attributes:
        number: which of its kind it is in the image, from 1.
        kind: the name of its element.
        label: class; "" where it has none and is left out.
        told: its geometry as text, in the order that its kind has.
        depth: of several shapes in one place the one of the highest is on top.
        group: shapes of one class and one group are one object; 0 for none.
        attributes: what else is said of it, names and values.
    """

    number: int
    kind: str
    label: str
    told: tuple[str, ...]
    depth: int
    group: int
    attributes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class CvatImage:
    """One image of a file.

    Attributes:
        name: of its file, folders before it.
        subset: as the file has it; "" where it does not say.
        size: width and height in pixels; None where they do not stand there.
        shapes: in their order.
        tags: classes of the whole image.
    """

    name: str
    subset: str
    size: tuple[int, int] | None
    shapes: tuple[Shape, ...]
    tags: tuple[str, ...]


@dataclass(eq=False)
class CvatFile:
    """A file.

    Attributes:
        path: of it.
        labels: names of classes that it declares, in their order.
        images: in their order, without those that something is wrong with.
        problems: what is wrong with these.
        withheld: their names.
    """

    path: Path
    labels: tuple[str, ...]
    images: list[CvatImage] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)


def read_cvat(path: Path) -> CvatFile:
    """Read a file.

    Raises:
        ToolkitError: it is no XML, or of another kind.
    """
    root = parse_xml(path, _REMEDY)
    if root.tag != "annotations":
        raise ToolkitError(path, f"is no file of CVAT (its first element is <{root.tag[:40]}>)", _REMEDY)
    if root.find("track") is not None:
        raise ToolkitError(path, "is 'CVAT for video' (it holds tracks)", "export as 'CVAT for images 1.1'")
    meta = root.find("meta")
    subset = _subset(meta)
    found = CvatFile(path, _labels(meta))
    for number, element in enumerate(root.findall("image")):
        try:
            found.images.append(_image(path, number, element, subset))
        except ToolkitError as error:
            found.problems += error.problems
            found.withheld.append(element.get("name", ""))
    return found


def _labels(meta: Element | None) -> tuple[str, ...]:
    """Names of classes; the parts of a skeleton are none."""
    listed = meta.iter("label") if meta is not None else ()
    names = ((one.findtext("name") or "").strip() for one in listed if not (one.findtext("parent") or "").strip())
    return tuple(dict.fromkeys(name for name in names if name))


def _subset(meta: Element | None) -> str:
    """The subset of the one task that a file is of; "" where there are several, each image then has its own."""
    told = {(one.text or "").strip() for one in meta.iter("subset")} if meta is not None else set()
    return told.pop() if len(told) == 1 else ""


def place_of(path: Path, image: str, shape: Shape) -> str:
    """Where a shape stands, for messages."""
    return f"{path}: {shape.kind} {shape.number} of {image}"


def _image(path: Path, number: int, element: Element, subset: str) -> CvatImage:
    """An image.

    Raises:
        ToolkitError: it has no name, its size is none, or a shape has no class.
    """
    name = element.get("name", "").strip()
    if not name:
        raise ToolkitError(f"{path}: image {number}", "has no name", "write the name of its file")
    shapes = tuple(_shapes(path, name, element))
    tags = [(one.get("label") or "").strip() for one in element.findall("tag")]
    if "" in tags:
        raise ToolkitError(f"{path}: a tag of {name}", "has no label", "name its class, or remove it")
    size = _size(f"{path}: {name}", element)
    return CvatImage(name, (element.get("subset") or "").strip() or subset, size, shapes, tuple(dict.fromkeys(tags)))


def _size(place: str, element: Element) -> tuple[int, int] | None:
    """Width and height; None where either is not said.

    Raises:
        ToolkitError: they are those of no image.
    """
    found = []
    for side in ("width", "height"):
        text = element.get(side)
        number = whole(text) if text is not None else None
        if text is not None and (number is None or not 1 <= number <= _LARGEST):
            raise ToolkitError(place, f"has the {side} {text!a:.40}, the size of no image", "correct it")
        found.append(number)
    return (found[0], found[1]) if found[0] is not None and found[1] is not None else None


def _shapes(path: Path, name: str, image: Element) -> Iterator[Shape]:
    counts: dict[str, int] = {}
    for element in image:
        if element.tag == "tag":
            continue
        counts[element.tag] = number = counts.get(element.tag, 0) + 1
        if element.tag in AREAS:
            yield _shape(path, name, number, element)
        else:
            yield Shape(number, element.tag, (element.get("label") or "").strip(), (), 0, 0, ())


def _shape(path: Path, name: str, number: int, element: Element) -> Shape:
    place = f"{path}: {element.tag} {number} of {name}"
    label = (element.get("label") or "").strip()
    if not label:
        raise ToolkitError(place, "has no label", "name its class, or remove it")
    numbers = []
    for member in ("z_order", "group_id"):
        value = whole(element.get(member, "0"))
        if value is None:
            raise ToolkitError(place, f"has the {member} {element.get(member)!a:.40}, no whole number", "correct it")
        numbers.append(value)
    told = tuple(element.get(member, "") for member in _GEOMETRY[element.tag])
    return Shape(number, element.tag, label, told, numbers[0], numbers[1], tuple(_attributes(element).items()))


def _attributes(element: Element) -> dict[str, str]:
    """What else is said of a shape; an attribute of its class that is called as one of CVAT's own is told from it."""
    found = {
        name: text.strip()
        for name, usual in BUILT_IN.items()
        if (text := element.get(name, usual)).strip() not in (usual, "")
    }
    for one in element.findall("attribute"):
        name = one.get("name", "")
        if name.strip():
            found[name if name not in found else f"{name} (attribute)"] = one.text or ""
    return found
