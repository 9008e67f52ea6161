"""LabelMe's own drawing, on whole images, and files as LabelMe writes them: no code is shared with ours."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from converters.formats.label_tree import LabelTree
from tests.commands import save

__all__ = ["Bools", "document", "draw", "picture_of", "png", "region", "save_pair", "shape", "write"]

Bools = npt.NDArray[np.bool_]
WIDTH, HEIGHT = 48, 32


def draw(one: dict[str, Any], size: tuple[int, int] = (WIDTH, HEIGHT), version: int = 5) -> Bools:
    """A shape on an image of `size`: bool (height, width)."""
    kind, points = one["shape_type"], [tuple(point) for point in one["points"]]
    if kind == "mask":
        stored = np.array(Image.open(io.BytesIO(base64.b64decode(one["mask"])))).astype(bool)
        whole = np.zeros((size[1], size[0]), bool)
        (x0, y0), (x1, y1) = np.array(points).astype(int)
        whole[y0 : y1 + 1, x0 : x1 + 1] = stored
        return whole
    canvas = Image.new("L", size)
    pen = ImageDraw.Draw(canvas)
    if kind == "circle":
        (x, y), (px, py) = points
        radius = float(np.hypot(px - x, py - y))
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1, outline=1)
    elif kind == "rectangle":
        (x0, y0), (x1, y1) = points
        pen.rectangle((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), fill=1, outline=1)
    elif kind == "line":
        pen.line(points, fill=1, width=10)
    elif kind == "linestrip":
        pen.line(points, fill=1, width=10, joint="curve" if version >= 7 else None)
    elif kind == "point":
        ((x, y),) = points
        pen.ellipse((x - 5, y - 5, x + 5, y + 5), fill=1, outline=1)
    else:
        pen.polygon(points, fill=1, outline=1)
    return np.array(canvas, bool)


def png(mask: Bools) -> str:
    """A mask as LabelMe keeps it."""
    file = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def shape(
    kind: str | None = "polygon", points: Any = ((4, 4), (20, 5), (12, 18)), label: Any = "dent", **more: Any
) -> Any:
    """A shape as version 5 writes it."""
    told = {"label": label, "points": [list(point) for point in points], "group_id": None, "description": ""}
    return {**told, "shape_type": kind, "flags": {}, "mask": None, **more}


def document(*shapes: Any, image: str = "a.png", **more: Any) -> dict[str, Any]:
    """A file as version 5 writes it."""
    told: dict[str, Any] = {"version": "5.5.0", "flags": {}, "shapes": list(shapes), "imagePath": image}
    return {**told, "imageData": None, "imageHeight": HEIGHT, "imageWidth": WIDTH, **more}


def picture_of(number: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> npt.NDArray[np.uint8]:
    """An image unlike those of other numbers."""
    return np.random.default_rng(number).integers(0, 255, (size[1], size[0], 3), np.uint8)


def write(path: Path, told: Any) -> Path:
    """Write a JSON file; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told), "utf-8")
    return path


def save_pair(root: Path, name: str, *shapes: Any, **more: Any) -> Path:
    """An image, and its file beside it."""
    save(root / f"{name}.png", picture_of(sum(map(ord, name))))
    return write(root / f"{name}.json", document(*shapes, image=f"{Path(name).name}.png", **more))


def region(tree: LabelTree, key: str) -> list[tuple[str, Bools]]:
    """Class and pixels of each instance of an image."""
    (image,) = (one for one in tree if one.key == key)
    return [(one.label, one.whole(image.width, image.height)) for one in image.instances]


def union(masks: Sequence[Bools]) -> Bools:
    """The pixels that any of some masks has."""
    return np.asarray(np.logical_or.reduce(masks), bool)
