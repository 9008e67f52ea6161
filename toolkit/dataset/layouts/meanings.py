"""What the values in masks mean: as a description says, or the file that it names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from toolkit.dataset.class_names import NAMES_FILES, numberings, read_names
from toolkit.dataset.layouts.description import Description, ValuesFile, check_class_name, colour_of
from toolkit.dataset.layouts.files import FileList
from toolkit.dataset.layouts.records import read_json, read_table
from toolkit.dataset.layouts.resolving import FoundFile
from toolkit.dataset.samples import is_background_word
from toolkit.errors import Problem, ToolkitError
from toolkit.imaging.masks import MaskReading, present_values

__all__ = ["IGNORED", "Meaning", "Meanings", "named_values", "value_problems", "with_class_names"]

IGNORED = 255
"""Value in class maps of what training and evaluation pass over."""

_MANY = 5
_LOOKED_AT = 16  # masks


@dataclass(frozen=True)
class Meaning:
    """What the values in a mask are, for one product.

    Attributes:
        reading, threshold: as `toolkit.imaging.masks.read_mask` takes them.
        names: value -> class; "" for one that marks nothing; no values where masks tell no classes.
        open: whether a value without a name is a class too, and is called after its number.
    """

    reading: MaskReading = ""
    threshold: int | None = None
    names: Mapping[int, str] = field(default_factory=dict)
    open: bool = False

    @cached_property
    def classes(self) -> frozenset[int]:
        """The values that are classes by name, 0 too if a class is called so."""
        return frozenset(value for value, name in self.names.items() if name)

    @property
    def tells_classes(self) -> bool:
        """Whether it takes the content of a mask to know what is marked."""
        return bool(self.names) or self.open

    def ignores(self, value: int) -> bool:
        """Whether a value without a name means that its pixels count as nothing; 255 is pure blue among colours."""
        return value == IGNORED and self.reading != "colours"


class Meanings:
    """What values mean, read from each file that names them once."""

    def __init__(self, root: Path, description: Description) -> None:
        self._root, self._description = root, description
        self._known: dict[str, Meaning] = {}

    def of(self, groups: Mapping[str, str]) -> Meaning:
        """What they mean for an image.

        Raises:
            ToolkitError: the file that names them cannot be read.
        """
        values = self._description.values
        place = values.file.format_map(dict(groups)) if isinstance(values, ValuesFile) else groups.get("category", "")
        if place not in self._known:
            self._known[place] = self._found(place)
        return self._known[place]

    def _found(self, place: str) -> Meaning:
        """The meaning for a product, or as a file tells it."""
        values, names = self._description.values, self._description.names
        if isinstance(values, ValuesFile):
            return Meaning("values", None, _classes(_read_names(self._root / place, values)))
        if isinstance(values, dict):
            colours = {colour: name for value, name in values.items() if (colour := colour_of(value)) is not None}
            if colours:
                return Meaning("colours", None, _classes(colours))
            return Meaning("values", None, _classes({int(value): name for value, name in values.items()}))
        if values == "ids":
            own = names.get(place, names)
            plain = {int(v): str(n) for v, n in own.items() if not isinstance(n, dict)} if isinstance(own, dict) else {}
            return Meaning("values", None, _classes(plain), open=True)
        if isinstance(values, str) and values.startswith(">="):
            return Meaning("", int(values[2:]), {})
        return Meaning({"nonzero": "nonzero", "alpha": "alpha"}.get(values or "", ""), None, {})  # type: ignore[arg-type]


def _classes(names: Mapping[int, str]) -> dict[int, str]:
    """The same names, "" for a value whose name means background."""
    return {value: "" if is_background_word(name) else name for value, name in names.items()}


def _read_names(path: Path, values: ValuesFile) -> dict[int, str]:
    """Value -> class, out of a JSON list or a CSV file.

    Raises:
        ToolkitError: it cannot be read, or names one value twice.
    """
    if path.suffix.lower() == ".csv":
        found = [record for _, record in read_table(path, [values.name, values.value])]
    else:
        found = read_json(path)
    remedy = f"give a list of records with {values.name} and {values.value}"
    names: dict[int, str] = {}
    try:
        for record in found:
            value, name = int(record[values.value]), str(record[values.name])
            check_class_name(name, path)
            if names.setdefault(value, name) != name:
                raise ToolkitError(path, f"names the value {value} twice, {names[value]} and {name}", "correct it")
    except (ValueError, KeyError, TypeError) as error:
        problem = f"does not name the values in masks ({type(error).__name__}: {error})"
        raise ToolkitError(path, problem, remedy) from error
    return names


def with_class_names(
    files: FileList, description: Description, images: Sequence[FoundFile]
) -> tuple[Description, list[Problem]]:
    """The description with the values of class maps, where a file beside these names the classes.

    Masks of 0 and 255 are no maps, and stay masks. A file that does not tell which of its classes the values are is a
    problem.
    """
    tells = description.values is not None or description.source or description.masks_tell_classes
    beside = [path for path in files.others if path.rpartition("/")[2].lower() in NAMES_FILES]
    if tells or not beside or any("class" in file.groups for file in images):
        return description, []
    named = [(path, names) for path in beside if (names := read_names(files.root / path))]
    masks = [mask for file in images for mask in file.masks]
    values = _some_values(files.root, masks) if named else frozenset()
    if not values or any(names != named[0][1] for _, names in named):
        return description, []
    path, names = named[0]
    ways = [way for way in numberings(names) if values <= way.keys()]
    if len(ways) == 1 and any(value in ways[0] for value in values):
        told = ", ".join(f"{value} {name}" for value, name in list(ways[0].items())[:_MANY])
        more = ", ..." if len(ways[0]) > _MANY else ""
        note = f"values in masks are classes as {path} names them: {told}{more}"
        return description.model_copy(update={"values": dict(ways[0]), "notes": [*description.notes, note]}), []
    offered = " or ".join(f"--values '{','.join(f'{v}={n}' for v, n in list(way.items())[:_MANY])}'" for way in ways)
    shown = ", ".join(map(str, sorted(values)[:_MANY]))
    problem = f"names classes, and does not tell which of them the values in masks are ({shown})"
    remedy = f"say {offered}" if offered else "correct it, or say --values '1=NAME,2=NAME', or --values nonzero"
    return description, [Problem(str(files.root / path), problem, remedy)]


def _some_values(root: Path, masks: Sequence[str]) -> frozenset[int]:
    """Values in some masks that mark something, without 255; nothing where those hold that alone, or cannot be read."""
    step = max(1, len(masks) // _LOOKED_AT)
    found: set[int] = set()
    for number, mask in enumerate([*masks[::step], *masks]):
        if number >= _LOOKED_AT and found:
            break
        try:
            found.update(present_values(root / mask, "values"))
        except ToolkitError:
            return frozenset()
    return frozenset(found - {0, IGNORED})


def named_values(present: Iterable[int], meaning: Meaning) -> tuple[list[tuple[int, str]], list[int]]:
    """The values of a mask that are classes, with their names, and those that no class has.

    A value that is called background, or by a word for good, marks nothing, as 0 does.
    """
    named: list[tuple[int, str]] = []
    strange: list[int] = []
    for value in present:
        name = meaning.names.get(value)
        if name is None and meaning.open and value != IGNORED:
            name = f"class_{value}"
        if name is None:
            strange.append(value)
        elif name != "":
            named.append((value, name))
    return named, strange


def value_problems(
    path: Path, strange: Sequence[int], present: Sequence[int], named: Sequence[object], meaning: Meaning
) -> Iterator[Problem]:
    """What is wrong with the values of one mask; `strange` are those that no class has."""
    unknown = [value for value in strange if not meaning.ignores(value)]
    if unknown:
        shown = ", ".join(_shown(value, meaning) for value in unknown[:_MANY])
        more = ", ..." if len(unknown) > _MANY else ""
        known = ", ".join(f"{_shown(value, meaning)} {name}" for value, name in list(meaning.names.items())[:_MANY])
        remedy = f"name it in the layout's values (known: {known or 'none'})"
        yield Problem(str(path), f"holds values that no class has: {shown}{more}", remedy)
    elif strange and not named and set(present) == set(strange):
        remedy = "use --values nonzero if it is a mask of 0 and 255, or name 255 in the layout's values"
        yield Problem(str(path), "every marked pixel is 255, which means 'ignore' in a map of classes", remedy)


def _shown(value: int, meaning: Meaning) -> str:
    return f"#{value:06x}" if meaning.reading == "colours" else str(value)
