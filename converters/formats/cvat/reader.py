"""Indexing CVAT's trees, ours and others', or one file of them. Shapes are kept as text until an image is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from converters.formats.base import Reading
from converters.formats.cvat.document import AREAS, CvatFile, CvatImage, Shape, read_cvat
from converters.formats.cvat.files import cvat_files
from converters.formats.cvat.images import TreeImages, subset_of
from converters.formats.cvat.notes import Seen, notes_of
from converters.formats.cvat.shapes import is_upright, load_cvat
from converters.formats.image_files import ImageFinder
from converters.formats.label_tree import FoundImage, LabelTree, make_records, subset_of_name
from converters.formats.registry import read_manifest
from toolkit.dataset.samples import LabelKind, is_good_word
from toolkit.errors import Problem, ToolkitError

__all__ = ["index_cvat"]


@dataclass(eq=False)
class _Tree:
    """A tree that is being indexed: where its images are, how it is read, and what was found in it.

    `known`: the classes that the manifest of a tree of ours names; None for trees of others.
    """

    images: TreeImages
    reading: Reading
    known: frozenset[str] | None
    seen: Seen = field(default_factory=Seen)
    found: list[FoundImage] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def index_cvat(root: Path, reading: Reading) -> LabelTree:
    """Index a folder of CVAT's files and images, or one file. What is wrong with an image is a problem of the tree.

    Raises:
        ToolkitError: a file is no XML, or of a video.
    """
    paths, others = cvat_files(root)
    home = root if root.is_dir() else root.parent
    if root.is_file() and home.name.casefold() == "annotations":
        home = home.parent
    manifest = read_manifest(root) if root.is_dir() else None
    ours = manifest is not None
    known = frozenset(manifest["classes"]) if manifest else None
    tree = _Tree(TreeImages(ImageFinder(home), ours), reading, known)
    tree.seen.files = [path.relative_to(home).as_posix() for path in others]
    labels: dict[str, None] = {}
    for path in paths:
        file = read_cvat(path)
        tree.problems += file.problems
        labels |= dict.fromkeys(file.labels)
        for name in file.withheld:
            tree.images.withhold(path, name)
        _take_in(tree, file)
    tree.found = list(_by_shapes(tree))
    if not ours:
        _take_unlisted(tree, whole=root.is_dir())
        tree.problems += _nothing_marked(root, tree)
    names = list(manifest["classes"]) if manifest else _names(list(labels), tree)
    return LabelTree(
        root,
        "cvat",
        names,
        make_records(tree.found, load_cvat, dict(enumerate(names)), ours=ours),
        manifest=manifest,
        layout_problems=tree.problems,
        notes=() if ours else notes_of(tree.seen, home, tree.images, reading),
        reading=reading,
    )


def _take_in(tree: _Tree, file: CvatFile) -> None:
    """The images of a file."""
    for image in file.images:
        try:
            place = tree.images.claim(file.path, image)
            kind, classes = _kind(tree, file.path, image)
            unknown = [label for label in classes if tree.known is not None and label not in tree.known]
            if unknown:
                problem = f"shows the class {unknown[0]!r:.60}, which the manifest does not name"
                raise ToolkitError(f"{file.path}: {image.name}", problem, "convert again")
        except ToolkitError as error:
            tree.problems += error.problems
            continue
        home = tree.images.finder.root
        stem = place.stem if tree.images.ours else place.relative_to(home).with_suffix("").as_posix()
        payload = (file.path, image.shapes)
        tree.found.append(FoundImage(subset_of(file.path, image), stem, place, payload, classes, image.size, kind))


def _by_shapes(tree: _Tree) -> Iterator[FoundImage]:
    """The images; where some have shapes, those that have tags alone are none of a class: a tag may say anything."""
    tree.seen.by_shapes = any(one.kind in ("masks", "boxes") for one in tree.found)
    kind: LabelKind = "good" if tree.reading.without_label == "good" else "unlabelled"
    for one in tree.found:
        yield replace(one, classes=(), kind=kind) if tree.seen.by_shapes and one.kind == "class" else one


def _kind(tree: _Tree, path: Path, image: CvatImage) -> tuple[LabelKind, tuple[str, ...]]:
    """What the labels of an image consist of, and the classes in them.

    Raises:
        ToolkitError: it is tagged as good, and shows something.
    """
    seen = tree.seen
    areas = [shape for shape in image.shapes if shape.kind in AREAS]
    others = [shape for shape in image.shapes if shape.kind not in AREAS]
    defects = tuple(tag for tag in image.tags if not is_good_word(tag))
    seen.others.update(shape.kind for shape in others)
    if areas:
        if good := [tag for tag in image.tags if is_good_word(tag)]:
            problem = f"is tagged {good[0]!r}, and has {len(areas)} shape(s)"
            raise ToolkitError(f"{path}: {image.name}", problem, "remove the tag, or the shapes")
        _count(seen, image, areas)
        return "boxes" if all(map(is_upright, areas)) else "masks", tuple(shape.label for shape in areas)
    if defects:
        seen.tagged.append(f"{image.name} ({', '.join(defects)})")
        return "class", defects
    if others:
        seen.without_area.append(image.name)
        return "unlabelled", ()
    if image.tags:
        return "good", ()
    seen.empty.append(image.name)
    return "unlabelled" if tree.reading.without_label == "unlabelled" and not tree.images.ours else "good", ()


def _count(seen: Seen, image: CvatImage, areas: Sequence[Shape]) -> None:
    """Count what is to be said of the shapes of an image."""
    seen.tags_beside += len(image.tags)
    seen.turned += sum(shape.kind == "box" and not is_upright(shape) for shape in areas)
    groups = Counter((shape.label, shape.group) for shape in areas if shape.group)
    seen.joined += sum(count > 1 for count in groups.values())
    labels: dict[int, set[str]] = {}
    for label, group in groups:
        labels.setdefault(group, set()).add(label)
    seen.mixed += sum(len(told) > 1 for told in labels.values())


def _take_unlisted(tree: _Tree, *, whole: bool) -> None:
    """Images that no file lists: of a folder they are without a label, beside one file they are passed over."""
    home = tree.images.finder.root
    unlisted = [] if tree.images.finder.empty else tree.images.unlisted()
    for image in unlisted:
        name = image.relative_to(home).as_posix()
        tree.seen.unlisted.append(name)
        if whole:
            kind: LabelKind = "good" if tree.reading.without_label == "good" else "unlabelled"
            subset = next(_subsets(name), "train")
            tree.found.append(FoundImage(subset, name.rpartition(".")[0], image, None, (), None, kind))
    tree.seen.passed_over = not whole


def _subsets(name: str) -> Iterator[str]:
    folders = reversed(name.split("/")[:-1])
    return (subset for folder in folders if (subset := subset_of_name(folder)) is not None)


def _nothing_marked(root: Path, tree: _Tree) -> list[Problem]:
    """A problem where no image of a tree has a shape or a tag: nothing found is never nothing there."""
    if any(one.classes for one in tree.found) or tree.problems or not tree.found:
        return []
    what = "no image has a shape with an area, or a tag" if tree.seen.others else "no image has a shape or a tag"
    return [Problem(str(root), what, "name the folder of the annotations that belong to these images")]


def _names(declared: list[str], tree: _Tree) -> list[str]:
    """The classes: as they are declared, without tags for good images; then others that occur."""
    used = {label for one in tree.found for label in one.classes}
    names = [name for name in declared if name in used or not is_good_word(name)]
    tree.seen.undeclared = sorted(used - set(declared)) if declared else []
    tree.seen.unused = [name for name in names if name not in used]
    return names + sorted(used - set(names))
