"""Indexing Datumaro's own JSON."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from converters.formats.base import Reading
from converters.formats.datumaro.annotations import FLAT, is_upright_box, load_datumaro
from converters.formats.datumaro.document import (
    DatumaroFile,
    Item,
    datumaro_files,
    item_of,
    label_of,
    read_datumaro,
)
from converters.formats.foreign.listing import Labels, Listing, few
from converters.formats.foreign.signs import tells_more_than_masks
from converters.formats.label_tree import LabelTree, make_records, subset_of_name
from toolkit.dataset.samples import LabelKind, is_good_word
from toolkit.errors import ToolkitError

__all__ = ["index_datumaro", "is_datumaro_tree"]

_BARE = "{} image(s) that no item is of are unlabelled (--without-label good takes them for good)"


_AS_GOOD = "{} image(s) have a label alone, and are good, as --without-label says"
_LABELLED = (
    "{} image(s) have a label alone, while others have objects, and are unlabelled (--without-label good takes them"
    " as good)"
)


def is_datumaro_tree(root: Path) -> bool:
    """Whether a folder holds Datumaro's files, and no masks of more images than they list."""
    found = datumaro_files(root)
    return bool(found) and tells_more_than_masks(
        root, lambda: sum(path.read_bytes().count(b'"annotations"') for path in found)
    )


def index_datumaro(root: Path, reading: Reading) -> LabelTree:
    """Index a tree, or one file. Annotations are held in memory.

    Raises:
        ToolkitError: a file cannot be read, or two files have different labels.
    """
    home = _home(root)
    listing = Listing.of(home, reading)
    files = [(path, read_datumaro(path)) for path in ([root] if root.is_file() else datumaro_files(root))]
    labels = _labels(files)
    names = dict(enumerate(labels))
    items = [(path, item) for path, told in files for item in _items(listing, path, told)]
    kinds = {kind if isinstance(kind := one.get("type"), str) else "" for _, item in items for one in item.annotations}
    asked = _Asked(by_labels=kinds <= {"label"}, drawn=not kinds <= {*FLAT, "label"})
    for path, item in items:
        _take(listing, path, item, names, asked)
    listing.nothing_marked(root, "no item has an annotation", "name the folder of those that have some")
    listing.unread(path.relative_to(home).as_posix() for path, _ in files)
    found = listing.found(_BARE, "images" if (home / "images").is_dir() else "", whole=root.is_dir())
    _note_unused(listing, labels)
    return LabelTree(
        root,
        "datumaro",
        labels,
        make_records(found, load_datumaro, names, ours=False),
        manifest=None,
        layout_problems=listing.problems,
        notes=listing.notes(),
        reading=reading,
    )


def _home(root: Path) -> Path:
    """The folder that holds annotations and images."""
    if root.is_dir():
        return root
    return root.parent.parent if root.parent.name == "annotations" else root.parent


def _labels(files: Sequence[tuple[Path, DatumaroFile]]) -> list[str]:
    """The labels, on which all files must agree as far as they have them.

    Raises:
        ToolkitError: they do not.
    """
    longest: list[str] = []
    for path, told in files:
        for number, (one, other) in enumerate(zip(longest, told.labels, strict=False)):
            if one != other:
                raise ToolkitError(path, f"calls label {number} {other!r}, another file {one!r}", "make them agree")
        longest = max(longest, told.labels, key=len)
    return longest


def _items(listing: Listing, path: Path, told: DatumaroFile) -> list[Item]:
    """The items of a file; what is wrong with one is a problem of the tree."""
    found = []
    for number, item in enumerate(told.items):
        try:
            found.append(item_of(path, number, item))
        except ToolkitError as error:
            listing.withhold(error, _image_of_faulty(listing, path, item))
    return found


def _image_of_faulty(listing: Listing, path: Path, item: object) -> str | None:
    """The image of an item that cannot be read, as far as its id tells."""
    name = item.get("id") if isinstance(item, dict) else None
    return _image(listing, path, name, "") if isinstance(name, str) and name else None


