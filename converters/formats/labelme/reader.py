"""Indexing LabelMe trees, ours and other people's, or one file: each is read once, and little of it is kept."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from converters.formats.base import Reading
from converters.formats.image_files import plain_name
from converters.formats.label_tree import FoundImage, LabelTree, make_records, subset_of_name
from converters.formats.labelme.document import BACKGROUND, IGNORE, LabelmeFile, read_labelme
from converters.formats.labelme.embedded import embedded_size, extraction
from converters.formats.labelme.files import json_files, without_exports
from converters.formats.labelme.images import Found, ImageNames
from converters.formats.labelme.instances import all_boxes, classes_of, load_labelme
from converters.formats.labelme.notes import Seen, class_names, notes_of
from converters.formats.registry import read_manifest
from toolkit.dataset.layouts.files import FileList, list_files
from toolkit.dataset.samples import LabelKind, is_good_word
from toolkit.errors import Problem, ToolkitError

__all__ = ["index_labelme"]


@dataclass(eq=False)
class _Tree:
    """A tree that is being indexed.

    Attributes:
        root: the folder.
        names: its images.
        ours: whether defectkit wrote it.
        reading: as the user has it.
        seen: what there is to say of it.
        found: its images with labels.
        problems: what is wrong with it.
        claims: image -> the files that are of it.
        faulty: images whose file cannot be read; they are neither labelled nor without a label.
        crossed: files that name an image, while another one is called like them: file, and the two images.
    """

    root: Path
    names: ImageNames
    ours: bool
    reading: Reading
    seen: Seen = field(default_factory=Seen)
    found: dict[str, FoundImage] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    claims: dict[str, list[str]] = field(default_factory=dict)
    faulty: set[str] = field(default_factory=set)
    crossed: list[tuple[str, str, str]] = field(default_factory=list)


def index_labelme(root: Path, reading: Reading) -> LabelTree:
    """Index a folder of LabelMe files and images, or one file. What is wrong with a file is a problem of the tree.

    Raises:
        ToolkitError: one file is named, and it is damaged.
    """
    home = root if root.is_dir() else root.parent
    files = list_files(home) if root.is_dir() else _near(root)
    manifest = read_manifest(home) if root.is_dir() else None
    images, exports = without_exports(files)
    tree = _Tree(home, ImageNames(images), manifest is not None, reading)
    tree.seen.exports = exports
    for label in json_files(files):
        _take_in(tree, label)
    _refuse_shared(tree)
    _refuse_crossed(tree)
    if root.is_dir():
        _take_unlabelled(tree)
    if not tree.ours and tree.found and not any(one.classes for one in tree.found.values()):
        remedy = "name the folder of the files that have shapes"
        tree.problems.append(Problem(str(root), "no LabelMe file has a shape", remedy))
    used = {label for one in tree.found.values() for label in one.classes}
    classes = list(manifest["classes"]) if manifest else class_names(home, files.others, used, tree.seen)
    records = make_records(_in_order(tree), load_labelme, dict(enumerate(classes)), ours=tree.ours)
    problems = [*tree.problems, *files.problems]
    notes = notes_of(tree.seen, home, ours=tree.ours)
    return LabelTree(
        root, "labelme", classes, records, manifest=manifest, layout_problems=problems, notes=notes, reading=reading
    )


def _near(path: Path) -> FileList:
    """One file, and the images of its folder."""
    files = list_files(path.parent)
    return FileList(path.parent, files.images, (path.name,), (), ())


def _in_order(tree: _Tree) -> list[FoundImage]:
    return [tree.found[name] for name in sorted(tree.found)]


def _take_in(tree: _Tree, label: str) -> None:
    """Read a label file, and find its image."""
    path = tree.root / label
    try:
        document = read_labelme(path)
        if document is None:
            tree.seen.strange.append(label)
            return
        place = tree.names.of(label, document.image)
        if place is None:
            _take_imageless(tree, label, document)
            return
    except ToolkitError as error:
        tree.problems += error.problems
        own = tree.names.of(label, "")
        tree.faulty |= {own.image} if own is not None else set()
        return
    tree.claims.setdefault(place.image, []).append(label)
    _remark(tree.seen, label, document, place)
    own = tree.names.of(label, "") if not tree.ours and place.way != "stem" else None
    near = {posixpath.dirname(one) for one in (label, place.image)}
    if own is not None and own.image != place.image and posixpath.dirname(own.image) in near:
        tree.crossed.append((label, place.image, own.image))
    tree.found[place.image] = _found(tree, label, place.image, document)


def _take_imageless(tree: _Tree, label: str, document: LabelmeFile) -> None:
    """Take in a label file without its image: where no image is there at all, labels are read without.

    Raises:
        ToolkitError: others are there; or its size is not known.
    """
    name = plain_name(document.image) or f"{PurePosixPath(label).stem}.png"
    remedy = "put it there, or correct imagePath"
    if document.embedded:
        remedy = f"{extraction(tree.root)} writes what imageData holds beside it"
    if tree.names.images and not tree.ours:
        alike = tree.names.alike(document.image)
        found = f"{len(alike)} files of that name are there: {', '.join(alike[:3])}"
        told = found if alike else f"looked below {tree.root}"
        raise ToolkitError(document.path, f"no image {name} ({told})", remedy)
    size = document.size or embedded_size(document)
    if size is None:
        raise ToolkitError(document.path, f"no image {name}, and no imageWidth and imageHeight", remedy)
    tree.seen.lost += 1
    tree.seen.embedded += bool(document.embedded)
    image = posixpath.join(posixpath.dirname(label), posixpath.basename(name))
    if image in tree.found:
        image = posixpath.join(posixpath.dirname(label), f"{PurePosixPath(label).stem}{PurePosixPath(name).suffix}")
    tree.claims.setdefault(image, []).append(label)
    tree.found[image] = _found(tree, label, image, document, size)


def _remark(seen: Seen, label: str, document: LabelmeFile, place: Found) -> None:
    """Keep what a user should know of how an image was found."""
    if place.way == "stem" and document.image:
        seen.renamed.append(f"{label} (imagePath {document.image})")
    elif place.way == "name" and plain_name(document.image) != document.image:
        seen.moved.append(f"{label} (imagePath {document.image})")


def _found(
    tree: _Tree, label: str, image: str, document: LabelmeFile, size: tuple[int, int] | None = None
) -> FoundImage:
    """An image with its labels."""
    classes = classes_of(document.shapes)
    told = [shape.label for shape in document.shapes]
    kind: LabelKind = "boxes" if classes and all_boxes(document.shapes) else "masks"
    flags = [name for name in document.flags if not is_good_word(name)]
    tree.seen.ignored += told.count(IGNORE)
    tree.seen.background += told.count(BACKGROUND)
    if not classes and IGNORE in told:
        kind = "unlabelled"
        tree.seen.only_ignored.append(image)
    elif not classes and flags and tree.reading.without_label != "good":
        kind = "unlabelled"
        tree.seen.flagged.append(f"{label} ({', '.join(flags)})")
    stem = PurePosixPath(image).stem if tree.ours else image.rpartition(".")[0]
    size = size or document.size
    return FoundImage(_subset(image, label), stem, tree.root / image, str(document.path), classes, size, kind)


def _subset(image: str, label: str) -> str:
    """Subset of an image, by the folders that it or its label lies in; train where none tells."""
    folders: Iterable[str] = [
        part for path in (image, label) for part in reversed(posixpath.dirname(path).split("/")) if part
    ]
    return next((subset for part in folders if (subset := subset_of_name(part))), "train")


def _refuse_shared(tree: _Tree) -> None:
    """A problem for each image that several files are of; nobody knows which is right."""
    for image, labels in tree.claims.items():
        if len(labels) > 1:
            what = f"is of the image {image}, as {labels[0]} is"
            remedy = "remove one of the two, or correct its imagePath"
            tree.problems += [Problem(str(tree.root / label), what, remedy) for label in labels[1:]]
            del tree.found[image]
            tree.faulty.add(image)


def _refuse_crossed(tree: _Tree) -> None:
    """A problem for each file whose own image has no other: it was renamed, or copied, and nobody knows of which it is.

    LabelMe itself opens the image that `imagePath` names, which counts where the other one has a file of its own.
    """
    for label, image, own in tree.crossed:
        if own in tree.claims:
            tree.seen.crossed.append(f"{label} (imagePath {image})")
            continue
        what = f"is of {own} by its name, and of {image} by its imagePath"
        tree.problems.append(Problem(str(tree.root / label), what, "correct imagePath, or rename the file"))
        tree.found.pop(image, None)
        tree.faulty |= {image, own}


def _take_unlabelled(tree: _Tree) -> None:
    """Take in the images that no file is of: good where the user says so, or their folder; else unlabelled."""
    for image in tree.names.images:
        if image in tree.found or image in tree.faulty:
            continue
        told = tree.reading.without_label
        by_folder = told is None and any(map(is_good_word, posixpath.dirname(image).split("/")))
        kind: LabelKind = "good" if told == "good" or by_folder else "unlabelled"
        count = tree.seen.unlabelled if kind == "unlabelled" else tree.seen.good_folders if by_folder else []
        count.append(image)
        stem = PurePosixPath(image).stem if tree.ours else image.rpartition(".")[0]
        tree.found[image] = FoundImage(_subset(image, image), stem, tree.root / image, None, (), None, kind)
