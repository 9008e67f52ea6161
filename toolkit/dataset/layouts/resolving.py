"""A description held against the files below a root, by names alone: which are images, and which the masks of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from toolkit.dataset.layouts.description import SUBSET_WORDS, Description
from toolkit.dataset.layouts.patterns import Pattern

__all__ = ["FoundFile", "Resolution", "resolve", "subset_of"]


@dataclass(frozen=True, slots=True)
class FoundFile:
    """An image that a pattern matches.

    Attributes:
        path: below the root.
        groups: what the pattern binds.
        masks: its masks, below the root, sorted.
        labelled: whether anybody said what it shows.
    """

    path: str
    groups: Mapping[str, str]
    masks: tuple[str, ...] = ()
    labelled: bool = True


@dataclass(eq=False)
class Resolution:
    """What each image file below a root is.

    Attributes:
        images: the samples.
        orphans: masks whose image is not there.
        shared: masks of several images, and these.
        excluded: files that the description leaves out.
        leftover: files that no pattern matches.
        strange_subsets: words for subsets that nobody translates.
        paired: how many images have a mask.
    """

    images: list[FoundFile] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    shared: dict[str, list[str]] = field(default_factory=dict)
    excluded: list[str] = field(default_factory=list)
    leftover: list[str] = field(default_factory=list)
    strange_subsets: list[str] = field(default_factory=list)
    paired: int = 0


_Values = tuple[str | None, ...]


def resolve(description: Description, files: Sequence[str]) -> Resolution:
    """Say of each image file what it is.

    A file that could be an image and is the mask of another image is its mask.

    Raises:
        ToolkitError: a pattern is faulty.
    """
    found = Resolution()
    images = description.image_patterns()
    masks = [(number, pattern) for number, image in enumerate(images) for pattern in description.mask_patterns(image)]
    excluded = description.other_patterns(description.exclude)
    unlabelled = description.other_patterns(description.unlabelled)
    matched: dict[str, tuple[int, dict[str, str]]] = {}
    of_masks: list[dict[_Values, list[str]]] = [defaultdict(list) for _ in masks]
    possible: set[str] = set()
    for path in files:
        if _first(excluded, path) is not None:
            found.excluded.append(path)
        elif (bound := _first(unlabelled, path)) is not None:
            found.images.append(FoundFile(path, bound[1], labelled=False))
        else:
            image = _first(images, path)
            if image is not None:
                matched[path] = image
            for (_, pattern), table in zip(masks, of_masks, strict=True):
                groups = pattern.match(path)
                if groups is not None:
                    table[tuple(groups[name] for name in pattern.groups)].append(path)
                    possible.add(path)
            if image is None and path not in possible:
                found.leftover.append(path)
    _pair(found, matched, masks, of_masks, possible, description.shared_masks)
    if description.category:
        for place, file in enumerate(found.images):
            found.images[place] = replace(file, groups={"category": description.category, **file.groups})
    words = {file.groups["split"] for file in found.images if "split" in file.groups}
    found.strange_subsets = sorted(word for word in words if subset_of(word, description) is None)
    found.paired = sum(bool(file.masks) for file in found.images)
    return found


def subset_of(word: str, description: Description) -> str | None:
    """Subset that a word for one stands for; None if nobody says."""
    return description.splits.get(word) or SUBSET_WORDS.get(word.lower())


def _first(patterns: Sequence[Pattern], path: str) -> tuple[int, dict[str, str]] | None:
    """The first pattern that matches, and what it binds."""
    for number, pattern in enumerate(patterns):
        groups = pattern.match(path)
        if groups is not None:
            return number, groups
    return None


def _pair(
    found: Resolution,
    matched: Mapping[str, tuple[int, dict[str, str]]],
    masks: Sequence[tuple[int, Pattern]],
    of_masks: Sequence[Mapping[_Values, list[str]]],
    possible: set[str],
    shared_masks: bool,
) -> None:
    """Give images their masks."""
    claims: dict[str, list[str]] = defaultdict(list)
    wanted: dict[str, list[str]] = {}
    for path, (number, groups) in matched.items():
        wanted[path] = []
        for (image, pattern), table in zip(masks, of_masks, strict=True):
            if image == number:
                own = table.get(tuple(groups[name] for name in pattern.groups), ())
                wanted[path] += (mask for mask in own if mask != path and mask not in wanted[path])
    taken = {mask for path, own in wanted.items() for mask in own if path not in own}
    for path, own in wanted.items():
        if path in taken:
            continue  # it is a mask itself
        for mask in own:
            claims[mask].append(path)
    if not shared_masks:
        found.shared = {mask: images for mask, images in claims.items() if len(images) > 1}
    torn = {image for images in found.shared.values() for image in images}
    for path, own in wanted.items():
        if path not in taken and path not in torn:
            found.images.append(FoundFile(path, matched[path][1], tuple(sorted(own))))
    found.orphans = sorted(possible - claims.keys() - matched.keys())
