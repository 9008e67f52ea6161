"""Small stand-ins for datasets as people have them: trees of tiny files, and what is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.commands import save
from toolkit.dataset.dataset import Dataset

__all__ = ["IMAGE", "Facts", "Tree", "facts", "marked", "plant", "told"]

IMAGE = np.arange(24, dtype=np.uint8).reshape(4, 6)
"""An image, grey, of 6 x 4 pixels."""

Tree = Mapping[str, "npt.NDArray[Any] | str | bytes | int"]
"""Path below the root -> pixels, text, bytes, or the value of the four pixels that a mask marks."""

Facts = dict[str, tuple[tuple[str, ...], str, str]]
"""Key -> classes, subset and kind of its label."""


def marked(value: int) -> npt.NDArray[np.uint8]:
    """A mask of an `IMAGE`: uint8 (4, 6), `value` in 2 x 2 of its pixels."""
    mask = np.zeros((4, 6), np.uint8)
    mask[1:3, 2:4] = value
    return mask


def plant(root: Path, tree: Tree) -> Path:
    """Write a tree of files."""
    for name, content in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            save(path, marked(content) if isinstance(content, int) else content)
    return root


def facts(dataset: Dataset) -> Facts:
    """What a dataset says of each image."""
    return {sample.key: (sample.labels, sample.split, str(sample.kind)) for sample in dataset}


def told(dataset: Dataset) -> list[str]:
    """What is wrong with the layout, without the root in it."""
    return [f"{p.file}: {p.problem}".replace(f"{dataset.root}/", "") for p in dataset.layout_problems]
