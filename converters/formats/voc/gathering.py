"""The label files of a Pascal VOC tree, image by image, and what is to be said of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from converters.formats.image_files import plain_name
from converters.formats.label_tree import image_header
from converters.formats.voc.annotation import Annotation, read_annotation
from converters.formats.voc.places import TreeFiles, find_files, is_structural
from toolkit.errors import Problem, ToolkitError
from toolkit.files.xml_files import first_element
from toolkit.imaging.images import is_image

__all__ = ["Gathered", "ImageLabels", "gather"]

_SHOWN = 3


@dataclass(eq=False)
class ImageLabels:
    """The label files of one image, and what its XML file says."""

    image: Path
    there: bool
    xml: Path | None = None
    told: Annotation | None = None
    maps: dict[str, Path] = field(default_factory=dict)

    @property
    def first(self) -> Path:
        """One of the label files."""
        return self.xml or next(iter(self.maps.values()))

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height: what the XML file says, else the image file; None where neither tells."""
        if self.told is not None and self.told.size is not None:
            return self.told.size
        try:
            header = image_header(self.image) if self.there else None
        except ToolkitError:  # which is said where the image is read
            return None
        return (header.width, header.height) if header is not None else None


@dataclass(eq=False)
class Gathered:
    """What was found in a tree so far."""

    files: TreeFiles
    ours: bool
    labels: dict[Path, ImageLabels] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Path]] = field(default_factory=dict)
    _lost: dict[tuple[str, ...], Path] = field(default_factory=dict)

    def note(self, what: str, path: Path) -> None:
        """Count something that is to be told, with the first files of it."""
        self.counts[what] += 1
        named = self.examples.setdefault(what, [])
        if len(named) < _SHOWN:
            named.append(path)

    def of_image(self, label: Path, told: Annotation | None) -> ImageLabels | None:
        """The labels of the image that a label file is of; None where that is a problem."""
        image, why = self.files.image_of(label, told)
        if image is None and (self.ours or not self.files.images):
            return self._without_image(label, told)
        if image is None:
            remedy = "put its image into the tree, or remove it" if why.startswith("no") else "correct its names"
            self.problems.append(Problem(str(label), why, remedy))
            return None
        return self.labels.setdefault(image, ImageLabels(image, there=True))

    def _without_image(self, label: Path, told: Annotation | None) -> ImageLabels:
        """The labels of an image that is not there, while none is, or the manifest tells which are missing."""
        parts = [part for part in self.files.inner(label) if not is_structural(part)]
        name = plain_name(told.filename) if told is not None else ""
        ending = PurePosixPath(name).suffix if is_image(name) else ".png"
        place = self.files.root.joinpath("JPEGImages", *parts, label.stem + ending)
        image = self._lost.setdefault((*parts, label.stem), place)
        self.counts["lost"] += image not in self.labels
        return self.labels.setdefault(image, ImageLabels(image, there=False))


def gather(root: Path, *, ours: bool) -> Gathered:
    """Read every XML file of a tree, and find the images of these and of its label maps."""
    seen = Gathered(find_files(root), ours)
    _check_names(seen)
    _read_xmls(seen)
    _read_maps(seen)
    return seen


def _check_names(seen: Gathered) -> None:
    """A problem for each image whose name is bytes and no text: no label file could name it."""
    for image in list(seen.files.images):
        if not _is_text(image.relative_to(seen.files.root).as_posix()):
            seen.problems.append(Problem(str(image), "has a name that is no text in UTF-8", "rename it, and its label"))
            seen.files.images.remove(image)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_xmls(seen: Gathered) -> None:
    """Read every XML file, and find its image."""
    for path in seen.files.xmls:
        if first_element(path) not in ("annotation", None):
            seen.note("foreign", path)
            continue
        try:
            told = read_annotation(path)
        except ToolkitError as error:
            seen.problems += error.problems
            seen.labels.update(_withheld(seen, path))
            continue
        labels = seen.of_image(path, told)
        if labels is None:
            continue
        if labels.xml is not None:
            what = f"is of {labels.image.name}, as {labels.xml} is"
            seen.problems.append(Problem(str(path), what, "keep one of the two"))
            continue
        labels.xml, labels.told = path, told
        _remark(seen, labels, told)


def _withheld(seen: Gathered, path: Path) -> dict[Path, ImageLabels]:
    """The image of an annotation that cannot be read: it is not one without a label."""
    image, _ = seen.files.image_of(path, None)
    return {image: ImageLabels(image, there=True, xml=path)} if image is not None and image not in seen.labels else {}


def _remark(seen: Gathered, labels: ImageLabels, told: Annotation) -> None:
    """Count what is to be said of an annotation."""
    path = labels.first
    if told.size is None:
        seen.note("unsized", path)
    if told.outlines:
        seen.note("outlines", path)
    if told.filename and labels.there and path.stem == labels.image.stem and not _same_name(told, labels.image):
        seen.note("renamed", path)


def _same_name(told: Annotation, image: Path) -> bool:
    bare = told.filename.replace("\\", "/").rpartition("/")[2].lower()
    return bare in (image.name.lower(), image.stem.lower()) or Path(bare).stem == image.stem.lower()


def _read_maps(seen: Gathered) -> None:
    """Find the image of every label map."""
    for kind, paths in seen.files.maps.items():
        for path in paths:
            labels = seen.of_image(path, None)
            if labels is None:
                continue
            if kind in labels.maps:
                what = f"is of {labels.image.name}, as {labels.maps[kind]} is"
                seen.problems.append(Problem(str(path), what, "keep one of the two"))
                continue
            labels.maps[kind] = path
