"""Tables beside a described dataset that name its images: their subsets, and masks that must be there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from toolkit.dataset.layouts.description import Description, ImageTable
from toolkit.dataset.layouts.files import FileList
from toolkit.dataset.layouts.records import read_columns, read_table
from toolkit.dataset.layouts.remarks import subset_problem
from toolkit.dataset.layouts.resolving import FoundFile, subset_of
from toolkit.errors import Problem

__all__ = ["Told", "read_tables"]

_SHOWN = 3


@dataclass(eq=False)
class Told:
    """What tables say.

    Attributes:
        splits: image, as a path below the root -> subset.
        problems: rows that name what nobody has, and images that a table of subsets does not name.
    """

    splits: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class _Place:
    """A file of a table, and the folders from which it tells of images and masks, below the whole dataset."""

    file: Path
    images: str
    masks: str


def read_tables(files: FileList, description: Description, images: Sequence[FoundFile]) -> Told:
    """Read the tables of a described dataset.

    A root that is one product takes its rows from the table of the whole, one folder up.

    Raises:
        ToolkitError: a table cannot be read, or is not there and should be.
    """
    told = Told()
    there = frozenset(files.images)
    for table in description.tables:
        for place in _places(files.root, description, table, images):
            _read(place, table, there, description, told)
            if table.split:
                told.problems += _unnamed(place.file, images, told.splits)
    return told


def _places(root: Path, description: Description, table: ImageTable, images: Sequence[FoundFile]) -> Iterator[_Place]:
    """The files that a table consists of: one for each product or subset that its path tells."""
    above = root.resolve().parent if description.category else root
    names = re.findall(r"\{(\w+)\}", table.file + table.image_folder + table.mask_folder)
    groups = {tuple(file.groups.get(name, "") for name in names) for file in images} if names else {()}
    for values in sorted(groups):
        filled = dict(zip(names, values, strict=True))
        file = above / table.file.format_map(filled)
        if file.exists() or not table.optional:
            yield _Place(file, table.image_folder.format_map(filled), table.mask_folder.format_map(filled))


def _rows(file: Path, table: ImageTable) -> Iterator[tuple[int, Mapping[str, str]]]:
    if table.columns:
        return read_columns(file, table.columns, table.skip)
    return read_table(file, [name for name in (table.image, table.split, table.mask) if name])


def _read(place: _Place, table: ImageTable, there: frozenset[str], description: Description, told: Told) -> None:
    """Take over what one file says."""
    product = description.category
    products = {path.partition("/")[0] for path in there}
    words: set[str] = set()
    for line, row in _rows(place.file, table):
        image = _below(place.images, row[table.image], product)
        if image is None or (not product and image.partition("/")[0] not in products):
            continue  # of a product that is not here
        if image not in there:
            what = f"line {line} names {row[table.image]}, which is not there"
            told.problems.append(Problem(str(place.file), what, "put the image in its place, or take the line out"))
            continue
        mask = _below(place.masks, row[table.mask], product) if table.mask and row[table.mask] else None
        if mask is not None and mask not in there:
            what = f"line {line} names the mask {row[table.mask]}, which is not there"
            told.problems.append(Problem(str(place.file), what, "put the mask in its place, or correct the line"))
        if table.split:
            _take_split(place.file, line, image, row[table.split], description, told, words)
    told.problems += (subset_problem(place.file, word) for word in sorted(words))


def _take_split(
    file: Path, line: int, image: str, word: str, description: Description, told: Told, strange: set[str]
) -> None:
    split = subset_of(word, description)
    if split is None:
        strange.add(word)
    elif told.splits.setdefault(image, split) != split:
        what = f"line {line} puts {image} into {split}, a line before into {told.splits[image]}"
        told.problems.append(Problem(str(file), what, "keep one of the two"))


def _below(folder: str, path: str, product: str) -> str | None:
    """A path of a table as one below the root; None if it is of another product than the root is."""
    whole = str(PurePosixPath(folder, path.replace("\\", "/")))
    if not product:
        return whole
    return whole.removeprefix(f"{product}/") if whole.startswith(f"{product}/") else None


def _unnamed(file: Path, images: Sequence[FoundFile], splits: Mapping[str, str]) -> Iterator[Problem]:
    """Images that a table of subsets says nothing of."""
    left = [image.path for image in images if image.path not in splits]
    if left:
        shown = ", ".join(left[:_SHOWN]) + (", ..." if len(left) > _SHOWN else "")
        what = f"gives no subset to {len(left)} image(s): {shown}"
        yield Problem(str(file), what, "add them to the table, or take the table out and all are one subset")
