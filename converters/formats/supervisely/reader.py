"""Indexing Supervisely's projects: each annotation file is read once, and little of it is kept."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from converters.formats.base import Reading
from converters.formats.coco.document import shown
from converters.formats.foreign.listing import Labels, Listing, few
from converters.formats.label_tree import InstanceList, LabelRecord, LabelTree, make_records, subset_of_name
from converters.formats.supervisely.document import AREAS, FLAT, Annotation, Thing, read_annotation, read_shapes
from converters.formats.supervisely.drawing import instance_of
from converters.formats.supervisely.project import annotations_in, meta_of
from converters.rasterize import Rounding
from toolkit.dataset.samples import LabelKind, is_good_word
from toolkit.errors import ToolkitError
from toolkit.files.digests import file_digest

__all__ = ["index_supervisely", "load_supervisely"]

_BARE = "{} image(s) without an annotation file are unlabelled (--without-label good takes them for good)"
_TAGGED = "{} image(s) have tags and no object, and are unlabelled (--without-label good takes them for good)"


class _Read(NamedTuple):
    """An annotation file, as a path below the root, its image, what it says, and the geometries that it was read by."""

    label: str
    image: str | None
    name: str
    told: Annotation
    shapes: dict[str, str]


def index_supervisely(root: Path, reading: Reading) -> LabelTree:
    """Index a project, or a dataset of one. What is wrong with a file is a problem of the tree.

    Raises:
        ToolkitError: its meta.json cannot be read.
    """
    listing = Listing.of(root, reading)
    metas = {posixpath.dirname(path): read_shapes(root / path) or {} for path in meta_of(listing.files)}
    labels = annotations_in(listing.files)
    read = [one for label in labels if (one := _read(listing, label, metas)) is not None]
    by_tags = not any(one.told.things for one in read)
    for one in read:
        _take(listing, one, by_tags=by_tags)
    listing.nothing_marked(root, "no annotation has an object, nor its image a tag", "name the project that has some")
    listing.unread([*labels, *meta_of(listing.files), *(path for path in listing.files.others if _is_known(path))])
    found = listing.found(_BARE, "img")
    names = _class_names(listing, metas.values(), by_tags=by_tags)
    return LabelTree(
        root,
        "supervisely",
        names,
        make_records(found, load_supervisely, dict(enumerate(names)), ours=False),
        manifest=None,
        layout_problems=listing.problems,
        notes=listing.notes(),
        reading=reading,
    )


def _is_known(path: str) -> bool:
    """Whether a file is one of those that Supervisely writes beside annotations."""
    name, folder = posixpath.basename(path), posixpath.basename(posixpath.dirname(path))
    return name == "obj_class_to_machine_color.json" or folder in ("img_info", "meta")


def _read(listing: Listing, label: str, metas: dict[str, dict[str, str]]) -> _Read | None:
    """An annotation file; None for a damaged one, which is a problem of the tree."""
    dataset = posixpath.dirname(posixpath.dirname(label))
    name = posixpath.basename(label)[: -len(".json")]
    image = listing.beside(posixpath.join(dataset, "img"), name)
    above = max((folder for folder in metas if _is_in(dataset, folder)), key=len, default=None)
    shapes = metas[above] if above is not None else {}
    try:
        return _Read(label, image, name, read_annotation(listing.root / label, shapes), shapes)
    except ToolkitError as error:
        listing.withhold(error, image)
        return None


def _is_in(folder: str, above: str) -> bool:
    return not above or folder == above or folder.startswith(f"{above}/")


def _take(listing: Listing, one: _Read, *, by_tags: bool) -> None:
    """Take in an image; by its tags where no annotation of the tree has an object."""
    path = str(listing.root / one.label)
    try:
        classes, kind = _by_tags(listing, one) if by_tags else _by_objects(listing, one)
    except ToolkitError as error:
        listing.withhold(error, one.image)
        return
    used = {thing.label for thing in one.told.things if "geometryType" not in thing.told}
    old = {label: shape for label, shape in one.shapes.items() if label in used}
    payload = (path, (old, file_digest(Path(path)))) if old else path
    subsets = [name for name, _ in one.told.tags if _is_subset(name)]
    dataset = posixpath.dirname(posixpath.dirname(one.label))
    told = posixpath.join(dataset, "img", one.name)
    subset = _subset(dataset) or (subset_of_name(subsets[0]) if len(subsets) == 1 else None) or "train"
    labels = Labels(one.label, payload, classes, kind, subset, one.told.size)
    listing.take(labels, one.image, told, f"in {posixpath.join(dataset, 'img')}")


def _subset(dataset: str) -> str | None:
    """The subset that the folders of a dataset speak of, the innermost first."""
    return next((subset for part in reversed(dataset.split("/")) if (subset := subset_of_name(part))), None)


def _is_subset(tag: str) -> bool:
    return tag.casefold() in ("train", "val", "valid", "validation", "test", "training")


def _by_objects(listing: Listing, one: _Read) -> tuple[tuple[str, ...], LabelKind | None]:
    """Classes of an image's objects, and what these consist of."""
    areas = [thing for thing in one.told.things if thing.kind not in FLAT]
    if areas:
        kinds = {thing.kind for thing in areas}
        if tags := _telling(one.told.tags):
            listing.remark("tags of {} image(s) that have objects are not read", tags[0][0])
        return tuple(thing.label for thing in areas), "boxes" if kinds == {"rectangle"} else "masks"
    if one.told.things:
        listing.remark("{} image(s) show nothing but points, lines and graphs, and are unlabelled", one.label)
        return (), "unlabelled"
    tags = _telling(one.told.tags)
    if tags and listing.reading.without_label != "good":
        listing.remark(_TAGGED, f"{one.label} ({few([name for name, _ in tags])})")
        return (), "unlabelled"
    return (), None


