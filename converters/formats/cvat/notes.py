"""What there is to say of a tree of CVAT's that is no fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from converters.formats.base import Reading
from converters.formats.cvat.images import TreeImages

__all__ = ["Seen", "notes_of"]

_LISTED = 3


@dataclass(eq=False)
class Seen:
    """What was seen while a tree was indexed; lists hold names of images.

    Attributes:
        empty: images without a shape or a tag.
        tagged: images that have tags, and nothing else, with these.
        by_shapes: whether images have shapes: then tags are no classes of others.
        without_area: images that show nothing but shapes without an area.
        unlisted: images that no file lists.
        files: XML files that are not read, paths below the root.
        passed_over: whether these are not read.
        others: shapes without an area, by their kind.
        tags_beside: tags of images that have shapes.
        turned: boxes that do not stand upright.
        joined: groups of shapes that are one object.
        mixed: groups of shapes of several classes.
        undeclared, unused: classes that occur and are not declared, and the reverse.
    """

    empty: list[str] = field(default_factory=list)
    tagged: list[str] = field(default_factory=list)
    by_shapes: bool = False
    without_area: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    passed_over: bool = False
    others: Counter[str] = field(default_factory=Counter)
    tags_beside: int = 0
    turned: int = 0
    joined: int = 0
    mixed: int = 0
    undeclared: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def notes_of(seen: Seen, home: Path, images: TreeImages, reading: Reading) -> list[str]:
    """What a user should know of a tree."""
    return [*_of_images(seen, home, images, reading), *_of_shapes(seen)]


def _of_images(seen: Seen, home: Path, images: TreeImages, reading: Reading) -> Iterator[str]:
    if seen.empty:
        taken, way, other = "good", "unlabelled", "unlabelled"
        if reading.without_label == "unlabelled":
            taken, way, other = "unlabelled", "good", "good"
        rest = f"--without-label {way} takes them as {other}"
        yield f"{len(seen.empty)} image(s) have no shape and no tag, and are {taken}: {_few(seen.empty)}; {rest}"
    if seen.tagged and seen.by_shapes:
        good = reading.without_label == "good"
        rest = "good, as --without-label says" if good else "unlabelled (--without-label good takes them as good)"
        what = f"have tags alone, while others have shapes, and are {rest}"
        yield f"{len(seen.tagged)} image(s) {what}: {_few(seen.tagged)}"
    elif seen.tagged:
        what = "have tags alone, which are their classes"
        yield f"{len(seen.tagged)} image(s) {what}: {_few(seen.tagged)}"
    if seen.without_area:
        what = "show nothing but shapes without an area, and are unlabelled"
        yield f"{len(seen.without_area)} image(s) {what}: {_few(seen.without_area)}"
    if seen.unlisted:
        rest = "unlabelled: --without-label good takes them as good"
        taken = "not read" if seen.passed_over else "good" if reading.without_label == "good" else rest
        yield f"{len(seen.unlisted)} image(s) that no XML file lists are {taken}: {_few(seen.unlisted)}"
    if seen.files:
        yield f"{len(seen.files)} XML file(s) of another kind, or in other folders, are not read: {_few(seen.files)}"
    if images.lost:
        yield f"no image was found below {home}: the labels of {images.lost} images are read without them"
    if images.moved:
        what = "image(s) lie elsewhere than their names say, and are found by these"
        yield f"{len(images.moved)} {what}: {_few(images.moved)}"


def _of_shapes(seen: Seen) -> Iterator[str]:
    if seen.others:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(seen.others.items()))
        yield f"shapes without an area are left out: {kinds}"
    if seen.turned:
        yield f"{seen.turned} box(es) do not stand upright, and are read as polygons of their corners"
    if seen.joined:
        yield f"{seen.joined} group(s) of shapes of one class are one object each, as in CVAT's COCO export"
    if seen.mixed:
        yield f"{seen.mixed} group(s) hold shapes of several classes: each class is an object of its own"
    if seen.tags_beside:
        yield f"{seen.tags_beside} tag(s) of images that have shapes are not read"
    if seen.undeclared:
        yield f"class(es) that <meta> does not declare: {_few(seen.undeclared)}"
    if seen.unused:
        yield f"class(es) that are declared and occur nowhere: {_few(seen.unused)}"


def _few(things: Sequence[str]) -> str:
    return ", ".join(things[:_LISTED]) + (", ..." if len(things) > _LISTED else "")
