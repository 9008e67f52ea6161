"""Label trees and their source: which source, which of its images each label is of, and what that label should say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from converters.formats.base import Settings
from converters.formats.label_tree import Entry, LabelTree
from converters.sources import key_of, open_source
from toolkit.dataset.keys import file_name
from toolkit.dataset.samples import ClassScheme, Dataset, Sample
from toolkit.geometry.instances import parse_grouping

__all__ = ["Match", "Matches", "find_source", "match_entries", "settings_of"]


@dataclass(frozen=True, eq=False)
class Match:
    """An image of the source and what labels it.

    Attributes:
        member: the image in the source; None for labels whose image is not in the source.
        entries: number of the tree and entry, for each tree that labels the image.
    """

    member: Sample | Entry | None
    entries: tuple[tuple[int, Entry], ...]


@dataclass(frozen=True, eq=False)
class Matches:
    """All labels of some trees by the image that they are of.

    Attributes:
        found: images of the source by key, then the labels of images that are not in it.
        missing: for each tree the keys of the source that it does not label, sorted.
        images: number of images in the source.
    """

    found: tuple[Match, ...]
    missing: tuple[tuple[str, ...], ...]
    images: int


def find_source(
    against: Dataset | LabelTree | str | Path | None, trees: Sequence[LabelTree]
) -> Dataset | LabelTree | None:
    """What to compare trees with: what was named, or what the first manifest that names a source does; else None.

    Raises:
        ToolkitError: what was named is neither a dataset nor a label tree.
    """
    if against is not None:
        return open_source(against)
    for tree in trees:
        named = (tree.manifest or {}).get("source")
        root = (tree.root.resolve().parent / str(named)).resolve()
        if named and root.is_dir() and tree.manifest is not None and tree.manifest.get("input_sha256"):
            return open_source(root)
    return None


def settings_of(tree: LabelTree, source: Dataset | LabelTree | None) -> Settings:
    """The settings that a tree was made with. For other tools' trees the scheme is told by the class names."""
    if tree.kind == "masks" and tree.manifest is None:
        return Settings(classes=("defect",), scheme="binary")
    if tree.manifest is None:
        schemes: tuple[ClassScheme, ...] = get_args(ClassScheme) if isinstance(source, Dataset) else ("defect",)
        fitting = [
            scheme for scheme in schemes if source is not None and set(tree.names) <= set(source.classes(scheme))
        ]
        return Settings(classes=tuple(tree.names), scheme=fitting[0] if fitting else "defect")
    options = tree.manifest["options"]
    return Settings(
        classes=tuple(tree.manifest["classes"]),
        scheme="binary" if tree.kind == "masks" else options["classes"],  # masks say where, their folders what
        grouping=parse_grouping(options["instances"]),
        min_area=options["min_area"],
        min_iou=options["min_iou"],
        join_parts=options["join_parts"],
        threshold=options["threshold"],
    )


def match_entries(trees: Sequence[LabelTree], source: Dataset | LabelTree | None) -> Matches:
    """For each image of the source the entries that label it, so that its masks are read once.

    An entry is matched by its key, by the file name that stands for a key, or by its bare name where only one image of
    the source has it.
    """
    members: Sequence[Sample | Entry] = (
        () if source is None else source.entries if isinstance(source, LabelTree) else source
    )
    by_key = {key_of(member): member for member in members}
    by_name = {file_name(key): key for key in by_key} | {key: key for key in by_key}
    stems: dict[str, list[str]] = {}
    for key in by_key:
        stems.setdefault(key.rpartition("/")[2], []).append(key)
    found: dict[str, list[tuple[int, Entry]]] = {key: [] for key in by_key}
    strangers: list[Match] = []
    missing = []
    for number, tree in enumerate(trees):
        for entry in tree.entries:
            name = entry.sample.key
            same = stems.get(name.rpartition("/")[2], [])
            match = by_name.get(name) or (same[0] if len(same) == 1 else None)
            if match is None:
                strangers.append(Match(None, ((number, entry),)))
            else:
                found[match].append((number, entry))
        missing.append(tuple(sorted(key for key, entries in found.items() if all(n != number for n, _ in entries))))
    matched = [Match(by_key[key], tuple(entries)) for key, entries in sorted(found.items()) if entries]
    return Matches((*matched, *strangers), tuple(missing), len(by_key))