def _image(listing: Listing, path: Path, name: str, told: str) -> str | None:
    """The image of an item: where its path leads from the folder of its subset, or from `images`, or by its name."""
    own = posixpath.join("images", path.stem)
    if told:
        return listing.image_of(own, told) or listing.image_of("images", told)
    places = (posixpath.dirname(posixpath.join(folder, name)) for folder in (own, "images"))
    found = (listing.beside(place, posixpath.basename(name)) for place in places)
    return next((image for image in found if image is not None), None)


class _Asked(NamedTuple):
    """What a tree has: labels of whole images and nothing else, or things that are drawn."""

    by_labels: bool
    drawn: bool


def _take(listing: Listing, path: Path, item: Item, names: dict[int, str], asked: _Asked) -> None:
    """Take in an item; by its label where no item of the tree has anything else."""
    image = _image(listing, path, item.name, item.path)
    if item.said:
        listing.remark("what {} item(s) say of themselves (attr) is not read", item.said[0])
    try:
        classes, kind = _told(listing, item, names, asked)
    except ToolkitError as error:
        listing.withhold(error, image)
        return
    label = path.relative_to(listing.root).as_posix()
    subset = subset_of_name(path.stem) or "train"
    payload = (str(path), (item.place, item.annotations))
    told = Labels(label, payload, classes, kind, subset, item.size, item.annotations)
    name = item.path or item.name
    if image is None and not listing.files.images:
        name = posixpath.join("images", path.stem, name)
    listing.take(told, image, name, f"in images/{path.stem}, and by its name below {listing.root}")


def _told(
    listing: Listing, item: Item, names: dict[int, str], asked: _Asked
) -> tuple[tuple[str, ...], LabelKind | None]:
    """Classes of an image, and what its labels consist of.

    Raises:
        ToolkitError: an annotation has no known label, or the image has several.
    """
    areas = {f"{item.place}: annotations[{number}]": one for number, one in enumerate(item.annotations)}
    whole = {place: one for place, one in areas.items() if one.get("type") == "label"}
    areas = {place: one for place, one in areas.items() if one.get("type") not in (*FLAT, "label")}
    labels = list(dict.fromkeys(label_of(place, one, names) for place, one in whole.items()))
    if areas:
        classes = tuple(label_of(place, one, names) for place, one in areas.items())
        if {*labels} - {*classes}:
            listing.remark("{} image(s) have a label beside their objects, which is not read", item.name)
        return classes, "boxes" if all(map(is_upright_box, areas.values())) else "masks"
    if labels:
        return _labelled(listing, item, labels, drawn=asked.drawn)
    if item.annotations:
        listing.remark("{} image(s) have nothing but points and lines, and are unlabelled", item.name)
        return (), "unlabelled"
    told = listing.reading.without_label
    if told == "unlabelled" or (asked.by_labels and told is None):
        listing.remark("{} image(s) without an annotation are unlabelled (--without-label good)", item.name)
        return (), "unlabelled"
    listing.remark("{} image(s) without an annotation are good (--without-label unlabelled says otherwise)", item.name)
    return (), None


def _labelled(
    listing: Listing, item: Item, labels: Sequence[str], *, drawn: bool
) -> tuple[tuple[str, ...], LabelKind | None]:
    """What an image is that has labels alone: of their class, good, or, where others have objects, unlabelled.

    Raises:
        ToolkitError: it has several, where they are classes.
    """
    if all(map(is_good_word, labels)):
        return (), None
    if drawn:
        good = listing.reading.without_label == "good"
        listing.remark(_AS_GOOD if good else _LABELLED, _named(item, labels))
        return (), None if good else "unlabelled"
    if len(labels) > 1:
        raise ToolkitError(item.place, f"has several labels: {few(labels)}", "keep the one of its class")
    return (labels[0],), "class"


def _named(item: Item, labels: Sequence[str]) -> str:
    return f"{item.name} ({few(labels)})"


def _note_unused(listing: Listing, labels: Sequence[str]) -> None:
    used = set(listing.classes)
    for name in labels:
        if used and name not in used:
            listing.remark("{} label(s) occur in no annotation", name)
