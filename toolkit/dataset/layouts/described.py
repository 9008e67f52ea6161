"""Samples of a dataset whose layout is a description: names first, then what only the content of masks can tell."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path

from toolkit.dataset.dataset import Dataset
from toolkit.dataset.layouts.description import Description
from toolkit.dataset.layouts.files import FileList
from toolkit.dataset.layouts.meanings import Meaning, Meanings, named_values, value_problems, with_class_names
from toolkit.dataset.layouts.places import MaskPlaces
from toolkit.dataset.layouts.published import compare_with_published
from toolkit.dataset.layouts.remarks import name_problems, notes_of
from toolkit.dataset.layouts.resolving import FoundFile, Resolution, resolve, subset_of
from toolkit.dataset.layouts.tables import read_tables
from toolkit.dataset.samples import (
    GOOD,
    LabelKind,
    MaskFile,
    Sample,
    class_of_image,
    is_background_word,
    is_good_word,
)
from toolkit.errors import Problem, ToolkitError
from toolkit.imaging.masks import present_values, read_mask

__all__ = ["index_described", "is_good"]

_OF_THEIR_OWN = frozenset({"category", "split", "class", "name"})  # groups that have their place in a key
_GROUPS = ("item", "sample", "part")
_LOOKING = min(8, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class _Named:
    """An image as far as names tell: all of its sample but for what it shows. `defect` is "" where names don't say."""

    key: str
    image: Path
    category: str
    defect: str
    split: str
    group: str

    def sample(self, kind: LabelKind, defect: str | None = None, masks: tuple[MaskFile, ...] = ()) -> Sample:
        """The whole sample; its defect is by default what names tell."""
        shown = self.defect if defect is None else defect
        return Sample(self.key, self.image, masks, self.category, shown, self.split, self.group, kind)


