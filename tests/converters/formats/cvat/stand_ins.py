"""CVAT's files as it writes them, and readers and rasterisers that share no code with ours."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from converters import read_labels
from converters.formats.base import Reading
from tests.converters.support import Bools, save_png

__all__ = [
    "SIZE",
    "box",
    "document",
    "image",
    "kinds",
    "masks_in",
    "photo",
    "polygon",
    "problems",
    "shape",
    "tag",
    "write",
]

SIZE = (30, 20)  # width, height


def photo(path: Path, number: int = 0, size: tuple[int, int] = SIZE) -> Path:
    return save_png(path, np.random.default_rng(number).integers(0, 256, size[::-1]))


def shape(kind: str, label: str | None = "dent", inner: dict[str, str] | None = None, **told: object) -> str:
    """An element with what CVAT says of each shape, as far as `told` does not say otherwise (None: nothing)."""
    said = {"label": label, "source": "manual", "occluded": "0", "z_order": "0", **told}
    attributes = " ".join(f"{name}={quoteattr(str(value))}" for name, value in said.items() if value is not None)
    children = "".join(
        f"<attribute name={quoteattr(name)}>{escape(value)}</attribute>" for name, value in (inner or {}).items()
    )
    return f"<{kind} {attributes}>{children}</{kind}>"


def box(x0: object, y0: object, x1: object, y1: object, label: str = "dent", **told: Any) -> str:
    return shape("box", label, xtl=x0, ytl=y0, xbr=x1, ybr=y1, **told)


def polygon(*points: tuple[float, float], label: str = "dent", **told: Any) -> str:
    return shape("polygon", label, points=";".join(f"{x:.2f},{y:.2f}" for x, y in points), **told)


def tag(label: str) -> str:
    return f"<tag label={quoteattr(label)} source='manual'></tag>"


def image(
    name: str = "a.png", *shapes: str, number: int = 0, size: Sequence[object] | None = SIZE, more: str = ""
) -> str:
    sides = f"width='{size[0]}' height='{size[1]}'" if size is not None else ""
    return f"<image id='{number}' name={quoteattr(name)} {sides} {more}>{''.join(shapes)}</image>"


def document(*images: str, labels: Sequence[str] = ("dent", "rust"), subset: str = "", more: str = "") -> str:
    """A file as CVAT exports a task."""
    listed = "".join(f"<label><name>{escape(one)}</name><color>#fa3253</color></label>" for one in labels)
    task = f"<task><id>1</id><mode>annotation</mode><subset>{subset}</subset><labels>{listed}</labels></task>"
    inner = f"<version>1.1</version><meta>{task}</meta>{''.join(images)}{more}"
    return f"<?xml version='1.0'?><annotations>{inner}</annotations>"


def write(root: Path, text: str, *images: str, name: str = "annotations.xml") -> Path:
    """A tree of one file, and images of it below images/."""
    root.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")
    for number, one in enumerate(images):
        photo(root / "images" / one, number)
    return root


def problems(root: Path) -> list[str]:
    """What is wrong with a tree and its images, without the folder before it."""
    tree = read_labels(root)
    found = [*tree.layout_problems, *(one for record in tree.records for one in record.inspect(None))]  # type: ignore[arg-type]
    return [str(one).replace(f"{root}/", "") for one in found]


def kinds(root: Path, **told: Any) -> dict[str, tuple[str, str | None, str]]:
    """Key -> class, kind and subset."""
    tree = read_labels(root, reading=Reading(**told))
    return {one.sample.key: (one.sample.defect, one.sample.kind, one.sample.split) for one in tree.records}


def masks_in(path: Path) -> dict[str, list[tuple[str, Bools]]]:
    """Name of each image -> class and mask of its <mask>, <polygon> and turned <box>, as the standard library reads."""
    found = {}
    for element in ElementTree.parse(path).getroot().iter("image"):
        size = int(element.attrib["width"]), int(element.attrib["height"])
        found[element.attrib["name"]] = [(one.attrib["label"], _mask(one, size)) for one in element]
    return found


def _mask(one: ElementTree.Element, size: tuple[int, int]) -> Bools:
    whole = np.zeros(size[::-1], np.bool_)
    told = one.attrib
    if one.tag == "mask":
        left, top, width = (int(told[name]) for name in ("left", "top", "width"))
        place = 0
        for number, run in enumerate(map(int, told["rle"].split(","))):
            for pixel in range(place, place + run):
                whole[top + pixel // width, left + pixel % width] = number % 2 == 1
            place += run
        return whole
    if one.tag == "polygon":
        return fill([tuple(map(float, pair.split(","))) for pair in told["points"].split(";")], size)
    if one.tag == "ellipse":
        canvas = np.zeros(size[::-1], np.uint8)
        cx, cy, rx, ry = (round(float(told[name])) for name in ("cx", "cy", "rx", "ry"))
        cv2.ellipse(canvas, (cx, cy), (rx, ry), float(told.get("rotation", "0")), 0, 360, 255, thickness=-1)
        return canvas > 0
    x0, y0, x1, y1 = (float(told[name]) for name in ("xtl", "ytl", "xbr", "ybr"))
    middle = complex((x0 + x1) / 2, (y0 + y1) / 2)
    turn = cmath.rect(1, math.radians(float(told.get("rotation", "0"))))  # y goes down, so this is clockwise
    corners = (middle + turn * (complex(x, y) - middle) for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1)))
    return fill([(one.real, one.imag) for one in corners], size)


def fill(points: Sequence[tuple[float, ...]], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """As pycocotools does."""
    flat = [value for point in points for value in point]
    return np.asarray(coco_mask.decode(coco_mask.frPyObjects([flat], size[1], size[0]))[..., 0], np.bool_)
