"""Tables beside a described dataset that name its images: their subsets, and masks that must be there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.dataset.layouts.description import Description, ImageTable
from toolkit.dataset.layouts.files import FileList
from toolkit.dataset.layouts.records import read_table
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


def read_tables(files: FileList, description: Description, images: Sequence[FoundFile]) -> Told:
    """Read the tables of a described dataset.

    A root that is one product takes its rows from the table of the whole, one folder up.

    Raises:
        ToolkitError: a table cannot be read, or is not there and should be.
    """
    told = Told()
    products = sorted({file.groups["category"] for file in images if "category" in file.groups})
    there = frozenset(files.images)
    for table in description.tables:
        for place, product in _places(files.root, description, table, products):
            before = len(told.splits)
            _read(place, table, product, there, description, told)
            if table.split and len(told.splits) > before:
                told.problems += _unnamed(place, images, told.splits)
    return told


def _places(
    root: Path, description: Description, table: ImageTable, products: Sequence[str]
) -> Iterator[tuple[Path, str]]:
    """The files that a table consists of, and the product whose rows are wanted from a root that is one."""
    above = root.resolve().parent if description.category else root
    names = products if "{category}" in table.file else [""]
    for name in names:
        place = above / table.file.replace("{category}", name)
        if place.exists() or not table.optional:
            yield place, description.category


def _read(
    place: Path, table: ImageTable, product: str, there: frozenset[str], description: Description, told: Told
) -> None:
    """Take over what one file says; `product` is the root, if it is one."""
    columns = [name for name in (table.image, table.split, table.mask) if name]
    products = {path.partition("/")[0] for path in there}
    words: set[str] = set()
    for line, row in read_table(place, columns):
        image = _below(row[table.image], product)
        if image is None or (not product and image.partition("/")[0] not in products):
            continue  # of a product that is not here
        if image not in there:
            what = f"line {line} names {row[table.image]}, which is not there"
            told.problems.append(Problem(str(place), what, "put the image in its place, or take the line out"))
            continue
        mask = _below(row[table.mask], product) if table.mask and row[table.mask] else None
        if mask is not None and mask not in there:
            what = f"line {line} names the mask {row[table.mask]}, which is not there"
            told.problems.append(Problem(str(place), what, "put the mask in its place, or correct the line"))
        if table.split:
            _take_split(place, line, image, row[table.split], description, told, words)
    told.problems += (subset_problem(place, word) for word in sorted(words))


def _take_split(
    place: Path, line: int, image: str, word: str, description: Description, told: Told, strange: set[str]
) -> None:
    split = subset_of(word, description)
    if split is None:
        strange.add(word)
    elif told.splits.setdefault(image, split) != split:
        what = f"line {line} puts {image} into {split}, a line before into {told.splits[image]}"
        told.problems.append(Problem(str(place), what, "keep one of the two"))


def _below(path: str, product: str) -> str | None:
    """A path of a table as one below the root; None if it is of another product."""
    parts = path.replace("\\", "/").removeprefix("./")
    if not product:
        return parts
    return parts.removeprefix(f"{product}/") if parts.startswith(f"{product}/") else None


def _unnamed(place: Path, images: Sequence[FoundFile], splits: Mapping[str, str]) -> Iterator[Problem]:
    """Images that a table of subsets says nothing of."""
    left = [file.path for file in images if file.path not in splits]
    if left:
        shown = ", ".join(left[:_SHOWN]) + (", ..." if len(left) > _SHOWN else "")
        what = f"gives no subset to {len(left)} image(s): {shown}"
        yield Problem(str(place), what, "add them to the table, or take the table out and all are one subset")
