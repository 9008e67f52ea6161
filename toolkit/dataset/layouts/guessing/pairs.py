"""Folders of images and of their masks under names of their own: told by equal names of files, and by a look inside."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from toolkit.dataset.layouts.description import SUBSET_WORDS, Description
from toolkit.dataset.layouts.files import FileList
from toolkit.dataset.samples import is_good_word
from toolkit.errors import ToolkitError
from toolkit.imaging.images import read_image

__all__ = ["drafted_pairs", "takes_masks_for_photos"]

_MASK_WORDS = re.compile(r"(?i)mask|label|truth|annot|segment|(?<![a-z])(gts?|segs?)(?![a-z])|(?<![a-z])(m|lbl)\Z")
_DATE = re.compile(r"\d{4}[-_.]?\d{2}[-_.]?\d{2}\Z")
_DIVIDERS = "._- "
_LOOKED_AT = 4  # images of a folder
_MOST_FOLDERS = 16
_NEAR = 24  # of 0 and 255: what lossy compression leaves of them

File = tuple[tuple[str, ...], str]
"""The folders of an image, without one of them, and its name without its ending."""


def _split(path: str) -> tuple[tuple[str, ...], str]:
    *folders, name = path.split("/")
    return tuple(folders), name.rpartition(".")[0]


def takes_masks_for_photos(files: FileList) -> bool:
    """Whether a folder, taken for photos of a class, holds masks: by its name, or by its files' names and values."""
    return _takes_masks(files.root, files.images)


@lru_cache(maxsize=4)
def _takes_masks(root: Path, images: Sequence[str]) -> bool:
    stems: dict[tuple[str, ...], dict[str, str]] = {}
    for path in images:
        folders, stem = _split(path)
        stems.setdefault(folders, {})[stem] = path
    if any(_MASK_WORDS.search(part) for folders in stems for part in folders):
        return True
    return any(
        stems[one].keys() <= stems[other].keys() and _all_masks(root, stems[one].values())
        for one, other in permutations(sorted(stems)[:_MOST_FOLDERS], 2)
    )


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
    if not found:
        return None
    best = max(found, key=lambda pair: pair[:3])
    return Description(images=[best.image], mask=[best.mask])


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
        several = [name for name in images if name in alone or name.lower() in SUBSET_WORDS]
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
        _folders([(*folders[:place], name, *folders[place:]) for folders in rest for name in names])
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


def _folders(members: Sequence[tuple[str, ...]]) -> str:
    """A pattern of folders: what all have stands as it is, the rest is a group."""
    parts = []
    for place, values in enumerate(map(set, zip(*members, strict=True))):
        if len(values) == 1:
            parts.append("".join(f"{{:[{sign}]}}" if sign in "*{}" else sign for sign in values.pop()))
        elif all(value.lower() in SUBSET_WORDS for value in values):
            parts.append("{split}")
        elif "{class}" not in parts and any(map(is_good_word, values)):
            parts.append("{class}")
        elif all(_DATE.match(value) for value in values):
            parts.append(f"{{date{place}}}")
        else:
            parts.append(f"{{folder{place}}}")
    return "".join(f"{part}/" for part in parts)
