"""One Pascal VOC annotation: an XML file of an image, as it stands."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from toolkit.errors import ToolkitError
from toolkit.files.xml_files import parse_xml, text_of

__all__ = ["OURS", "USUAL", "Annotation", "Corners", "VocObject", "read_annotation"]

OURS = "defectkit"
"""What stands in <source><annotation> of files of ours, whose corners are pixels from 1."""

Corners = tuple[float, float, float, float]
"""xmin, ymin, xmax, ymax as they stand in the file."""

_REMEDY = "correct or remove it"
_MOST_BYTES, _MOST_ELEMENTS = 1 << 26, 1_000_000
_FARTHEST = 1e6
"""Pixels that a corner may lie from the image's."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
USUAL = {"pose": "unspecified", "truncated": "0", "difficult": "0", "occluded": "0"}
"""What stands where nothing is said of an object."""

_OUTLINES = ("polygon", "segmentation", "segm")


@dataclass(frozen=True)
class VocObject:
    """An object of an image: its class, its corners (None where it has no upright box), and what is said of it.

    Attributes that say what is usual (not truncated, not difficult, of no pose) are left out.
    """

    label: str
    corners: Corners | None
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Annotation:
    """What an XML file says of an image.

    Attributes:
        filename, folder, place: of the image, as whoever wrote it had them: <filename>, <folder>, <path>.
        size: width and height in pixels; None where they are missing or 0.
        objects: what the image shows, in order.
        outlines: objects that have a polygon as well.
        ours: whether defectkit wrote it.
    """

    filename: str
    folder: str
    place: str
    size: tuple[int, int] | None
    objects: tuple[VocObject, ...]
    outlines: int = 0
    ours: bool = False


def read_annotation(path: Path) -> Annotation:
    """A Pascal VOC annotation.

    Raises:
        ToolkitError: it cannot be read, is none, or holds a number, a size or an object that makes no sense.
    """
    root = parse_xml(path, _REMEDY, most_bytes=_MOST_BYTES, most_elements=_MOST_ELEMENTS)
    if root.tag != "annotation":
        what = f"is no Pascal VOC annotation: it begins with <{root.tag:.40}>, not <annotation>"
        raise ToolkitError(path, what, _REMEDY)
    found = root.findall("object")  # those of <part> lie deeper, and are no objects
    ours = text_of(root, "source/annotation") == OURS
    return Annotation(
        filename=text_of(root, "filename"),
        folder=text_of(root, "folder"),
        place=text_of(root, "path"),
        size=_size(path, root.find("size")),
        objects=tuple(_object(f"{path}: object {number}", one, ours=ours) for number, one in enumerate(found, 1)),
        outlines=sum(any(one.find(name) is not None for name in _OUTLINES) for one in found),
        ours=ours,
    )


def _size(path: Path, size: Element | None) -> tuple[int, int] | None:
    sides = []
    for name in ("width", "height"):
        text = text_of(size, name) if size is not None else ""
        side = _number(path, f"<{name}>", text) if text else 0
        if side < 0 or side != int(side):
            raise ToolkitError(path, f"has the {name} {text!r:.40}, which is no size", _REMEDY)
        sides.append(int(side))
    return (sides[0], sides[1]) if min(sides) > 0 else None


def _object(place: str, element: Element, *, ours: bool) -> VocObject:
    """An object; of ours attributes stand as they were, blanks around them and empty ones too."""
    label = text_of(element, "name")
    if not label:
        raise ToolkitError(place, "has no <name>", "name its class, or remove it")
    boxes = element.findall("bndbox")
    if len(boxes) > 1:
        raise ToolkitError(place, f"has {len(boxes)} boxes", "make an object of each")
    corners = None
    if boxes:
        x0, y0, x1, y1 = (_number(place, f"<{name}>", text_of(boxes[0], name)) for name in _CORNERS)
        corners = (x0, y0, x1, y1)
    told = [(name, text) for name, usual in USUAL.items() if (text := text_of(element, name)).lower() != usual]
    told = [(name, text) for name, text in told if text]
    for one in element.findall("attributes/attribute"):
        name, text = one.findtext("name") or "", one.findtext("value") or ""
        if ours and name:
            told.append((name, text))
        elif name.strip() and text.strip():
            told.append((name.strip(), text.strip()))
    return VocObject(label, corners, tuple(told))


def _number(place: str | Path, name: str, text: str) -> float:
    """A number of a file.

    Raises:
        ToolkitError: it is none, or lies beyond all images.
    """
    if not text:
        raise ToolkitError(place, f"has no {name}", _REMEDY)
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not abs(value) <= _FARTHEST:
        raise ToolkitError(place, f"has {text!r:.40} as {name}, which is no number of pixels", _REMEDY)
    return value
