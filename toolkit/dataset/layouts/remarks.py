"""What names alone tell is wrong with a described dataset, and what a user should know of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from toolkit.dataset.class_names import NAMES_FILES
from toolkit.dataset.layouts.description import SUBSET_WORDS, Description, ValuesFile
from toolkit.dataset.layouts.files import FileList, hidden_notes, unread_notes
from toolkit.dataset.layouts.meanings import IGNORED
from toolkit.dataset.layouts.resolving import FoundFile, Resolution
from toolkit.dataset.samples import Sample
from toolkit.errors import Problem

__all__ = ["name_problems", "notes_of", "subset_problem"]


def name_problems(root: Path, description: Description, found: Resolution, keys: Sequence[str]) -> Iterator[Problem]:
    """Faults that names alone tell of; `keys` are those of the images found."""
    if found.leftover:
        name = f" {description.name}" if description.name else ""
        shown = ", ".join(found.leftover[:3]) + (", ..." if len(found.leftover) > 3 else "")
        what = f"{len(found.leftover)} image file(s) are matched by nothing in the layout{name}: {shown}"
        yield Problem(str(root), what, "name them in a pattern, or under `exclude`, of a --layout file")
    for mask, images in found.shared.items():
        shown = " and ".join(images[:3])
        yield Problem(str(root / mask), f"one mask for {len(images)} images: {shown}", "give each its own mask")
    for image, masks in found.contested.items():
        shown = " and ".join(masks[:3])
        what = f"finds {len(masks)} masks in different places: {shown}".replace("finds 2 ", "finds two ")
        yield Problem(str(root / image), what, "name one with --image and --mask, or take the other out")
    for path in found.orphans:
        yield Problem(str(root / path), "a mask without an image", "put its image in its place, or remove the mask")
    for word in found.strange_subsets:
        yield subset_problem(root, word)
    yield from _twins(root, found.images, keys)


def subset_problem(place: Path, word: str) -> Problem:
    """A word for a subset that nobody translates."""
    remedy = f"say `splits: {{{word}: test}}` in a --layout file, or rename the subset"
    known = ", ".join(sorted(SUBSET_WORDS))
    return Problem(str(place), f"calls a subset {word!r}, which is none of {known}", remedy)


def _twins(root: Path, images: Sequence[FoundFile], keys: Sequence[str]) -> Iterator[Problem]:
    """Images that not even their endings tell apart."""
    if len(set(keys)) == len(keys):
        return
    places: dict[str, list[str]] = {}
    for file, key in zip(images, keys, strict=True):
        places.setdefault(key, []).append(file.path)
    for key, paths in places.items():
        for path in paths[1:]:
            what = f"shares the name {key!r} with {paths[0]}"
            yield Problem(str(root / path), what, "rename one of them, or bind what tells them apart in a --layout")


def notes_of(
    description: Description,
    files: FileList,
    found: Resolution,
    samples: Sequence[Sample],
    *,
    ignored: int,
    presumed: int,
) -> list[str]:
    """What a user should know.

    Args:
        description, files, found, samples: the layout, what lies below the root, and what was made of it.
        ignored: the number of masks that hold the value for "ignore".
        presumed: the number of images that are good for want of a mask.
    """
    notes = list(description.notes)
    kinds = Counter(sample.kind for sample in samples)
    if kinds["unlabelled"]:
        notes.append(f"{kinds['unlabelled']} image(s) carry no label: they are never called good, and never written")
    if presumed:
        notes.append(f"{presumed} image(s) have no mask and are taken for good, as the layout {description.name} says")
    several = sum(len(file.masks) > 1 and not file.classes for file in found.images) if found.united else 0
    if several:
        notes.append(f"{several} image(s) have several masks: what any of them marks is marked")
    if found.excluded:
        notes.append(f"{len(found.excluded)} image file(s) are left out, as the layout {description.name} says")
    notes += (*hidden_notes(files), *unread_notes(files, partial(_belongs, description)))
    if ignored:
        notes.append(f"{ignored} mask(s) hold {IGNORED}, which means 'ignore' and is left out")
    return notes


def _belongs(description: Description, path: str) -> bool:
    """Whether a file that is no image is one that the layout names: of values, or a table."""
    named = [table.file for table in description.tables]
    if isinstance(description.values, ValuesFile):
        named.append(description.values.file)
    if description.tells_classes and path.rpartition("/")[2].lower() in NAMES_FILES:
        return True
    return any(fnmatchcase(path, re.sub(r"\{\w*\}", "*", name)) for name in (*named, *description.sign))
