"""Trees of other tools, written by hand, and what is read of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from converters import read_labels
from converters.formats.base import Reading
from tests.commands import save

__all__ = ["HEIGHT", "WIDTH", "Bools", "kinds", "objects", "photo", "problems", "write"]

Bools = npt.NDArray[np.bool_]
WIDTH, HEIGHT = 30, 20


def photo(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
    """An image unlike those of other names."""
    seed = sum(number * ord(letter) for number, letter in enumerate(path.name, 1))
    save(path, np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8))
    return path


def write(path: Path, told: Any) -> Path:
    """Write text, or JSON; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(told if isinstance(told, str) else json.dumps(told), "utf-8")
    return path


def objects(root: Path, image: str) -> list[tuple[str, Any]]:
    """Class of each object of an image, with its pixels on the whole image, or its box where there are none."""
    (record,) = (one for one in read_labels(root).records if one.sample.image.name == image)
    shown = record.labelled()
    return [
        (one.label, one.bbox if one.mask is None else one.whole(shown.width, shown.height)) for one in shown.instances
    ]


def kinds(root: Path, **told: Any) -> dict[str, tuple[str, str | None, str]]:
    """Image -> class, kind and subset."""
    tree = read_labels(root, reading=Reading(**told))
    home = root if root.is_dir() else root.parent
    return {
        one.sample.image.relative_to(home).as_posix(): (one.sample.defect, one.sample.kind, one.sample.split)
        for one in tree.records
    }


def problems(root: Path) -> list[str]:
    """What is wrong with a tree and its images, without the folder before it."""
    tree = read_labels(root)
    found = [*tree.layout_problems, *(one for record in tree.records for one in record.inspect(None))]  # type: ignore[arg-type]
    return [str(one).replace(f"{root}/", "") for one in found]
