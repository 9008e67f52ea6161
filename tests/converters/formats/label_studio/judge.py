"""Label Studio's own rules, and files as it exports them: no code is shared with ours.

`decode_rle`, `encode_rle` and the corners of rotated rectangles are those of label-studio-sdk 2.1, said anew.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from converters import read_labels
from converters.formats.label_tree import LabelTree
from tests.commands import save

__all__ = [
    "HEIGHT",
    "WIDTH",
    "Bools",
    "decode_rle",
    "encode_rle",
    "fill",
    "pixels",
    "plant",
    "rectangle",
    "region",
    "task",
    "turned",
]

Bools = npt.NDArray[np.bool_]
WIDTH, HEIGHT = 40, 20


def decode_rle(rle: Sequence[int]) -> npt.NDArray[np.uint8]:
    """The values that rle-pack packed, bit by bit."""
    bits = "".join(f"{byte:08b}" for byte in rle)
    place = 0

    def read(count: int) -> int:
        nonlocal place
        place += count
        return int(bits[place - count : place], 2)

    count, word = read(32), read(5) + 1
    lengths = [read(4) + 1 for _ in range(4)]
    out = np.zeros(count, np.uint8)
    at = 0
    while at < count:
        repeated = read(1)
        end = at + 1 + read(lengths[read(2)])
        if repeated:
            out[at:end] = read(word)
        else:
            for one in range(at, end):
                out[one] = read(word)
        at = end
    return out


def encode_rle(values: Sequence[int]) -> list[int]:
    """Values as `encode_rle` packs them: single ones alone, runs by the narrowest length."""
    out = f"{len(values):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    at = 0
    while at < len(values):
        end = at
        while end < len(values) and values[end] == values[at] and end - at < 1 << 16:
            end += 1
        count = end - at
        if count == 1:
            out += f"000000{values[at]:08b}"
        else:
            which, size = next((n, size) for n, size in enumerate((3, 4, 8, 16)) if count <= 1 << size)
            out += f"1{which:02b}{count - 1:0{size}b}{values[at]:08b}"
        at = end
    out += "0" * (8 - len(out) % 8)
    return [int(out[start : start + 8], 2) for start in range(0, len(out), 8)]


def turned(value: dict[str, float], width: int, height: int) -> list[tuple[float, float]]:
    """Corners of a rotated rectangle in pixels, as `convert_annotation_to_yolo_obb` has them."""
    x, y = value["x"] / 100 * width, value["y"] / 100 * height
    w, h = value["width"] / 100 * width, value["height"] / 100 * height
    cos, sin = math.cos(math.radians(value["rotation"])), math.sin(math.radians(value["rotation"]))
    far = (x + w * cos - h * sin, y + w * sin + h * cos)
    return [(x, y), (x + w * cos, y + w * sin), far, (x - h * sin, y + h * cos)]


def fill(points: Sequence[Sequence[float]], width: int = WIDTH, height: int = HEIGHT) -> Bools:
    """A polygon in pixels as pycocotools fills it."""
    flat = [[float(number) for point in points for number in point]]
    return np.asarray(coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(flat, height, width))), bool)


def region(kind: str, label: str | None = "dent", **told: Any) -> dict[str, Any]:
    """A result; what does not stand at its top is its value."""
    top = ("id", "from_name", "to_name", "original_width", "original_height", "image_rotation", "meta", "score")
    value = {name: one for name, one in told.items() if name not in top}
    if label is not None:
        value[f"{kind}labels"] = [label]
    given = {name: one for name, one in told.items() if name in top}
    sizes = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    names = {"from_name": "label", "to_name": "image"}
    return {**sizes, **names, "type": f"{kind}labels", "value": value, **given}


def rectangle(x: Any = 10, y: Any = 20, width: Any = 30, height: Any = 40, **told: Any) -> dict[str, Any]:
    """An upright rectangle, in per cent: by default the pixels 4 to 16 and 4 to 12."""
    label = told.pop("label", "dent")
    return region("rectangle", label, x=x, y=y, width=width, height=height, **{"rotation": 0, **told})


def task(image: str, *results: Any, **told: Any) -> dict[str, Any]:
    """A task with one annotation."""
    annotation = {"id": 1, "result": list(results), "was_cancelled": False, "ground_truth": False}
    return {"id": 7, "data": {"image": image}, "annotations": [annotation], "predictions": [], **told}


def plant(root: Path, tasks: Sequence[Any], *, images: Sequence[str] = ("a.png",), name: str = "project.json") -> Path:
    """A folder with an export and images."""
    for number, image in enumerate(images):
        save(root / image, np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH), np.uint8))
    root.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(json.dumps(tasks), encoding="utf-8")
    return root


def pixels(tree: LabelTree | Path) -> dict[str, list[tuple[str, Bools]]]:
    """Key -> class and pixels of each object."""
    read = read_labels(tree) if isinstance(tree, Path) else tree
    return {image.key: [(one.label, one.whole(image.width, image.height)) for one in image.instances] for image in read}
