"""Folders of images and of their masks under names of their own: told by equal names of files, and by a look inside."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from toolkit.dataset.layouts.description import SUBSET_WORDS, Description
from toolkit.dataset.layouts.files import FileList
from toolkit.dataset.samples import is_good_word
from toolkit.errors import ToolkitError
from toolkit.imaging.images import read_image

__all__ = ["drafted_pairs", "holds_masks", "named_as_masks", "seems_good", "takes_masks_for_photos"]

_MASK_WORDS = re.compile(r"(?i)mask|label|truth|annot|segment|(?<![a-z])(gts?|segs?)(?![a-z])|(?<![a-z])(m|lbl)\Z")
_GOOD_ENOUGH = frozenset(
    {
        *(
            "pass",
            "passed",
            "accept",
            "accepted",
            "acceptable",
            "conform",
            "conforming",
            "clean",
            "intact",
            "undamaged",
        ),
        *("perfect", "healthy", "flawless", "no_defects", "non_defect", "not_defective", "without_defect", "fine"),
        *("gut", "io", "i.o", "in_ordnung", "fehlerfrei", "bon", "bonne", "bueno", "buena", "合格", "良品", "正常"),
    }
)
"""Names of folders that may mean the same as good, in lower case."""
_DATE = re.compile(r"\d{4}[-_.]?\d{2}[-_.]?\d{2}\Z")
_SUBSET = "{split}"
_DIVIDERS = "._- "
_LOOKED_AT = 4  # images of a folder
_MOST_FOLDERS = 16
_NEAR = 24  # of 0 and 255: what lossy compression leaves of them

File = tuple[tuple[str, ...], str]
"""The folders of an image, without one of them, and its name without its ending."""


def _split(path: str) -> tuple[tuple[str, ...], str]:
    *folders, name = path.split("/")
    return tuple(folders), name.rpartition(".")[0]


def seems_good(word: str) -> bool:
    """Whether the name of a folder may mean that there is no defect: good enough for a draft that a person reads."""
    return is_good_word(word) or word.lower().strip(" _-.") in _GOOD_ENOUGH


def takes_masks_for_photos(files: FileList) -> bool:
    """Whether a folder, taken for photos of a class, holds masks: by its name, or by its files' names and values."""
    folders = (path.rpartition("/")[0] for path in files.images)
    return any(_MASK_WORDS.search(folder) for folder in folders) or holds_masks(files)


def holds_masks(files: FileList) -> bool:
    """Whether some images are masks of others: by their values, and the names of their folders or their own."""
    return _holds_masks(files.root, files.images)


@lru_cache(maxsize=4)
def _holds_masks(root: Path, images: Sequence[str]) -> bool:
    stems: dict[tuple[str, ...], dict[str, str]] = {}
    for path in images:
        folders, stem = _split(path)
        stems.setdefault(folders, {})[stem] = path
    masks = cache(lambda folders: _all_masks(root, stems[folders].values()))
    if any(_MASK_WORDS.search("/".join(one)) and masks(one) for one in stems):
        return True
    if any(_has_masks_beside(root, found) for found in stems.values()):
        return True
    return any(
        stems[one].keys() <= stems[other].keys() and masks(one) and not masks(other)
        for one, other in permutations(sorted(stems)[:_MOST_FOLDERS], 2)
    )


def _has_masks_beside(root: Path, stems: Mapping[str, str]) -> bool:
    """Whether images of a folder are called as others of it, and as masks: a, a_mask; or hold two values."""
    alone: dict[File, str] = {((), stem): path for stem, path in stems.items()}
    count, before, after = _affix(alone, alone)
    if not count:
        return False
    if _MASK_WORDS.search((before + after).strip(_DIVIDERS)):
        return True
    named = {stem for stem in stems if stem.startswith(before) and stem.endswith(after)}
    those, others = ([path for stem, path in stems.items() if (stem in named) == told] for told in (True, False))
    return _all_masks(root, those) and not _all_masks(root, others)


def named_as_masks(images: Iterable[str]) -> list[str]:
    """Of some images those that are called as others beside them, and as masks: a_mask.png beside a.jpg."""
    paths = [*images]
    known = {path.rpartition(".")[0] for path in paths}
    return [path for path in paths if any(one in known for one in _without_mask_word(path.rpartition(".")[0]))]


def _without_mask_word(stem: str) -> Iterator[str]:
    """What a path without its ending may be without a word for masks before or behind its name."""
    folder, slash, name = stem.rpartition("/")
    for place, sign in enumerate(name):
        if sign in _DIVIDERS:
            if _MASK_WORDS.search(name[place + 1 :]):
                yield folder + slash + name[:place]
            if _MASK_WORDS.search(name[:place]):
                yield folder + slash + name[place + 1 :]


