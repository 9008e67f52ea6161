"""The images that COCO files list: their ids, their sizes, and where they lie."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from posixpath import splitext
from typing import Any

from converters.formats.coco.document import image_id, image_places, shown, whole_number
from converters.formats.coco.files import image_folders, shown_folders, subset_of_file
from converters.formats.image_files import ImageFinder, plain_name
from toolkit.aliases import JsonObject
from toolkit.errors import Problem, ToolkitError
from toolkit.packed import Folders, Packed, Seen

__all__ = ["Listed", "ListedImage", "TreeImages"]

_LONGEST = 65500
"""Pixels that a side of an image may have of which there is no file: as many as JPEG allows."""


@dataclass(frozen=True)
class ListedImage:
    """An image that an annotation file lists: subset, name without ending, file (or where it would be), and size."""

    subset: str
    stem: str
    path: Path
    size: tuple[int, int] | None


class Listed(Mapping[int | str, ListedImage]):
    """Id -> image of an annotation file.

    Attributes:
        places: id -> its place among the images that are listed.
        images: what is known of each; None of those whose file is missing.
    """

    def __init__(self, records: Sequence[JsonObject], places: Mapping[int | str, int]) -> None:
        self._records, self.places = records, places
        folders = Folders()
        self.images: Packed[ListedImage | None] = Packed(partial(_packed, folders), partial(_unpacked, folders))

    def records_of(self, image: Path) -> Iterator[JsonObject]:
        """What the file says of an image file."""
        return (self._records[at] for at, one in enumerate(self.images) if one is not None and one.path == image)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[int | str]:
        return (number for number, place in self.places.items() if self.images[place] is not None)

    def __getitem__(self, number: int | str) -> ListedImage:
        image = self.images[self.places[number]]
        if image is None:
            raise KeyError(number)
        return image


def _packed(folders: Folders, image: ListedImage | None) -> tuple[object, ...] | None:
    return None if image is None else (image.subset, image.stem, folders.told(image.path), image.size)


def _unpacked(folders: Folders, told: tuple[Any, ...] | None) -> ListedImage | None:
    return None if told is None else ListedImage(told[0], told[1], folders.path(told[2]), told[3])


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
    _claimed: Seen = field(default_factory=Seen)
    _listings: list[tuple[Path, Listed]] = field(default_factory=list)

    def listed(self, path: Path, document: JsonObject, places: Mapping[int | str, int] | None = None) -> Listed:
        """Id -> image of an annotation file, without those whose file is missing and named in a problem.

        Args:
            path, document: the file.
            places: id -> place of its images, as `image_places` tells.

        Raises:
            ToolkitError: two images have one id, one file is listed twice, or a size is needed and not there.
        """
        subset = subset_of_file(path)
        folders = image_folders(self.finder, path, subset)
        found = Listed(document["images"], image_places(path, document) if places is None else places)
        self._listings.append((path, found))
        for place, record in enumerate(document["images"]):
            number, name = image_id(path, f"images[{place}]", record.get("id")), record["file_name"]
            first = found.places[number]
            if first != place:
                problem = f"two images have the id {shown(number)}: {document['images'][first]['file_name']} and {name}"
                raise ToolkitError(path, problem, "give each its own, and its annotations with it")
            if not plain_name(name):
                raise ToolkitError(path, f"images[{place}] has no usable 'file_name'", "correct or remove it")
            image = self._place(path, subset, name, folders)
            if image is not None:
                self._claim(path, image, record)
                size = _size(path, f"images[{place}] ({name})", record, there=image.is_file())
                found.images.append(ListedImage(subset, splitext(plain_name(name))[0], image, size))
            else:
                found.images.append(None)
        return found

    def unlisted(self) -> list[str]:
        """Images below the root that no annotation file lists, as paths from there on."""
        claimed = {os.path.realpath(one.path) for _, listed in self._listings for one in listed.values()}
        spare = (path for path in self.finder.every() if os.path.realpath(path) not in claimed)
        return [path.relative_to(self.finder.root).as_posix() for path in spare]

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
        if not self._claimed.add(str(image)):
            return
        claimed = ((other, record) for other, listed in self._listings for record in listed.records_of(image))
        other, first = next(claimed, (path, record))
        number = first["id"]
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
