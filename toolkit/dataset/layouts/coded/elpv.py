"""The layout of ELPV, solar cells: a class for the whole image, out of a list.

    labels.csv          images/cell0001.png  1.0  mono   with space between the fields, no header; or labels.txt
    images/cell0001.png

The number is the probability that the cell is defective: 0, 1/3, 2/3 or 1. The word is the kind of module.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from toolkit.dataset.dataset import Dataset
from toolkit.dataset.layouts.files import list_files
from toolkit.dataset.layouts.layout import Layout
from toolkit.dataset.layouts.records import read_lines
from toolkit.dataset.samples import GOOD, Sample
from toolkit.errors import Problem

__all__ = ["LAYOUT"]

_LISTS = ("labels.csv", "labels.txt")
_LINE = re.compile(r"(\S+)\s+(\d*\.?\d+)\s+(\w+)\s*\Z")
_CLASSES: Mapping[float, str] = {0: GOOD, 1 / 3: "defective_33", 2 / 3: "defective_67", 1: "defective"}
_CLOSE = 0.01


def _detect(root: Path) -> bool:
    """Whether a folder has images, and a list that begins as it should."""
    place = _list_of(root)
    if place is None or not (root / "images").is_dir():
        return False
    try:
        with place.open(encoding="utf-8-sig") as file:
            return _LINE.match(file.readline()) is not None
    except (OSError, UnicodeDecodeError):
        return False


def _list_of(root: Path) -> Path | None:
    return next((root / name for name in _LISTS if (root / name).is_file()), None)


def _index(root: Path) -> Dataset:
    """Samples of the images in the list.

    Raises:
        ToolkitError: the list cannot be read.
    """
    files = list_files(root)
    place = _list_of(root) or root / _LISTS[0]
    there = set(files.images)
    samples: dict[str, Sample] = {}
    problems = list(files.problems)
    for number, line in enumerate(read_lines(place), 1):
        found = _LINE.match(line)
        name = found[1].replace("\\", "/") if found else ""
        label = _class_of(float(found[2])) if found else None
        if not line.strip():
            continue
        if found is None or label is None:
            what = f"line {number} is not a path, a probability of 0, 1/3, 2/3 or 1, and a word ({line[:40]!r})"
            problems.append(Problem(str(place), what, "correct the line"))
        elif name not in there:
            what = f"line {number} names {name}, which is not there"
            problems.append(Problem(str(place), what, "put the image in its place, or take the line out"))
        elif name in samples:
            what = f"line {number} names {name} for the second time"
            problems.append(Problem(str(place), what, "keep one of the lines"))
        else:
            key = f"{found[3]}/{label}/{PurePosixPath(name).stem}"
            samples[name] = Sample(key, root / name, (), found[3], label, "train")
    left = [name for name in files.images if name.startswith("images/") and name not in samples]
    if left:
        shown = ", ".join(left[:3]) + (", ..." if len(left) > 3 else "")
        what = f"says nothing usable of {len(left)} image(s): {shown}"
        problems.append(Problem(str(place), what, "add them to the list, or take them out"))
    passed_over = [root / name for name in left]
    whole = samples.values()
    return Dataset(whole, root=root, layout="elpv", layout_problems=problems, passed_over=passed_over)


def _class_of(probability: float) -> str | None:
    return next((name for at, name in _CLASSES.items() if math.isclose(probability, at, abs_tol=_CLOSE)), None)


LAYOUT = Layout(
    name="elpv",
    shown="labels.csv with a path, a probability and a kind of module a line, beside images/",
    detect=_detect,
    index=_index,
    parts=frozenset({"images"}),
)
