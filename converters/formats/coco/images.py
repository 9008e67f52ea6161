"""The images that COCO files list: their ids, their sizes, and where they lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import splitext

from converters.formats.coco.document import image_id, shown, whole_number
from converters.formats.coco.files import image_folders, shown_folders, subset_of_file
from converters.formats.image_files import ImageFinder, plain_name
from toolkit.aliases import JsonObject
from toolkit.errors import Problem, ToolkitError

__all__ = ["ListedImage", "TreeImages"]

_LONGEST = 65500
"""Pixels that a side of an image may have of which there is no file: as many as JPEG allows."""


@dataclass(frozen=True)
class ListedImage:
    """An image that an annotation file lists: subset, name without ending, file (or where it would be), and size."""

    subset: str
    stem: str
    path: Path
    size: tuple[int, int] | None


@dataclass(eq=False)
class TreeImages:
    """The images of a tree, file by file; each belongs to one record of one annotation file.

    Attributes:
        finder: finds them.
        ours: whether defectkit wrote the tree; then its manifest, and what reads it, says which images are missing.
        problems: images that are listed and not there, while others are.
        lost: images that are listed and not there, whose labels are read all the same.
    """

    finder: ImageFinder
    ours: bool
    problems: list[Problem] = field(default_factory=list)
    lost: int = 0
    _claimed: dict[Path, tuple[Path, object]] = field(default_factory=dict)

    def listed(self, path: Path, document: JsonObject) -> dict[int | str, ListedImage]:
        """Id -> image of an annotation file, without those whose file is missing and named in a problem.

        Raises:
            ToolkitError: two images have one id, one file is listed twice, or a size is needed and not there.
        """
        subset = subset_of_file(path)
        folders = image_folders(self.finder, path, subset)
        names: dict[int | str, str] = {}
        found: dict[int | str, ListedImage] = {}
        for place, record in enumerate(document["images"]):
            number, name = image_id(path, f"images[{place}]", record.get("id")), record["file_name"]
            if number in names:
                problem = f"two images have the id {shown(number)}: {names[number]} and {name}"
                raise ToolkitError(path, problem, "give each its own, and its annotations with it")
            names[number] = name
            if not plain_name(name):
                raise ToolkitError(path, f"images[{place}] has no usable 'file_name'", "correct or remove it")
            image = self._place(path, subset, name, folders)
            if image is not None:
                self._claim(path, image, record)
                size = _size(path, f"images[{place}] ({name})", record, there=image.is_file())
                found[number] = ListedImage(subset, splitext(plain_name(name))[0], image, size)
        return found

    def _place(self, path: Path, subset: str, name: str, folders: Sequence[Path]) -> Path | None:
        """Where an image lies, or would lie in a tree without images; None where that is a problem."""
        image = self.finder.find(name, folders, anywhere=not self.ours)
        if image is not None:
            return image
        if self.ours or self.finder.empty:
            self.lost += 1
            return self.finder.root / "images" / subset / plain_name(name)
        alike = self.finder.namesakes(name)
        if alike:
            found = f"{len(alike)} files of that name are there: {shown_folders(self.finder, alike[:3])}"
            remedy = "say in file_name which one it is"
        else:
            found = f"looked in {shown_folders(self.finder, folders)}, and by its name below {self.finder.root}"
            remedy = "put it there, or correct file_name"
        self.problems.append(Problem(str(path), f"no image {name} ({found})", remedy))
        return None

    def _claim(self, path: Path, image: Path, record: JsonObject) -> None:
        other, number = self._claimed.setdefault(image, (path, record["id"]))
        if other != path:
            raise ToolkitError(
                path, f"lists {image.name}, as {other.name} does", "name one of the files, or list it once"
            )
        if number != record["id"]:
            problem = f"lists {image.name} twice, as image {shown(number)} and as image {shown(record['id'])}"
            raise ToolkitError(path, problem, "list it once, and give all its annotations that id")


def _size(path: Path, place: str, record: JsonObject, *, there: bool) -> tuple[int, int] | None:
    """Width and height as listed; None where they are missing and the image's file tells them.

    Raises:
        ToolkitError: they are missing, or of no image, and there is no file.
    """
    width, height = whole_number(record.get("width")), whole_number(record.get("height"))
    given = [record.get(side) for side in ("width", "height")]
    for side, value, number in zip(("width", "height"), given, (width, height), strict=True):
        unknown = value is None or (isinstance(value, float) and math.isnan(value))
        if number is None and not unknown:
            raise ToolkitError(path, f"{place} has the {side} {shown(value)}, no whole number", "correct it")
    if width is None or height is None or width <= 0 or height <= 0:
        if there:
            return None
        raise ToolkitError(path, f"{place} has no usable size, and its image is not there", "add width and height")
    if not there and max(width, height) > _LONGEST:
        raise ToolkitError(
            path, f"{place} is {width} x {height} pixels, and its image is not there", "correct its size"
        )
    return width, height
