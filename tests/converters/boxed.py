"""Sources of which some objects, or all, have a box and no mask."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.converters.support import save_png

__all__ = ["BOX", "MASK", "boxed_tree", "classified_tree"]

HEIGHT, WIDTH = 40, 50
BOX: dict[str, Any] = {"bbox": [5, 6, 10, 8], "area": 80, "segmentation": []}
MASK: dict[str, Any] = {"bbox": [30, 20, 12, 5], "area": 60, "segmentation": [[30, 20, 42, 20, 42, 25, 30, 25]]}


def boxed_tree(root: Path, images: Sequence[Sequence[dict[str, Any]]]) -> Path:
    """A COCO tree of another tool: for each image 0, 1, ... its annotations, of class dent."""
    annotations: list[dict[str, Any]] = []
    for number, own in enumerate(images):
        save_png(root / f"images/{number}.png", np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH)))
        for one in own:
            told = {"id": len(annotations) + 1, "image_id": number, "category_id": 1, "iscrowd": 0}
            annotations.append({**told, **one})
    listed = [{"id": n, "file_name": f"{n}.png", "width": WIDTH, "height": HEIGHT} for n in range(len(images))]
    document = {"images": listed, "annotations": annotations, "categories": [{"id": 1, "name": "dent"}]}
    (root / "annotations").mkdir(parents=True)
    (root / "annotations/instances_train.json").write_text(json.dumps(document))
    return root


def classified_tree(root: Path) -> Path:
    """A classification tree of another tool."""
    for number, label in enumerate(("dent", "dent", "rust")):
        picture = np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH))
        save_png(root / "train" / label / f"{number}.png", picture)
    return root
