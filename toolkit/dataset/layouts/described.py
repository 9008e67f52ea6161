"""Samples of a dataset whose layout is a description: names first, then what only the content of masks can tell."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from toolkit.dataset.dataset import Dataset
from toolkit.dataset.layouts.description import SUBSET_WORDS, Description, ValuesFile, colour_of
from toolkit.dataset.layouts.files import FileList
from toolkit.dataset.layouts.resolving import FoundFile, Resolution, resolve, subset_of
from toolkit.dataset.samples import GOOD, LabelKind, MaskFile, Sample, class_of_image, is_good_word
from toolkit.errors import Problem, ToolkitError
from toolkit.imaging.masks import MaskReading, present_values, read_mask

__all__ = ["index_described"]

_MANY = 5
_GROUPS = ("item", "sample", "part")
_IGNORED = 255  # value in class maps of what training and evaluation pass over
_LOOKING = min(8, os.cpu_count() or 1)


@dataclass(frozen=True)
class _Meaning:
    """What the values in a mask are, for one product.

    Attributes:
        reading, threshold: as `toolkit.imaging.masks.read_mask` takes them.
        names: value -> class; empty where masks tell no classes.
        open: whether a value without a name is a class too, and is called after its number.
    """

    reading: MaskReading = ""
    threshold: int | None = None
    names: Mapping[int, str] = field(default_factory=dict)
    open: bool = False


@dataclass(eq=False)
class _Made:
    """A sample in the making, and what is wrong with it."""

    sample: Sample
    problems: list[Problem]
    unmasked: Problem | None = None
    ignored: bool = False


def index_described(
    files: FileList,
    description: Description,
    *,
    layout: str = "",
    resolution: Resolution | None = None,
    told: bool = False,
) -> Dataset:
    """The samples of a root that a description is of.

    Args:
        files: what lies below the root.
        description: how it is laid out.
        layout: name for `Dataset.layout`; by default the description's own.
        resolution: what `resolve` made of both, if that is known.
        told: whether a user gave the description, so that manifests and runs have to keep it.

    Raises:
        ToolkitError: a pattern is faulty, or a file that names values cannot be read.
    """
    found = resolve(description, files.images) if resolution is None else resolution
    meanings = _Meanings(files.root, description)
    keys = _keys(found.images, description)
    with ThreadPoolExecutor(_LOOKING) as pool:
        made = list(pool.map(partial(_sample, files.root, description, meanings), found.images, keys))
    problems = [*files.problems, *_name_problems(files.root, description, found)]
    problems += (problem for one in made for problem in one.problems)
    samples = [one.sample for one in made if not one.problems]
    return Dataset(
        samples,
        root=files.root,
        layout=layout or description.name or "described",
        layout_problems=problems,
        notes=_notes(description, files, found, made),
        unmasked={one.sample.key: one.unmasked for one in made if one.unmasked is not None},
        description=description.model_dump(by_alias=True, exclude_defaults=True, mode="json") if told else None,
    )


def _sample(root: Path, description: Description, meanings: _Meanings, file: FoundFile, key: str) -> _Made:
    """One image with its masks, whose content is looked at where names do not tell all."""
    groups = file.groups
    category = groups.get("category") or root.resolve().name
    word = groups.get("class")
    defect = "" if word is None else GOOD if is_good(word, description) else word
    split = subset_of(groups["split"], description) or groups["split"] if "split" in groups else "train"
    group = "/".join(groups[name] for name in description.group or _GROUPS if name in groups)
    bare = Sample(key, root / file.path, (), category, defect, split, group, "unlabelled")
    if not file.labelled:
        return _Made(bare, [])
    if not file.masks:
        return _without_mask(bare, description)
    masks = tuple(root / path for path in file.masks)
    meaning = meanings.of(groups)
    if not meaning.names and not meaning.open:
        return _marked(bare, masks, meaning, description)
    return _told_by_values(bare, masks, meaning, description)


def is_good(word: str, description: Description) -> bool:
    """Whether a class means that there is no defect."""
    return word in description.good if description.good is not None else is_good_word(word)


def _without_mask(bare: Sample, description: Description) -> _Made:
    """An image that has no mask: good, or a class alone, or at fault."""
    good = replace(bare, defect=GOOD, kind="good")
    if bare.defect == GOOD:
        return _Made(good, [])
    if not description.mask and bare.defect:
        return _Made(replace(bare, kind="class"), [])
    if not description.mask:
        return _Made(bare, [])
    if description.missing_mask != "error":
        return _Made(good if description.missing_mask == "good" else bare, [])
    wanted = " or ".join(description.mask[:2])
    if bare.defect:
        problem = Problem(str(bare.image), "a defect image without a mask", f"put its mask at {wanted}")
        return _Made(replace(bare, kind="class"), [], unmasked=problem)
    remedy = f"put its mask at {wanted}, or say 'missing_mask: good' in the layout"
    return _Made(bare, [Problem(str(bare.image), "an image without a mask", remedy)])


def _marked(bare: Sample, masks: Sequence[Path], meaning: _Meaning, description: Description) -> _Made:
    """An image whose masks mark one class, that of its folder or the only one there is."""
    files = tuple(MaskFile(path, (), meaning.threshold, "", meaning.reading) for path in masks)
    if bare.defect == GOOD:
        marking = next((file.path for file in files if _marks(file)), None)
        if marking is None:
            return _Made(replace(bare, kind="good"), [])
        remedy = "clear the mask, or move the image to its class of defect"
        return _Made(bare, [Problem(str(marking), "the mask of a good image marks something", remedy)])
    labelled = replace(bare, defect=bare.defect or description.class_name, masks=files, kind="masks")
    empty = description.empty_mask or ("error" if bare.defect else "good")
    if empty == "good" and not any(_marks(file) for file in files):
        return _Made(replace(bare, defect=GOOD, kind="good"), [])
    return _Made(labelled, [])


def _marks(file: MaskFile) -> bool:
    """Whether anything is marked; a mask that cannot be read is for its reader to complain of."""
    try:
        return bool(read_mask(file.path, file.threshold, file.values, file.reading).crop.size)
    except ToolkitError:
        return True


def _told_by_values(bare: Sample, masks: Sequence[Path], meaning: _Meaning, description: Description) -> _Made:
    """An image whose masks say by their values which class is marked."""
    files: list[MaskFile] = []
    problems: list[Problem] = []
    ignored = False
    for path in masks:
        try:
            present = present_values(path, meaning.reading)
        except ToolkitError as error:
            problems += error.problems
            continue
        named, strange = _named(present, meaning)
        ignored |= _IGNORED in strange
        files += (MaskFile(path, (value,), None, name, meaning.reading) for value, name in named)
        problems += _value_problems(path, [value for value in strange if value != _IGNORED], present, named, meaning)
    if problems:
        return _Made(bare, problems)
    labels = [file.label for file in files]
    if not labels:
        empty = description.empty_mask or ("error" if bare.defect not in ("", GOOD) else "good")
        if empty == "good" or bare.defect == GOOD:
            return _Made(replace(bare, defect=GOOD, kind="good"), [], ignored=ignored)
        remedy = "mark its defect, or move the image to the good ones"
        return _Made(bare, [Problem(str(masks[0]), "the mask of a defect image is all zero", remedy)])
    if bare.defect == GOOD:
        remedy = "clear the mask, or move the image to its class of defect"
        return _Made(bare, [Problem(str(masks[0]), "the mask of a good image marks something", remedy)])
    sample = replace(bare, defect=class_of_image(labels), masks=tuple(files), kind="masks")
    return _Made(sample, [], ignored=ignored)


def _named(present: Iterable[int], meaning: _Meaning) -> tuple[list[tuple[int, str]], list[int]]:
    """The values of a mask that are classes, with their names, and those that are none."""
    named: list[tuple[int, str]] = []
    strange: list[int] = []
    for value in present:
        name = meaning.names.get(value)
        if name is None and meaning.open and value != _IGNORED:
            name = f"class_{value}"
        if name is None:
            strange.append(value)
        elif name != "":
            named.append((value, name))
    return named, strange


def _value_problems(
    path: Path, strange: Sequence[int], present: Sequence[int], named: Sequence[object], meaning: _Meaning
) -> Iterator[Problem]:
    """What is wrong with the values of one mask."""
    if strange:
        shown = ", ".join(_shown(value, meaning) for value in strange[:_MANY])
        more = ", ..." if len(strange) > _MANY else ""
        known = ", ".join(f"{_shown(value, meaning)} {name}" for value, name in list(meaning.names.items())[:_MANY])
        remedy = f"name it in the layout's values (known: {known or 'none'})"
        yield Problem(str(path), f"holds values that no class has: {shown}{more}", remedy)
    elif present and not named and set(present) == {_IGNORED}:
        remedy = "use --values nonzero if it is a mask of 0 and 255, or name 255 in the layout's values"
        yield Problem(str(path), "every marked pixel is 255, which means 'ignore' in a map of classes", remedy)


def _shown(value: int, meaning: _Meaning) -> str:
    return f"#{value:06x}" if meaning.reading == "colours" else str(value)


class _Meanings:
    """What values mean, by product: read from the description, or from the file that it names, once."""

    def __init__(self, root: Path, description: Description) -> None:
        self._root, self._description = root, description
        self._known: dict[str, _Meaning] = {}

    def of(self, groups: Mapping[str, str]) -> _Meaning:
        """What they mean for an image.

        Raises:
            ToolkitError: the file that names them cannot be read.
        """
        category = groups.get("category", "")
        if category not in self._known:
            self._known[category] = self._found(groups, category)
        return self._known[category]

    def _found(self, groups: Mapping[str, str], category: str) -> _Meaning:
        values, names = self._description.values, self._description.names
        if isinstance(values, ValuesFile):
            return _Meaning("values", None, _read_values(self._root, values, groups))
        if isinstance(values, dict):
            colours = {colour: name for value, name in values.items() if (colour := colour_of(value)) is not None}
            if colours:
                return _Meaning("colours", None, colours)
            return _Meaning("values", None, {int(value): name for value, name in values.items()})
        if values == "ids":
            own = names.get(category, names)
            plain = {int(v): str(n) for v, n in own.items() if not isinstance(n, dict)} if isinstance(own, dict) else {}
            return _Meaning("values", None, plain, open=True)
        if isinstance(values, str) and values.startswith(">="):
            return _Meaning("", int(values[2:]), {})
        return _Meaning({"nonzero": "nonzero", "alpha": "alpha"}.get(values or "", ""), None, {})  # type: ignore[arg-type]


def _read_values(root: Path, values: ValuesFile, groups: Mapping[str, str]) -> dict[int, str]:
    path = root / values.file.format_map(dict(groups))
    try:
        records: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8-sig"))
        return {int(record[values.value]): str(record[values.name]) for record in records}
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = f"does not name the values in masks ({type(error).__name__}: {error})"
        raise ToolkitError(path, problem, f"give a list of records with {values.name} and {values.value}") from error


def _keys(images: Sequence[FoundFile], description: Description) -> list[str]:
    """A key for each image: its groups, product, subset and class first; its ending too where two would meet."""
    keys = ["/".join(_key_parts(file, description)) for file in images]
    count = Counter(keys)
    if len(count) == len(keys):
        return keys
    return [
        f"{key}{os.path.splitext(file.path)[1]}" if count[key] > 1 else key
        for key, file in zip(keys, images, strict=True)
    ]


def _key_parts(file: FoundFile, description: Description) -> list[str]:
    groups = dict(file.groups)
    parts = [groups.pop("category")] if "category" in groups else []
    if "split" in groups:
        word = groups.pop("split")
        parts.append(subset_of(word, description) or word)
    if "class" in groups:
        word = groups.pop("class")
        parts.append(GOOD if is_good(word, description) else word)
    name = groups.pop("name", "")
    stem = name or Path(file.path).stem
    return [*parts, *groups.values(), *stem.split("/")]


def _name_problems(root: Path, description: Description, found: Resolution) -> Iterator[Problem]:
    """Faults that names alone tell of."""
    if found.leftover:
        shown = ", ".join(found.leftover[:3]) + (", ..." if len(found.leftover) > 3 else "")
        what = f"{len(found.leftover)} image file(s) are matched by nothing in the layout {description.name}: {shown}"
        yield Problem(str(root), what, "name them in a pattern, or under `exclude`, of a --layout file")
    for mask, images in found.shared.items():
        shown = " and ".join(images[:3])
        yield Problem(str(root / mask), f"one mask for {len(images)} images: {shown}", "give each its own mask")
    for path in found.orphans:
        yield Problem(str(root / path), "a mask without an image", "put its image in its place, or remove the mask")
    for word in found.strange_subsets:
        remedy = f"say `splits: {{{word}: test}}` in a --layout file, or rename the folder"
        known = ", ".join(sorted(SUBSET_WORDS))
        yield Problem(str(root), f"calls a subset {word!r}, which is none of {known}", remedy)
    yield from _twins(root, found.images, description)


def _twins(root: Path, images: Sequence[FoundFile], description: Description) -> Iterator[Problem]:
    """Images that not even their endings tell apart."""
    places: dict[str, list[str]] = defaultdict(list)
    for file, key in zip(images, _keys(images, description), strict=True):
        places[key].append(file.path)
    for key, paths in places.items():
        if len(paths) > 1:
            what = f"shares the name {key!r} with {paths[0]}"
            yield Problem(str(root / paths[1]), what, "rename one of them, or bind what tells them apart in a --layout")


def _notes(description: Description, files: FileList, found: Resolution, made: Sequence[_Made]) -> list[str]:
    """What a user should know."""
    notes = list(description.notes)
    kinds: Counter[LabelKind | None] = Counter(one.sample.kind for one in made if not one.problems)
    if kinds["unlabelled"]:
        notes.append(f"{kinds['unlabelled']} image(s) carry no label: they are never called good, and never written")
    if found.excluded:
        notes.append(f"{len(found.excluded)} image file(s) are left out, as the layout {description.name} says")
    if files.passed_over:
        shown = ", ".join(files.passed_over[:3]) + (", ..." if len(files.passed_over) > 3 else "")
        notes.append(f"{len(files.passed_over)} folder(s) were not looked into: {shown}")
    ignored = sum(one.ignored for one in made)
    if ignored:
        notes.append(f"{ignored} mask(s) hold {_IGNORED}, which means 'ignore' and is left out")
    return notes