def _telling(tags: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Tags that may name a defect."""
    return [(name, value) for name, value in tags if not _is_subset(name) and not is_good_word(name)]


def _by_tags(listing: Listing, one: _Read) -> tuple[tuple[str, ...], LabelKind | None]:
    """The class of an image as its tags tell it.

    Raises:
        ToolkitError: it has several, or one whose value is no class.
    """
    tags = [(name, value) for name, value in one.told.tags if not _is_subset(name)]
    if not tags:
        kind: LabelKind = "good" if listing.reading.without_label == "good" else "unlabelled"
        if kind == "unlabelled":
            listing.remark("{} image(s) without object and tag are unlabelled (--without-label good)", one.label)
        return (), kind
    if len(tags) > 1:
        told = ", ".join(name for name, _ in tags[:4])
        raise ToolkitError(listing.root / one.label, f"its image has several tags: {told}", "keep the one of its class")
    name, value = tags[0]
    if value is not None and not isinstance(value, str):
        problem = f"its image has the tag {name!r} with the value {shown(value)}, which is no class"
        raise ToolkitError(listing.root / one.label, problem, "keep a tag that names its class")
    label = value or name
    return ((), None) if is_good_word(label) else ((label,), "class")


def _class_names(listing: Listing, metas: Iterable[dict[str, str]], *, by_tags: bool) -> list[str]:
    """The classes in the order of meta.json, then those that it does not name."""
    used = listing.classes
    if by_tags:
        return used
    listed = list(dict.fromkeys(name for shapes in metas for name in shapes))
    for name in used:
        if listed and name not in listed:
            listing.remark("{} class(es) are not among those of meta.json", name)
    return [*listed, *(name for name in used if name not in listed)]


def load_supervisely(entry: LabelRecord, rounding: Rounding) -> InstanceList:
    """Instances of an image, as Supervisely's SDK draws them.

    Points, lines and graphs, and what marks no pixel of the image, are left out and named.

    Raises:
        ToolkitError: the file has changed since it was looked at, or an object in it is malformed.
    """
    if entry.payload is None or entry.sample.kind == "class":
        return InstanceList()
    path, (shapes, _) = entry.payload if isinstance(entry.payload, tuple) else (entry.payload, ({}, ""))
    told = read_annotation(Path(path), shapes)
    size = entry.image_size()
    found, left_out = [], []
    for thing in told.things:
        if thing.kind in FLAT:
            left_out.append(f"objects[{thing.number}] is a {thing.kind}, which is not read")
        elif (one := instance_of(_known(thing), size)) is None:
            left_out.append(f"objects[{thing.number}] marks no pixel of the image")
        else:
            found.append(one)
    return InstanceList(found, left_out, settled=True)


def _known(thing: Thing) -> Thing:
    """An object of a geometry that is read.

    Raises:
        ToolkitError: it is of another one.
    """
    if thing.kind not in AREAS:
        remedy = "turn it into a bitmap or a polygon, or remove it"
        raise ToolkitError(thing.place, f"is of the geometry {shown(thing.kind)}, which is not read", remedy)
    return thing
