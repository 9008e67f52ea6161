"""COCO trees as other tools leave them: documents, files, images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from converters.rasterize import uncompressed_rle
from tests.converters.support import save_png

__all__ = [
    "BOTH",
    "NAN",
    "RUNS",
    "SIZE",
    "SQUARE",
    "annotation",
    "coco",
    "coco_tree",
    "image",
    "listed",
    "ring",
    "without",
]

NAN = float("nan")
SIZE = (20, 30)  # height, width
SQUARE = np.zeros(SIZE, np.bool_)
SQUARE[4:9, 3:12] = True
RUNS = uncompressed_rle(SQUARE[4:9, 3:12], (3, 4), *SIZE)
BOTH = SQUARE.copy()
BOTH[12:15, 20:25] = True


def image(path: Path, size: tuple[int, int] = SIZE) -> Path:
    return save_png(path, np.zeros(size, np.uint8))


def ring(x0: int, y0: int, x1: int, y1: int) -> list[int]:
    return [x0, y0, x1, y0, x1, y1, x0, y1]


def annotation(**more: Any) -> dict[str, Any]:
    """One of 9 x 5 pixels, 45 in all."""
    return {"id": 1, "image_id": 5, "category_id": 3, "bbox": [3, 4, 9, 5], "area": 45, "iscrowd": 0, **more}


def listed(name: str = "a.png", **more: Any) -> dict[str, Any]:
    return {"id": 5, "file_name": name, "width": SIZE[1], "height": SIZE[0], **more}


def coco(*annotations: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "images": [listed()],
        "annotations": list(annotations),
        "categories": [{"id": 0, "name": "dent"}, {"id": 3, "name": "scratch"}],
        **more,
    }


def coco_tree(root: Path, document: Any, file: str = "annotations/instances_train.json") -> Path:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(document if isinstance(document, str) else json.dumps(document))
    return root


def without(part: str, number: int, member: str) -> dict[str, Any]:
    document = coco(annotation())
    del document[part][number][member]
    return document
