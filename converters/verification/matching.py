"""Label trees and their source: which source, which of its images each label is of, and what that label should say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from converters.formats.base import Settings
from converters.formats.label_tree import LabelRecord, LabelTree
from converters.formats.registry import find_format
from converters.merging import SourcesLike, open_sources
from converters.origins import named_roots, open_named
from converters.recognition import reading_of
from converters.sources import LayoutLike, Member, Source
from converters.writing.selection import read_selected, selection_of
from toolkit.dataset.keys import key_finder
from toolkit.errors import ToolkitError
from toolkit.geometry.instances import parse_grouping
from toolkit.geometry.tiles import Tiles, image_of_tile

__all__ = [
    "Match",
    "Matches",
    "find_source",
    "match_records",
    "omissions",
    "settings_of",
    "tiles_of",
    "unsaid_images",
]

_Numbers = npt.NDArray[np.int64]
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Match:
    """An image of the source and what labels it.

    Attributes:
        member: the image in the source; None for labels whose image is not in the source.
        records: number of the tree and record, for each tree that labels the image.
        left_out: numbers of the trees whose manifests say that nothing of it was asked for.
    """

    member: Member | None
    records: tuple[tuple[int, LabelRecord], ...]
    left_out: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Matches:
    """All labels of some trees by the image that they are of.

    Attributes:
        found: images of the source by key, then the labels of images that are not in it; each made when asked for.
        missing: for each tree the keys of the source that it does not label, nor was told to leave out, sorted.
        images: number of images in the source.
    """

    found: Sequence[Match]
    missing: tuple[tuple[str, ...], ...]
    images: int


def find_source(against: SourcesLike | None, trees: Sequence[LabelTree], layout: LayoutLike = None) -> Source | None:
    """What to compare trees with: what was named, or what the first manifest that names a source does; else None.

    Raises:
        ToolkitError: what was named is neither a dataset nor a label tree.
    """
    layout = _not_heeded(layout, trees)
    if against is not None:
        roots = list(against) if isinstance(against, list | tuple) else [against]
        how = {"layout", "sources", "review"}
        told = next((one for tree in trees if (one := tree.manifest) and how & one.keys()), None)
        paths = [root for root in roots if isinstance(root, str | Path)]
        if told is not None and len(paths) == len(roots):
            with suppress(ToolkitError):  # another source than the one that was laid out so
                return open_named(told, paths, layout)
        source = open_sources(against, layout)
        if all(member.sample.kind == "unlabelled" for member in source.members):
            raise ToolkitError(source.root, "carries no labels to compare with", "name the dataset with its masks")
        return source
    for tree in trees:
        named = named_roots(tree.manifest, tree.root.resolve().parent)
        if named and all(root.exists() for root in named) and tree.manifest and tree.manifest.get("input_sha256"):
            return open_named(tree.manifest, named)
    return None


def _not_heeded(layout: LayoutLike, trees: Sequence[LabelTree]) -> LayoutLike:
    """What a layout says of the source: all, but for what the foreign trees that are compared with it have heeded."""
    reading = reading_of(layout)
    heeded = {name for tree in trees if tree.manifest is None for name in find_format(tree.kind).reads}
    if reading is None or not heeded:
        return layout
    left = {name: value for name, value in reading.described().items() if name not in heeded}
    return {"labels": left} if left else None


def settings_of(tree: LabelTree, source: Source | None) -> Settings:
    """The settings that a tree was made with. For other tools' trees the scheme is told by the class names."""
    tells_classes = find_format(tree.kind).tells_classes
    if tree.manifest is None:
        if not tells_classes:
            return Settings(classes=("defect",), scheme="binary")
        schemes = () if source is None else source.schemes
        fitting = [scheme for scheme in schemes if source and set(tree.names) <= set(source.classes(scheme))]
        return Settings(classes=tuple(tree.names), scheme=fitting[0] if fitting else "defect")
    options = tree.manifest["options"]
    return Settings(
        classes=tuple(tree.manifest["classes"]),
        scheme=options["classes"] if tells_classes else "binary",
        grouping=parse_grouping(options["instances"]),
        min_area=options["min_area"],
        min_iou=options["min_iou"],
        join_parts=options["join_parts"],
        threshold=options["threshold"],
        selection=selection_of(options),
        panoptic_layout=options.get("panoptic_layout", "flat"),
        tiles=tiles_of(tree),
    )


def tiles_of(tree: LabelTree) -> Tiles | None:
    """How the images of a tree were cut; None where they were not."""
    told = (tree.manifest or {}).get("options", {}).get("tiles")
    return None if told is None else Tiles(told["side"], float(told["overlap"]), told.get("background"))


