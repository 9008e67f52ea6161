"""YOLO trees as other tools write them, made for a test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from converters import read_labels
from tests.converters.support import save_png

__all__ = ["BOX", "SCRATCH", "SIZE", "TRIANGLE", "boxes", "image", "lay_out", "yolo_tree"]

SIZE = (20, 30)  # height, width
BOX = "1 0.5 0.5 0.2 0.2"  # pixels 12 to 18 and 8 to 12
TRIANGLE = "0 0.1 0.1 0.5 0.1 0.1 0.5"


def image(path: Path, size: tuple[int, int] = SIZE) -> Path:
    return save_png(path, np.zeros(size, np.uint8))


def yolo_tree(root: Path, images: Mapping[str, str | None], names: Any = ("dent", "scratch"), **more: Any) -> Path:
    """A YOLO tree: image path -> text of its label file, or None for no file; and a data.yaml."""
    for place, text in images.items():
        image(root / place)
        label = root / place.replace("images", "labels", 1)
        if text is not None:
            label.parent.mkdir(parents=True, exist_ok=True)
            label.with_suffix(".txt").write_text(text, encoding="utf-8")
    listed = dict(names) if isinstance(names, Mapping) else list(names)
    (root / "data.yaml").write_text(yaml.safe_dump({**more, "names": listed}))
    return root


def boxes(root: Path) -> dict[str, list[tuple[str, tuple[int, int, int, int]]]]:
    return {found.key: [(i.label, i.bbox) for i in found.instances] for found in read_labels(root)}


SCRATCH = ("scratch", (12, 8, 18, 12))


def lay_out(root: Path, files: Mapping[str, str | bytes | None]) -> Path:
    """A folder of files: path -> text or bytes, or None for an image."""
    for place, content in files.items():
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            image(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root