def _all_masks(root: Path, paths: Iterable[str]) -> bool:
    """Whether images, a handful of them looked at, hold two values at most."""
    some = sorted(paths)
    return bool(some) and all(_has_two_values(root / path) for path in some[:: max(1, len(some) // _LOOKED_AT)])


def _has_two_values(path: Path) -> bool:
    try:
        pixels = read_image(path)
    except ToolkitError:
        return False
    flat = pixels.reshape(-1, 3)
    bright = flat >= 255 - _NEAR
    if bright.any() and ((flat <= _NEAR) | bright).all():
        return True
    packed = flat.astype(np.uint32) @ np.array([1, 256, 65536], np.uint32)
    return len(np.unique(packed)) <= 2


class _Pair(NamedTuple):
    """A pattern of images and one of their masks, and what speaks for them, most important first.

    Attributes:
        shared: masks that are called as an image.
        told: whether the name of the masks' folder says that they are masks.
        images: images that the pattern takes in.
    """

    shared: int
    told: bool
    images: int
    image: str
    mask: str


def drafted_pairs(files: FileList) -> Description | None:
    """A description of the images and masks that share the most names; None if none do."""
    found: list[_Pair] = []
    depths: dict[int, list[tuple[tuple[str, ...], str, str]]] = {}
    for path in files.images:
        folders, stem = _split(path)
        depths.setdefault(len(folders), []).append((folders, stem, path))
    for depth, members in sorted(depths.items()):
        for place in range(depth):
            found += _in_folders(files.root, members, place)
        everything = {(folders, stem): path for folders, stem, path in members}
        count, before, after = _affix(everything, everything)
        if before or after:
            folder = _folders([folders for folders, _, _ in members])
            image, mask = f"{folder}{{name}}.{{ext}}", f"{folder}{before}{{name}}{after}.{{ext}}"
            found.append(_Pair(count, False, 0, image, mask))
    found += _of_classes(files)
    if any(not _MASK_WORDS.search(path.rpartition("/")[0]) for path in files.images):
        found = [pair for pair in found if not _MASK_WORDS.search(pair.image.rpartition("{name}")[0])]
    if not found:
        return None
    best = max(found, key=lambda pair: pair[:3])
    return Description(images=[best.image], mask=[best.mask])


def _of_classes(files: FileList) -> Iterator[_Pair]:
    """Folders of images beside one of masks in which each class has a folder of its own."""
    of: dict[tuple[str, ...], dict[File, str]] = {}
    for path in files.images:
        folders, stem = _split(path)
        subsets = tuple(part for part in folders if part.lower() in SUBSET_WORDS)
        alike = tuple(_SUBSET if part in subsets[:1] else part for part in folders)
        of.setdefault(alike, {})[subsets, stem] = path
    places: dict[tuple[tuple[str, ...], int, int], set[str]] = {}
    for folders in of:
        for mask in (place for place, part in enumerate(folders) if _MASK_WORDS.search(part)):
            for own in (place for place in range(len(folders)) if place != mask):
                rest = _without(folders, own)
                places.setdefault((rest, mask - (own < mask), own), set()).add(folders[own])
    for (rest, mask, own), classes in places.items():
        if _SUBSET in classes:
            continue
        masks = {name: (*rest[:own], name, *rest[own:]) for name in sorted(classes)}
        for photos in (one for one in of if len(one) == len(rest) and not any(map(_MASK_WORDS.search, one))):
            if _without(photos, mask) != _without(rest, mask):
                continue
            if photos[mask] in classes:
                beside = {one[mask]: one for one in of if _without(one, mask) == _without(photos, mask)}
                here = {name: one for name, one in beside.items() if name in classes or seems_good(name)}
                yield _class_pair(of, here, masks, own)
            else:
                yield _class_pair(of, {"": photos}, masks, own)


def _without(parts: tuple[str, ...], place: int) -> tuple[str, ...]:
    """The parts of a path less one; more than there are where it has none there."""
    return parts[:place] + parts[place + 1 :] if place < len(parts) else (*parts, "", "")


def _class_pair(
    of: Mapping[tuple[str, ...], Mapping[File, str]],
    photos: Mapping[str, tuple[str, ...]],
    masks: Mapping[str, tuple[str, ...]],
    own: int,
) -> _Pair:
    """What speaks for folders of images and those of the masks of each class.

    Args:
        of: the files of each folder.
        photos: class -> folder of its images; "" alone where they are in one.
        masks: class -> folder of its masks.
        own: the place of the classes in those.
    """
    alone = "" in photos
    images, every = (
        {
            ((*rest, "" if alone else name), stem): path
            for name, folders in told.items()
            for (rest, stem), path in of[folders].items()
        }
        for told in (photos, masks)
    )
    count, before, after = _affix(images, every)
    mask, image = ([*map(_literal, next(iter(told.values())))] for told in (masks, photos))
    mask[own] = "{class}"
    if not alone:
        image[next(place for place, part in enumerate(image) if part in photos)] = _one_of(photos)
    return _Pair(
        count,
        True,
        len(images),
        "/".join([*image, "{name}.{ext}"]),
        "/".join([*mask, f"{before}{{name}}{after}.{{ext}}"]),
    )


def _in_folders(root: Path, members: Sequence[tuple[tuple[str, ...], str, str]], place: int) -> Iterator[_Pair]:
    """Pairs of folders at one place in paths: one of masks, and one of images or several together."""
    of: dict[str, dict[File, str]] = {}
    for folders, stem, path in members:
        of.setdefault(folders[place], {})[folders[:place] + folders[place + 1 :], stem] = path
    names = sorted(of, key=lambda name: (-len(of[name]), name))[:_MOST_FOLDERS]
    photos = [name for name in names if not _MASK_WORDS.search(name)]
    for mask in names:
        if not (_MASK_WORDS.search(mask) or _all_masks(root, of[mask].values())):
            continue
        images = [name for name in photos if name != mask]
        alone = {name: pair for name in images if (pair := _pair(of, [name], mask, place)).shared}
        yield from alone.values()
        several = [n for n in images if n in alone or n.lower() in SUBSET_WORDS or seems_good(n)]
        together = _pair(of, several, mask, place) if len(several) > 1 else None
        if together is not None and together.shared == sum(
            pair.shared for pair in alone.values()
        ):  # no mask is claimed twice
            yield together


def _pair(of: Mapping[str, Mapping[File, str]], images: Sequence[str], mask: str, place: int) -> _Pair:
    """What speaks for a folder of masks beside folders of images."""
    both = {key: path for name in images for key, path in of[name].items()}
    count, before, after = _affix(both, of[mask])
    rest = [rest for rest, _ in (*both, *of[mask])]
    image, masks = (
        _folders([(*folders[:place], name, *folders[place:]) for folders in rest for name in names], place)
        for names in (images, (mask,))
    )
    told = bool(_MASK_WORDS.search(mask))
    paths = f"{image}{{name}}.{{ext}}", f"{masks}{before}{{name}}{after}.{{ext}}"
    return _Pair(count, told, sum(len(of[name]) for name in images), *paths)


def _affix(images: Mapping[File, str], masks: Mapping[File, str]) -> tuple[int, str, str]:
    """How many masks are called as their images, and what stands before and after the images' names in theirs."""
    found = Counter({("", ""): len(images.keys() & masks.keys()) if images is not masks else 0})
    for rest, stem in masks:
        for place, sign in enumerate(stem):
            if sign in _DIVIDERS:
                found["", stem[place:]] += (rest, stem[:place]) in images
                found[stem[: place + 1], ""] += (rest, stem[place + 1 :]) in images
    (before, after), count = max(found.items(), key=lambda one: (one[1], one[0] == ("", ""), one[0]))
    return (count, before, after) if count else (0, "", "")


def _folders(members: Sequence[tuple[str, ...]], listed: int = -1) -> str:
    """A pattern of folders: what all have stands as it is, the rest is a group.

    Classes at the place `listed`, beside which other folders stand, are named one by one.
    """
    parts = []
    for place, values in enumerate(map(set, zip(*members, strict=True))):
        if len(values) == 1:
            parts.append(_literal(values.pop()))
        elif all(value.lower() in SUBSET_WORDS for value in values):
            parts.append("{split}")
        elif not any(part.startswith("{class") for part in parts) and any(map(seems_good, values)):
            parts.append(_one_of(values) if place == listed else "{class}")
        elif all(_DATE.match(value) for value in values):
            parts.append(f"{{date{place}}}")
        else:
            parts.append(f"{{folder{place}}}")
    return "".join(f"{part}/" for part in parts)


def _one_of(classes: Iterable[str]) -> str:
    """A class that is one of these, as it stands in a pattern."""
    names = sorted(classes)
    plain = not any(sign in name for name in names for sign in "{}")  # which no pattern can have within a group
    return f"{{class:{'|'.join(map(re.escape, names))}}}" if plain else "{class}"


def _literal(name: str) -> str:
    """The name of a folder as it stands in a pattern."""
    return name if name == _SUBSET else "".join(f"{{:[{sign}]}}" if sign in "*{}" else sign for sign in name)
