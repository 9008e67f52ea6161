"""Whether the images of a classification tree of ours stand where its table says: trainers go by the folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from converters.formats.label_tree import FoundImage, walk_files
from toolkit.errors import Problem
from toolkit.imaging.images import is_image

__all__ = ["where_they_stand"]


def where_they_stand(root: Path, listed: Sequence[FoundImage]) -> tuple[list[FoundImage], list[Problem]]:
    """The images of a table, each where it stands now; and a problem for each that stands elsewhere, or is not listed.

    An image that is nowhere stays as it is listed.
    """
    expected = {one.image for one in listed}
    strays: dict[str, list[Path]] = {}
    for path in walk_files(root):
        if is_image(path.name) and path not in expected:
            strays.setdefault(path.name, []).append(path)
    found, problems = [], []
    for one in listed:
        alike = [] if one.image.is_file() else strays.get(one.image.name, [])
        if len(alike) != 1:
            found.append(one)
            continue
        (here,) = strays.pop(one.image.name)
        found.append(replace(one, image=here))
        said = f"stands in {_folder(here, root)}, labels.csv says {_folder(one.image, root)}"
        problems.append(Problem(str(here), said, "move it back, or convert again"))
    for path in sorted(path for paths in strays.values() for path in paths):
        problems.append(Problem(str(path), "is not in labels.csv", "remove it, or convert again"))
    return found, problems


def _folder(path: Path, root: Path) -> str:
    return path.parent.relative_to(root).as_posix()
