"""A folder that holds the labels of two tools: those of one are read, and what the others mark would be background.

A file that another format knows is opened only where it may be of the images that lie there. Where the labels that are
read say nothing of an image and another file marks something in it, neither is taken for the truth; where both say
something, the labels that are read stand, and a note names the others.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

from converters.formats.base import Reading
from converters.formats.format import Format
from converters.formats.label_tree import LabelRecord, LabelTree
from converters.formats.labelme.images import ImageNames
from converters.formats.registry import every_format, find_format
from toolkit.dataset.layouts.files import FileList
from toolkit.errors import ToolkitError

__all__ = ["check_other_labels"]

_SHARED = (".json", ".xml", ".csv")
_TRIED, _DEEP = 16, 3  # of such that are opened, those near the root first
_NOTED = 64  # files of images with labels that are opened to see whether they are labels too
_SHOWN = 3
_LONGEST = 1 << 26  # bytes of a damaged file in which names are looked for
_SAID = {"good": "background", "unlabelled": "unlabelled", "": "not there"}
_Silent = Mapping[str, str]
"""Images of which labels say nothing, as paths below a root -> what they are taken for, a key of `_SAID`."""


class _Other(NamedTuple):
    """A file of another format that marks something, and the image; paths are below the root."""

    label: str
    kind: str
    image: str


@dataclass(frozen=True)
class _Place:
    """What lies below a root, our own trees aside.

    Attributes:
        tree: the labels that are read.
        names: the images.
        others: all other files.
        further: the formats of other families than that of the tree.
    """

    tree: LabelTree
    names: ImageNames
    others: Sequence[str]
    further: Sequence[Format]

    def image_of(self, label: str, ending: str) -> str | None:
        """The image that a file is called like; None where there is none, or the file ends otherwise."""
        if not label.lower().endswith(ending):
            return None
        found = self.names.of(label, "") or self.names.of(label, PurePosixPath(label).stem)  # a.json, a.jpg.json
        return found.image if found is not None else None


def check_other_labels(tree: LabelTree, files: FileList) -> None:
    """Refuse a tree of another tool where labels of a further one mark what its own say nothing of; else note these.

    Args:
        tree: the labels that are read.
        files: what lies below its root.

    Raises:
        ToolkitError: an image is background or unlabelled in the tree, or not in it, and another file marks something.
    """
    family = find_format(tree.kind).family
    further = [found for found in every_format() if found.family != family]
    endings = tuple(found.sidecar for found in further if found.sidecar)
    others = [path for path in files.others if _may_be_shared(path) or path.lower().endswith(endings)]
    ours = [posixpath.dirname(path) for path in files.others if posixpath.basename(path) == "manifest.json"]
    if inner := tuple(f"{folder}/" for folder in ours if folder):
        others = [path for path in others if not path.startswith(inner)]
    images = [path for path in files.images if not inner or not path.startswith(inner)]
    if not others or not images:
        return
    place = _Place(tree, ImageNames(images), others, further)
    silent = _silent(tree, images)
    seen: dict[str, list[str]] = {}
    for other in (*_of_one_image(place, silent), *_of_many(place, silent)):
        seen.setdefault(other.kind, []).append(other.label)
    tree.notes += tuple(_note(kind, list(dict.fromkeys(labels))) for kind, labels in seen.items())


def _may_be_shared(path: str) -> bool:
    """Whether a file may hold the labels of many images: as storages of Label Studio are called, too."""
    return path.lower().endswith(_SHARED) or posixpath.basename(path).isdecimal()


def _silent(tree: LabelTree, images: Sequence[str]) -> _Silent:
    kinds = {os.path.normpath(record.sample.image): record.sample.kind for record in tree.records}
    told = {image: kinds.get(os.path.normpath(tree.root / image), "") for image in images}
    return {image: kind for image, kind in told.items() if kind is not None and kind in _SAID}


def _of_one_image(place: _Place, silent: _Silent) -> Iterator[_Other]:
    """Files of one image each that mark something.

    Raises:
        ToolkitError: one does in an image of which the labels that are read say nothing.
    """
    left = _NOTED
    for found in (one for one in place.further if one.sidecar):
        for label in place.others:
            image = place.image_of(label, found.sidecar)
            if image is None or (image not in silent and left <= 0):
                continue
            left -= image not in silent
            if found.marks(place.tree.root / label):
                other = _Other(label, found.name, image)
                if image in silent:
                    raise _two_tools(place.tree, other, silent[image])
                yield other


def _of_many(place: _Place, silent: _Silent) -> Iterator[_Other]:
    """Files of many images that mark something.

    Raises:
        ToolkitError: one does in an image of which the labels that are read say nothing.
    """
    near = (path for path in place.others if _may_be_shared(path) and path.count("/") < _DEEP)
    order = sorted(near, key=lambda path: (place.image_of(path, "") is not None, path.count("/"), path))
    for label in order[:_TRIED]:
        path = place.tree.root / label
        found = next((one for one in place.further if not one.sidecar and one.recognise_file(path)), None)
        if found is None:
            continue
        marked = _marked(place, found, label)
        for image in sorted(silent.keys() & marked):
            raise _two_tools(place.tree, _Other(label, found.name, image), silent[image])
        yield from (_Other(label, found.name, image) for image in sorted(marked)[:1])


def _marked(place: _Place, found: Format, label: str) -> set[str]:
    """The images in which a file marks something; those that it names, where it cannot be read."""
    path = place.tree.root / label
    real = {os.path.realpath(place.tree.root / image): image for image in place.names.images}
    try:
        records = found.index(path, Reading()).records
    except ToolkitError:
        with open(path, "rb") as file:
            data = file.read(_LONGEST)
        return {image for image in place.names.images if posixpath.basename(image).encode() in data}
    labelled = (one.sample.image for one in records if one.sample.kind not in ("good", "unlabelled"))
    return {image for one in labelled if (image := real.get(os.path.realpath(one))) is not None}


def _two_tools(tree: LabelTree, other: _Other, said: str) -> ToolkitError:
    own = next((path for one in tree.records if (path := _label_file(tree, one))), "")
    by = f" ({own})" if own else ""
    problem = f"has labels of two tools: {other.image} is {_SAID[said]} by {tree.kind}{by}, and {other.label}"
    ways = f"--layout {other.kind} takes those alone, --layout {tree.kind} these"
    remedy = f"move one of the two away, or give each a folder of its own with its images; {ways}"
    return ToolkitError(tree.root, f"{problem} ({other.kind}) marks something in it", remedy)


def _label_file(tree: LabelTree, record: LabelRecord) -> str:
    """The label file of an image with labels, as a path below the root; "" where it is not known."""
    if record.sample.kind in ("good", "unlabelled"):
        return ""
    first = record.payload[0] if isinstance(record.payload, tuple) and record.payload else record.payload
    path = first if isinstance(first, str) else getattr(first, "path", "")
    return os.path.relpath(path, tree.root) if isinstance(path, str) and path else ""


def _note(kind: str, labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:_SHOWN]) + (", ..." if len(labels) > _SHOWN else "")
    return f"labels of another tool ({kind}) are not read: {shown}; --layout {kind} takes those alone"