@dataclass(frozen=True, slots=True)
class _Made:
    """A sample, unless it has problems, and the fault of a defect image without a mask."""

    sample: Sample | None
    problems: tuple[Problem, ...] = ()
    unmasked: Problem | None = None
    ignored: bool = False
    presumed: bool = False


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
        ToolkitError: a pattern is faulty, a file that names values or subsets cannot be read, or images look good and
            are of none of the classes that are said to be.
    """
    found = resolve(description, files.images) if resolution is None else resolution
    if told:
        _check_good(files, description, {file.groups["class"] for file in found.images if "class" in file.groups})
    description, unnamed = with_class_names(files, description, found.images)
    keys = _keys(found.images, description)
    table = read_tables(files, description, found.images)
    made = _made(files.root, description, found.images, keys, table.splits)
    samples = [one.sample for one in made if one.sample is not None]
    problems = [*files.problems, *name_problems(files.root, description, found, keys), *table.problems, *unnamed]
    problems += (problem for one in made for problem in one.problems)
    name = layout or description.name or "described"
    notes = notes_of(
        description,
        files,
        found,
        samples,
        ignored=sum(one.ignored for one in made),
        presumed=sum(one.presumed for one in made),
    )
    return Dataset(
        samples,
        root=files.root,
        layout=name,
        layout_problems=dict.fromkeys(problems),
        notes=[*notes, *compare_with_published(name, samples)],
        unmasked={one.sample.key: one.unmasked for one in made if one.sample is not None and one.unmasked is not None},
        description=description.model_dump(by_alias=True, exclude_defaults=True, mode="json") if told else None,
        passed_over=[files.root / path for path in _unused(files.root, found, made)],
        examples=_examples(description, found.images, made) if told else (),
    )


def _examples(
    description: Description, images: Sequence[FoundFile], made: Sequence[_Made]
) -> Iterator[tuple[str, str, str, str]]:
    """Of each pattern the first image that it has: pattern, image, masks, and what it is taken for."""
    patterns = [*description.image_patterns(), *description.other_patterns(description.unlabelled)]
    seen: set[str] = set()
    for file, one in zip(images, made, strict=True):
        pattern = next(found for found in patterns if found.match(file.path) is not None)
        if pattern.text not in seen and one.sample is not None:
            seen.add(pattern.text)
            sample = one.sample
            shown = ", ".join(sample.labels) or str(sample.kind)
            yield pattern.text, file.path, ", ".join(file.masks) or "-", f"{shown}, {sample.split or 'no subset'}"
        if len(seen) == len(patterns):
            return
    for pattern in patterns:
        if pattern.text not in seen:
            yield pattern.text, "no image", "-", "-"


def _unused(root: Path, found: Resolution, made: Sequence[_Made]) -> Iterator[str]:
    """Image files that are accounted for, and that no sample has."""
    yield from (*found.excluded, *found.orphans, *found.shared, *found.contested)
    yield from (image for images in found.shared.values() for image in images)
    yield from (mask for masks in found.contested.values() for mask in masks)
    for file, one in zip(found.images, made, strict=True):
        if one.sample is None:
            yield file.path
        if one.sample is None or not one.sample.masks:
            yield from file.masks
        elif file.classes:  # a mask of each class, of which some mark nothing
            taken = {mask.path for mask in one.sample.masks}
            yield from (mask for mask in file.masks if root / mask not in taken)


def _made(
    root: Path, description: Description, images: Sequence[FoundFile], keys: Sequence[str], splits: Mapping[str, str]
) -> list[_Made]:
    """What becomes of each image. Several threads look into masks, where names do not tell all."""
    meanings = Meanings(root, description)
    name = root.resolve().name
    folder, places = cache(lambda inner: root / inner), MaskPlaces(root, description, images)
    made: list[_Made] = []
    waiting: list[tuple[int, _Named, list[Path], Meaning, Sequence[str]]] = []
    for file, key in zip(images, keys, strict=True):
        image, *masks = [
            folder(inner) / last for inner, _, last in (p.rpartition("/") for p in (file.path, *file.masks))
        ]
        known = _named(file, key, image, description, name, splits)
        if not file.labelled:
            made.append(_Made(known.sample("unlabelled")))
        elif not masks:
            needed = description.mask_folder.format_map(file.groups)
            made.append(_without_mask(known, description, needed and folder(needed), partial(places.of, file)))
        else:
            meaning = meanings.of(file.groups)
            if meaning.tells_classes or file.classes or _empty(known, description) == "good":
                waiting.append((len(made), known, masks, meaning, file.classes))
            made.append(_marked(known, masks, meaning, description))
    if waiting:
        with ThreadPoolExecutor(_LOOKING) as pool:
            looked = pool.map(lambda one: _looked_at(one[1], one[2], one[3], one[4], description), waiting)
            for (number, *_), found in zip(waiting, looked, strict=True):
                made[number] = found
    return made


def _named(
    file: FoundFile, key: str, image: Path, description: Description, root_name: str, splits: Mapping[str, str]
) -> _Named:
    """What names tell of an image."""
    groups = file.groups
    word = groups.get("class")
    defect = "" if word is None else GOOD if is_good(word, description) else word
    subset = groups.get("split")
    split = "train" if subset is None else subset_of(subset, description) or subset
    group = "/".join([groups[name] for name in description.group or _GROUPS if name in groups])
    return _Named(key, image, groups.get("category") or root_name, defect, splits.get(file.path, split), group)


def _check_good(files: FileList, description: Description, words: set[str]) -> None:
    """Raise where none of the names of good images occurs, and a class bears one that is nearly such a name."""
    good = description.good or []
    if not good or words.intersection(good):
        return
    near = sorted(word for word in words if is_good_word(word) or word.casefold() in map(str.casefold, good))
    if near:
        told = ", ".join(map(repr, good))
        problem = f"has no class {told}, which good images are said to have; it has {', '.join(sorted(words)[:8])}"
        raise ToolkitError(files.root, problem, f"say --good '{near[0]}', or the good that is meant in the description")


def is_good(word: str, description: Description) -> bool:
    """Whether a class means that there is no defect."""
    if description.good is None:
        return is_good_word(word)
    return word in description.good or word == GOOD  # no class of defects can have the name that good images have


def _without_mask(known: _Named, description: Description, folder: Path | str, wanted: Callable[[], str]) -> _Made:
    """An image that has no mask: good, or a class alone, or at fault.

    Args:
        known, description: the image and the layout.
        folder: without which it is not good, or "".
        wanted: says where its mask would be.
    """
    if known.defect == GOOD:
        return _Made(known.sample("good"))
    if not description.mask:
        return _Made(known.sample("class" if known.defect else "unlabelled"))
    missing = description.without_mask(known.split)
    if missing == "good" and isinstance(folder, Path) and not _is_folder(folder):
        what = "no such folder, without which no image beside it is known to be good"
        return _Made(None, (Problem(str(folder), what, "put the masks there, or take the images out"),))
    if missing == "good":
        return _Made(known.sample("good", GOOD), presumed=True)
    if missing == "unlabelled":
        return _Made(known.sample("unlabelled"))
    if known.defect:
        problem = Problem(str(known.image), "a defect image without a mask", f"put its mask at {wanted()}")
        return _Made(known.sample("class"), (), problem)
    remedy = f"put its mask at {wanted()}, or say --without-label good (missing_mask: good in a layout)"
    return _Made(None, (Problem(str(known.image), "an image without a mask", remedy),))


@lru_cache(maxsize=64)
def _is_folder(path: Path) -> bool:
    return path.is_dir()


def _empty(known: _Named, description: Description) -> str:
    """Whether an image whose masks mark nothing is good, or that is an error."""
    if known.defect == GOOD:
        return "good"
    return description.empty_mask or ("error" if known.defect else "good")


def _marked(known: _Named, masks: Sequence[Path], meaning: Meaning, description: Description) -> _Made:
    """An image whose masks mark one class, that of its folder or the only one there is."""
    files = tuple([MaskFile(path, (), meaning.threshold, "", meaning.reading) for path in masks])
    return _Made(known.sample("masks", known.defect or description.class_name, files))


def _looked_at(
    known: _Named, masks: Sequence[Path], meaning: Meaning, classes: Sequence[str], description: Description
) -> _Made:
    """An image of which only the content of its masks tells whether it is good, or what it shows."""
    if classes:
        return _told_by_names(known, masks, meaning, classes, description)
    if meaning.tells_classes:
        return _told_by_values(known, masks, meaning, description)
    made = _marked(known, masks, meaning, description)
    marking = next((file.path for file in made.sample.masks if _marks(file)), None) if made.sample else None
    if marking is None:
        return _Made(known.sample("good", GOOD))
    return _Made(None, (_good_but_marked(marking),)) if known.defect == GOOD else made


def _good_but_marked(mask: Path) -> Problem:
    remedy = "clear the mask, or move the image to its class of defect"
    return Problem(str(mask), "the mask of a good image marks something", remedy)


def _marks(file: MaskFile) -> bool:
    """Whether anything is marked; a mask that cannot be read is for its reader to complain of."""
    try:
        return bool(read_mask(file.path, file.threshold, file.values, file.reading).crop.size)
    except ToolkitError:
        return True


def _told_by_values(known: _Named, masks: Sequence[Path], meaning: Meaning, description: Description) -> _Made:
    """An image whose masks say by their values which class is marked."""
    files: list[MaskFile] = []
    problems: list[Problem] = []
    ignored = False
    for path in masks:
        try:
            present = present_values(path, meaning.reading, meaning.classes)
        except ToolkitError as error:
            problems += error.problems
            continue
        named, strange = named_values(present, meaning)
        ignored |= any(meaning.ignores(value) for value in strange)
        files += (MaskFile(path, (value,), None, name, meaning.reading) for value, name in named)
        problems += value_problems(path, strange, present, named, meaning)
    if not problems and files and known.defect == GOOD:
        problems.append(_good_but_marked(files[0].path))
    if not problems and not files and _empty(known, description) == "error":
        remedy = "mark its defect, or move the image to the good ones"
        problems.append(Problem(str(masks[0]), "the mask of a defect image is all zero", remedy))
    if problems:
        return _Made(None, tuple(problems))
    if not files:
        return _Made(known.sample("good", GOOD), ignored=ignored)
    sample = known.sample("masks", class_of_image(file.label for file in files), tuple(files))
    return _Made(sample, ignored=ignored)


def _told_by_names(
    known: _Named, masks: Sequence[Path], meaning: Meaning, classes: Sequence[str], description: Description
) -> _Made:
    """An image whose masks say by their own names which class is marked; one of the background marks nothing."""
    files = [
        MaskFile(path, (), meaning.threshold, word or description.class_name, meaning.reading)
        for path, word in zip(masks, classes, strict=True)
        if not is_background_word(word) and not is_good(word, description)
    ]
    marking = tuple(file for file in files if _marks(file))
    if marking:
        return _Made(known.sample("masks", class_of_image(file.label for file in marking), marking))
    if _empty(known, description) == "good":
        return _Made(known.sample("good", GOOD))
    remedy = "mark its defect, or say 'empty_mask: good' in the layout"
    return _Made(None, (Problem(str(known.image), "the masks of a defect image are all zero", remedy),))


def _keys(images: Sequence[FoundFile], description: Description) -> list[str]:
    """A key for each image: its groups, product, subset and class first; its ending too where two would meet."""
    keys = ["/".join(_key_parts(file, description)) for file in images]
    if len(set(keys)) == len(keys):
        return keys
    count = Counter(keys)
    return [
        f"{key}{os.path.splitext(file.path)[1]}" if count[key] > 1 else key
        for key, file in zip(keys, images, strict=True)
    ]


def _key_parts(file: FoundFile, description: Description) -> Iterator[str]:
    groups = file.groups
    if "category" in groups:
        yield groups["category"]
    if (word := groups.get("split")) is not None:
        yield subset_of(word, description) or word
    if (word := groups.get("class")) is not None:
        yield GOOD if is_good(word, description) else word
    yield from (value for name, value in groups.items() if name not in _OF_THEIR_OWN)
    yield groups.get("name") or Path(file.path).stem
