"""COCO categories, of instances and of panoptic segments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from converters.formats.coco.document import shown, whole_number
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError

__all__ = ["Categories", "coco_categories", "read_categories"]


def coco_categories(classes: Sequence[str]) -> list[JsonObject]:
    """COCO categories; ids from 1."""
    return [{"id": number, "name": name, "supercategory": "defect"} for number, name in enumerate(classes, 1)]


@dataclass(frozen=True)
class Categories:
    """The categories of a tree.

    Attributes:
        names: id -> class name, without those that are no classes.
        notes: which have been left out, and which occur nowhere.
    """

    names: dict[int, str]
    notes: tuple[str, ...] = ()


def read_categories(documents: Iterable[tuple[Path, JsonObject]], used: Counter[int], *, ours: bool) -> Categories:
    """The categories of annotation files, which must agree.

    Of other tools' files a category is left out that marks nothing and only groups others, or has the name of one that
    marks something.

    Args:
        documents: path and content of each file.
        used: category id -> annotations.
        ours: whether defectkit wrote the files; every category is a class then.

    Raises:
        ToolkitError: two categories have one id, or two that are used have one name.
    """
    names: dict[int, str] = {}
    parents: dict[int, str] = {}
    where: dict[int, Path] = {}
    for path, document in documents:
        here: dict[int, str] = {}
        for place, category in enumerate(document["categories"]):
            number, name = _identified(path, place, category)
            if here.setdefault(number, name) != name:
                problem = f"two categories have the id {number}: {here[number]!r} and {name!r}"
                raise ToolkitError(path, problem, "give each an id of its own")
            if names.setdefault(number, name) != name:
                problem = f"calls category {number} {name!r}, another file {names[number]!r}"
                raise ToolkitError(path, problem, "make them agree")
            parents[number] = str(category.get("supercategory") or "")
            where.setdefault(number, path)
    if ours:
        return Categories(names)
    dropped = {**_groups(names, parents, used), **_namesakes(names, used, where)}
    kept = {number: name for number, name in names.items() if number not in dropped}
    return Categories(kept, (*dropped.values(), *_unused(kept, used)))


def _identified(path: Path, place: int, category: JsonObject) -> tuple[int, str]:
    """Id and name of a category."""
    number, name = whole_number(category.get("id")), str(category["name"])
    if number is None:
        problem = f"categories[{place}] ({name!r}) has no usable 'id': it is {shown(category.get('id'))}"
        raise ToolkitError(path, problem, "give it a whole number")
    if not name.strip():
        raise ToolkitError(path, f"categories[{place}] has no usable 'name': it is empty", "name it")
    return number, name


def _groups(names: dict[int, str], parents: dict[int, str], used: Counter[int]) -> dict[int, str]:
    """Categories that mark nothing and that others name as their supercategory, as Roboflow writes one; id -> note."""
    found, named = {}, set(parents.values())
    for number, name in names.items():
        if name in named and parents[number] != name and not used[number]:
            found[number] = f"category {number} ({name!r}) groups others and marks nothing: left out"
    return found if len(found) < len(names) else {}


def _namesakes(names: dict[int, str], used: Counter[int], where: dict[int, Path]) -> dict[int, str]:
    """Categories that mark nothing and have the name of another; id -> note."""
    found = {}
    alike: dict[str, list[int]] = {}
    for number, name in sorted(names.items()):
        alike.setdefault(name, []).append(number)
    for name, numbers in alike.items():
        marking = [number for number in numbers if used[number]]
        if len(marking) > 1:
            problem = f"two categories are called {name!r} (ids {marking[0]} and {marking[1]})"
            raise ToolkitError(where[marking[1]], problem, "rename one of them, or give their annotations one id")
        kept = (marking or numbers[-1:])[0]
        for number in numbers:
            if number != kept:
                found[number] = (
                    f"category {number} ({name!r}) has the name of category {kept} and marks nothing: left out"
                )
    return found


def _unused(names: dict[int, str], used: Counter[int]) -> list[str]:
    """A note that names the classes of which there is nothing."""
    nowhere = [name for number, name in sorted(names.items()) if not used[number]]
    if not nowhere or len(nowhere) == len(names):
        return []
    listed = ", ".join(nowhere[:10]) + (", ..." if len(nowhere) > 10 else "")
    return [f"{len(nowhere)} of {len(names)} categories occur in no annotation: {listed}"]
