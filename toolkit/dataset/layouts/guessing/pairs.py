"""Folders of images and of their masks under names of their own: told by equal names of files, and by a look inside."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import permutations
from pathlib import Path

import numpy as np

from toolkit.dataset.layouts.description import SUBSET_WORDS, Description
from toolkit.dataset.layouts.files import FileList
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


def drafted_pairs(files: FileList) -> Description | None:
    """A description of the images and masks that share the most names; None if none do."""
    found: list[tuple[int, int, str, str]] = []
    depths: dict[int, list[tuple[tuple[str, ...], str, str]]] = {}
    for path in files.images:
        folders, stem = _split(path)
        depths.setdefault(len(folders), []).append((folders, stem, path))
    for depth, members in sorted(depths.items()):
        for place in range(depth):
            found += _in_two_folders(files.root, members, place)
        everything = {(folders, stem): path for folders, stem, path in members}
        count, before, after = _affix(everything, everything)
        if before or after:
            folder = _folders([folders for folders, _, _ in members])
            found.append((count, 0, f"{folder}{{name}}.{{ext}}", f"{folder}{before}{{name}}{after}.{{ext}}"))
    if not found:
        return None
    _, _, image, mask = max(found, key=lambda one: (one[0], one[1]))
    return Description(images=[image], mask=[mask])


def _in_two_folders(
    root: Path, members: Sequence[tuple[tuple[str, ...], str, str]], place: int
) -> Iterator[tuple[int, int, str, str]]:
    """Pairs of folders at one place in paths: shared names, 1 where a name says masks, patterns of images and masks."""
    of: dict[str, dict[File, str]] = {}
    for folders, stem, path in members:
        of.setdefault(folders[place], {})[folders[:place] + folders[place + 1 :], stem] = path
    names = sorted(of, key=lambda name: (-len(of[name]), name))[:_MOST_FOLDERS]
    for image, mask in permutations(names, 2):
        if _MASK_WORDS.search(image) or not (_MASK_WORDS.search(mask) or _all_masks(root, of[mask].values())):
            continue
        count, before, after = _affix(of[image], of[mask])
        if count:
            rest = [(*rest[:place], "", *rest[place:]) for rest, _ in (*of[image], *of[mask])]
            shown = [_folders([(*r[:place], name, *r[place + 1 :]) for r in rest]) for name in (image, mask)]
            told = int(bool(_MASK_WORDS.search(mask)))
            yield count, told, f"{shown[0]}{{name}}.{{ext}}", f"{shown[1]}{before}{{name}}{after}.{{ext}}"


def _affix(images: dict[File, str], masks: dict[File, str]) -> tuple[int, str, str]:
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
        elif all(_DATE.match(value) for value in values):
            parts.append(f"{{date{place}}}")
        else:
            parts.append(f"{{folder{place}}}")
    return "".join(f"{part}/" for part in parts)
