"""A description held against the files below a root, by names alone: which are images, and which the masks of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter

from toolkit.dataset.layouts.description import SUBSET_WORDS, Description
from toolkit.dataset.layouts.patterns import Matcher, Pattern

__all__ = ["FoundFile", "Resolution", "resolve", "subset_of"]


@dataclass(frozen=True, slots=True)
class FoundFile:
    """An image that a pattern matches.

    Attributes:
        path: below the root.
        groups: what the pattern binds.
        masks: its masks, below the root, sorted.
        classes: of each mask the class that its own name tells, "" for none; empty where no mask tells one.
        labelled: whether anybody said what it shows.
    """

    path: str
    groups: Mapping[str, str]
    masks: tuple[str, ...] = ()
    labelled: bool = True
    classes: tuple[str, ...] = ()


@dataclass(eq=False)
class Resolution:
    """What each image file below a root is.

    Attributes:
        images: the samples.
        orphans: masks whose image is not there.
        shared: masks of several images, and these.
        contested: images that find masks in different places, and these.
        excluded: files that the description leaves out.
        leftover: files that no pattern matches.
        strange_subsets: words for subsets that nobody translates.
        paired: how many images have a mask.
        united: whether masks in different places are the masks of one image.
    """

    images: list[FoundFile] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    shared: dict[str, list[str]] = field(default_factory=dict)
    contested: dict[str, list[str]] = field(default_factory=dict)
    excluded: list[str] = field(default_factory=list)
    leftover: list[str] = field(default_factory=list)
    strange_subsets: list[str] = field(default_factory=list)
    paired: int = 0
    united: bool = False

    @property
    def names_any(self) -> bool:
        """Whether there is any image, be it one that masks contradict."""
        return bool(self.images or self.shared or self.contested)


def resolve(description: Description, files: Sequence[str], *, united: bool = False) -> Resolution:
    """Say of each image file what it is.

    A file that could be an image and is the mask of another image is its mask. Masks in different places contradict
    each other, unless they are `united`; several files that one pattern matches with its `*` are always one mask.

    Raises:
        ToolkitError: a pattern is faulty.
    """
    found = Resolution(united=united)
    images = description.image_patterns()
    masks = [(number, pattern) for number, image in enumerate(images) for pattern in description.mask_patterns(image)]
    excluded = Matcher(description.other_patterns(description.exclude))
    unlabelled = Matcher(description.other_patterns(description.unlabelled))
    as_image, as_mask = Matcher(images), Matcher([pattern for _, pattern in masks])
    matched: dict[str, tuple[int, dict[str, str]]] = {}
    tables = [_Table(pattern, told=description.masks_tell_classes) for _, pattern in masks]
    possible: set[str] = set()
    for path in files:
        cut = path.rfind("/") + 1
        place = path[:cut], path[cut:]
        if excluded.first(*place) is not None:
            found.excluded.append(path)
        elif (bound := unlabelled.first(*place)) is not None:
            found.images.append(FoundFile(path, bound[1], labelled=False))
        else:
            image = as_image.first(*place)
            if image is not None:
                matched[path] = image
            for number, groups in as_mask.every(*place):
                tables[number].add(groups, path)
                possible.add(path)
            if image is None and path not in possible:
                found.leftover.append(path)
    own = [[table for (image, _), table in zip(masks, tables, strict=True) if image == n] for n in range(len(images))]
    _pair(found, matched, own, possible, description.shared_masks)
    if description.masks_tell_classes:
        found.images = _with_classes(found.images, tables)
    if description.category:
        for index, file in enumerate(found.images):
            found.images[index] = replace(file, groups={"category": description.category, **file.groups})
    words = {file.groups["split"] for file in found.images if "split" in file.groups}
    found.strange_subsets = sorted(word for word in words if subset_of(word, description) is None)
    found.paired = len(found.contested) + sum(bool(file.masks) for file in found.images)
    return found


def _with_classes(images: Sequence[FoundFile], tables: Sequence[_Table]) -> list[FoundFile]:
    """The images with the classes that the names of their masks tell."""
    classes = {path: name for table in tables for path, name in table.classes.items()}
    return [replace(one, classes=tuple(classes.get(path, "") for path in one.masks)) for one in images]


class _Table:
    """The files that a pattern of masks matches, by what it binds; `several` of them may be one mask.

    Attributes:
        classes: file -> class, where the pattern has a {class} of its own: each class has a mask then.
    """

    def __init__(self, pattern: Pattern, *, told: bool) -> None:
        names = [name for name in pattern.groups if not told or name != "class"]
        self._told = len(names) < len(pattern.groups)
        self.several = "*" in pattern.text or self._told
        self.classes: dict[str, str] = {}
        self._of: Callable[[Mapping[str, str]], object] = itemgetter(*names) if names else lambda _: ""
        self._files: dict[object, list[str]] = {}

    def add(self, groups: Mapping[str, str], path: str) -> None:
        """A file, and what the pattern binds in it."""
        self._files.setdefault(self._of(groups), []).append(path)
        if self._told:
            self.classes[path] = groups["class"]

    def get(self, groups: Mapping[str, str]) -> Sequence[str]:
        """The files that have an image's groups."""
        return self._files.get(self._of(groups), ())


def subset_of(word: str, description: Description) -> str | None:
    """Subset that a word for one stands for; None if nobody says."""
    return description.splits.get(word) or SUBSET_WORDS.get(word.lower())


def _pair(
    found: Resolution,
    matched: Mapping[str, tuple[int, dict[str, str]]],
    tables: Sequence[Sequence[_Table]],
    possible: set[str],
    shared_masks: bool,
) -> None:
    """Give images their masks; `tables` has for each pattern of images the masks that it may have."""
    wanted: dict[str, tuple[str, ...]] = {}
    for path, (number, groups) in matched.items():
        masks = [mask for table in tables[number] for mask in table.get(groups)]
        if masks:
            wanted[path] = tuple(sorted({mask for mask in masks if mask != path}))
    taken = {mask for masks in wanted.values() for mask in masks if mask in matched}
    claims: dict[str, list[str]] = {}
    for path, own in wanted.items():
        if path not in taken:  # else it is a mask itself
            for mask in own:
                claims.setdefault(mask, []).append(path)
    if not shared_masks:
        found.shared = {mask: images for mask, images in claims.items() if len(images) > 1}
    if not found.united:
        found.contested = {
            path: list(own)
            for path, own in wanted.items()
            if len(own) > 1 and path not in taken and not _is_one_mask(path, own, matched[path], tables)
        }
    torn = {image for images in found.shared.values() for image in images} | found.contested.keys()
    # What may be an image or a mask, and has neither a mask nor an image of its own, is never called a good image.
    orphans = {path for path in possible if path not in claims and (path in taken or not wanted.get(path))}
    none = taken | torn | orphans
    found.images += (
        FoundFile(path, groups, wanted.get(path, ())) for path, (_, groups) in matched.items() if path not in none
    )
    found.orphans = sorted(orphans)


def _is_one_mask(
    path: str, masks: Sequence[str], matched: tuple[int, dict[str, str]], tables: Sequence[Sequence[_Table]]
) -> bool:
    """Whether all masks of an image are those that a single pattern matches with its `*`."""
    number, groups = matched
    return any(table.several and set(table.get(groups)) - {path} == set(masks) for table in tables[number])