def match_records(trees: Sequence[LabelTree], source: Source | None) -> Matches:
    """For each image of the source the records that label it, or its tiles, so that its masks are read once.

    A record is matched as `toolkit.dataset.keys.key_finder` says.
    """
    members: Sequence[Member] = () if source is None else source.members
    places = {member.sample.key: place for place, member in enumerate(members)}
    find = key_finder(places)
    owners = []
    for tree in trees:
        own: Iterable[str] = tree.records.keys()
        keys = map(find, own if tiles_of(tree) is None else (_image_of(key) for key in own))
        owners.append(np.fromiter((-1 if key is None else places[key] for key in keys), np.int64, len(tree)))
    missing, left_out = [], []
    for tree, owner in zip(trees, owners, strict=True):
        dropped = np.array([places[key] for key in sorted(_left_out_of(tree)) if key in places], np.int64)
        left_out.append(dropped)
        lacks = np.ones(len(members), np.bool_)
        lacks[owner[owner >= 0]] = False
        lacks[dropped] = False
        missing.append(tuple(sorted(key for key, place in places.items() if lacks[place])))
    rank = np.empty(len(members), np.int64)
    rank[np.array([place for _, place in sorted(places.items())], np.int64)] = np.arange(len(places))
    return Matches(_Found(members, trees, owners, left_out, rank), tuple(missing), len(places))


def _image_of(key: str) -> str:
    """The key of the image that a tile is of."""
    found = image_of_tile(key)
    return key if found is None else found[0]


class _Found(Sequence[Match]):
    """What `Matches.found` is, as numbers of members and records."""

    def __init__(
        self,
        members: Sequence[Member],
        trees: Sequence[LabelTree],
        owners: Sequence[_Numbers],
        left_out: Sequence[_Numbers],
        rank: _Numbers,
    ) -> None:
        """As for `match_records`.

        Args:
            members: the images of the source.
            trees: the label trees.
            owners: for each tree the member that each record is of; -1 for none.
            left_out: for each tree the members of which nothing was asked for.
            rank: the place of each member among all, by its key.
        """
        self._members, self._trees = members, trees
        owner = np.concatenate([*owners, *left_out, _NONE])
        tree = np.repeat(np.tile(np.arange(len(owners)), 2), [len(one) for one in (*owners, *left_out)])
        record = np.full(len(owner), -1, np.int64)  # of what is left out there is none
        record[: sum(map(len, owners))] = np.concatenate([*(np.arange(len(one)) for one in owners), _NONE])
        # Those that are of no member follow, each by itself, in the order of the trees.
        alone = owner < 0
        group = np.where(alone, len(members) + np.cumsum(alone), rank[owner] if len(members) else 0)
        order = np.argsort(group, kind="stable")
        self._owner, self._tree, self._record = owner[order], tree[order].astype(np.uint16), record[order]
        self._starts = np.flatnonzero(np.diff(group[order], prepend=-1))

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Match: ...
    @overload
    def __getitem__(self, index: slice) -> list[Match]: ...
    def __getitem__(self, index: int | slice) -> Match | list[Match]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        start = int(self._starts[index])
        place = range(len(self))[index] + 1
        end = int(self._starts[place]) if place < len(self) else len(self._owner)
        pairs = [(int(self._tree[at]), int(self._record[at])) for at in range(start, end)]
        owner = int(self._owner[start])
        member = self._members[owner] if owner >= 0 else None
        records = tuple((number, self._trees[number].records[at]) for number, at in pairs if at >= 0)
        return Match(member, records, tuple(number for number, at in pairs if at < 0))


def _left_out_of(tree: LabelTree) -> set[str]:
    """Keys of the images of which nothing was asked for, by a tree's manifest."""
    return {one["key"] for one in (tree.manifest or {}).get("left_out", ())}


def omissions(match: Match, settings: Sequence[Settings]) -> list[tuple[int, str]]:
    """The trees that left an image out of which something was asked for, and what to say of that.

    Args:
        match: the image.
        settings: of each tree.
    """
    found: list[tuple[int, str]] = []
    if match.member is None:
        return found
    for number in match.left_out:
        try:
            selected = read_selected(match.member, settings[number])
            empty = settings[number].tiles is not None and not selected.labelled.image.instances
            right = selected.excluded or empty
            told = "" if right else "was left out, and shows what was asked for"
        except ToolkitError as error:
            told = error.with_flags
        found += [(number, f"{match.member.sample.key}: {told}")] if told else []
    return found


def unsaid_images(tree: LabelTree, source: Source, lost: Sequence[str]) -> list[str]:
    """Of the images that a tree of ours lacks those of which its manifest says nothing, sorted.

    They came after it was made, or its split left them out. What was skipped for its faults stands in the manifest;
    what nobody labelled is in no tree, and good images are in none that has no images and leaves no trace of them.

    Args:
        tree: with a manifest.
        source: what it was made of.
        lost: keys of images that it lacks.
    """
    if not lost or tree.manifest is None:
        return []
    traceless = tree.manifest["options"]["images"] == "none" and not find_format(tree.kind).tells_good
    # A problem names an image, a mask or label file, "FILE:LINE", or "FILE: annotation 1 of IMAGE".
    told = [one["file"] for one in tree.manifest["problems"] if isinstance(one, dict)]
    words = (word for file in told for word in (file.split(":")[0], file.split()[-1]))
    faulty = {Path(word).stem for word in words}
    wanted = set(lost)
    samples = (member.sample for member in source.members if member.sample.key in wanted)
    unsaid = []
    for sample in sorted(samples, key=lambda sample: sample.key):
        files = (sample.image, *(mask.path for mask in sample.masks))
        good = traceless and sample.kind == "good"
        if sample.kind != "unlabelled" and not good and not any(file.stem in faulty for file in files):
            unsaid.append(sample.key)
    return unsaid
