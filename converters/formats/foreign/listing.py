"""A tree of another tool while it is indexed: which label is of which image, and what there is to say of it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from converters.formats.base import Reading
from converters.formats.image_files import names_of, plain_name
from converters.formats.label_tree import FoundImage, subset_of_name
from converters.formats.labelme.images import ImageNames
from toolkit.dataset.layouts.files import FileList, list_files
from toolkit.dataset.samples import LabelKind, is_good_word
from toolkit.errors import Problem, ToolkitError

__all__ = ["Labels", "Listing", "few", "subset_of_folders"]

_SHOWN = 3


def few(things: Sequence[str]) -> str:
    """The first of some things."""
    return ", ".join(things[:_SHOWN]) + (", ..." if len(things) > _SHOWN else "")


def subset_of_folders(*paths: str) -> str | None:
    """The subset that the folders of some files speak of, the first file and its innermost folder before the others."""
    folders = (part for path in paths for part in reversed(posixpath.dirname(path).split("/")) if part)
    return next((subset for part in folders if (subset := subset_of_name(part))), None)


@dataclass(frozen=True)
class Labels:
    """What a label file says of an image.

    Attributes:
        label: the file, as a path below the root, and the place in it.
        payload: what loads its objects, as in `LabelRecord`: the path of the file, or this and what stands in it.
        classes: those of its objects, or that of the image.
        kind: what they consist of.
        subset: "" for that of the folders.
        size: width and height where they are told.
        says: what is the same in two files that say the same; None where nobody knows.
    """

    label: str
    payload: Any
    classes: tuple[str, ...]
    kind: LabelKind | None = None
    subset: str = ""
    size: tuple[int, int] | None = None
    says: Any = None


@dataclass(eq=False)
class Listing:
    """A tree that is being indexed; images are paths below `root`.

    Attributes:
        root: folder that holds all.
        files: what lies in it.
        reading: as the user has it.
        problems: what is wrong.
        remarks: what to say at the end -> the things that it is said of.
    """

    root: Path
    files: FileList
    reading: Reading
    problems: list[Problem] = field(default_factory=list)
    remarks: dict[str, list[str]] = field(default_factory=dict)
    _names: ImageNames = field(init=False)
    _taken: dict[str, Labels] = field(default_factory=dict)
    _faulty: set[str] = field(default_factory=set)
    _lost: int = 0

    def __post_init__(self) -> None:
        self._names = ImageNames(self.files.images)

    @classmethod
    def of(cls, root: Path, reading: Reading) -> Listing:
        """The files of a folder, none of them read."""
        files = list_files(root)
        return cls(root, files, reading, list(files.problems))

    def remark(self, what: str, thing: str) -> None:
        """Keep what is to be said of a thing: `what` holds {} where the number of things is to stand."""
        self.remarks.setdefault(what, []).append(thing)

    def notes(self) -> list[str]:
        """All that was remarked."""
        lost = f"no image was found below {self.root}: the labels of {self._lost} images are read without them"
        once = {what: list(dict.fromkeys(things)) for what, things in self.remarks.items()}
        told = [f"{what.format(len(self.remarks[what]))}: {few(things)}" for what, things in once.items()]
        return [*([lost] if self._lost else []), *told]

    def image_of(self, folder: str, told: str) -> str | None:
        """The image that a label file names: beside it or where one image has the name; None where there is none.

        Args:
            folder: that of the file, or where its names lead from.
            told: the name, with or without folders; what would lead out of the root is not followed.
        """
        names = [told, *(names_of(told) if "://" in told else ())]
        found = next((place for name in names if (place := self._names.named(folder, name)) is not None), None)
        if found is not None and found.way == "name" and ("/" in told or "\\" in told):
            self.remark("{} name(s) lead elsewhere; images of their bare names are taken", told)
        return found.image if found is not None else None

    def beside(self, folder: str, name: str) -> str | None:
        """The image of this name in a folder, or the only one that is so called but for its ending."""
        return self._names.beside(folder, name)

    def alike(self, told: str) -> list[str]:
        """Images of the bare name of a path."""
        return self._names.alike(told)

    def withhold(self, error: ToolkitError, image: str | None = None) -> None:
        """Keep what is wrong with a label; its image is neither labelled nor without a label."""
        self.problems += error.problems
        self._faulty |= {image} if image is not None else set()

    def take(self, labels: Labels, image: str | None, told: str, where: str) -> None:
        """Keep the labels of an image.

        Args:
            labels: of it.
            image: None where it was not found; then they are read without it, if no image is there at all.
            told: its name as the label file has it.
            where: in what folders it was looked for.
        """
        place = str(self.root / labels.label)
        if image is None:
            image = plain_name(names_of(told)[0] if "://" in told else told)
            if self.files.images or labels.size is None or not image:
                alike = self.alike(told) if image else []
                seen = f"{len(alike)} files of that name are there: {few(alike)}" if alike else f"looked {where}"
                problem = f"no image {told} ({seen})" if image else f"names the image {told!r}, which is no name"
                self.problems.append(Problem(place, problem, "put it there, or correct its name"))
                return
            self._lost += image not in self._taken
        other = self._taken.setdefault(image, labels)
        if other is labels or image in self._faulty:
            for name in dict.fromkeys(labels.classes) if labels.kind != "class" else ():
                if is_good_word(name):
                    self.remark("{} image(s) have objects of a class that is called as good images are", name)
            return
        if labels.says is not None and labels.says == other.says:
            self.remark("{} file(s) say of an image what another one says, and are passed over", labels.label)
            return
        self.problems.append(
            Problem(place, f"is of the image {image}, as {other.label} is", "remove one of the two, or make them equal")
        )
        self._faulty.add(image)

    def found(self, remark: str, home: str = "", *, whole: bool = True) -> list[FoundImage]:
        """The images of the tree, sorted.

        Args:
            remark: what to say of images that no label is of, with {} for their number.
            home: folder, at whatever depth, outside of which pictures that no label is of are no images.
            whole: whether the root is a tree, and not the folder of the one file that is read.
        """
        bare = [image for image in self.files.images if image not in self._taken and image not in self._faulty]
        outside = [image for image in bare if home and home not in image.split("/")[:-1]]
        for image in outside:
            self.remark(f"{{}} picture(s) outside of {home} are not read", image)
        if not whole:
            for image in sorted({*bare} - {*outside}):
                self.remark("{} image(s) that the file does not list are not read", image)
            outside = bare
        return [
            *(self._labelled(image, labels) for image, labels in sorted(self.labels.items())),
            *(self._unlabelled(image, remark) for image in sorted({*bare} - {*outside})),
        ]

    def _labelled(self, image: str, labels: Labels) -> FoundImage:
        subset = labels.subset or subset_of_folders(image, labels.label) or "train"
        stem, payload = image.rpartition(".")[0] or image, labels.payload
        return FoundImage(subset, stem, self.root / image, payload, labels.classes, labels.size, labels.kind)

    def _unlabelled(self, image: str, remark: str) -> FoundImage:
        told = self.reading.without_label
        by_folder = told is None and any(map(is_good_word, posixpath.dirname(image).split("/")))
        kind: LabelKind = "good" if told == "good" or by_folder else "unlabelled"
        if by_folder:
            self.remark("{} image(s) without a label are good, as their folders are called", image)
        elif kind == "unlabelled":
            self.remark(remark, image)
        subset = subset_of_folders(image) or "train"
        return FoundImage(subset, image.rpartition(".")[0], self.root / image, None, (), None, kind)

    @property
    def classes(self) -> list[str]:
        """Classes of the images that were taken, sorted."""
        return sorted({name for one in self.labels.values() for name in one.classes})

    @property
    def labels(self) -> Mapping[str, Labels]:
        """What was taken, by image; without images of which two files tell different things."""
        return {image: one for image, one in self._taken.items() if image not in self._faulty}

    def nothing_marked(self, root: Path, problem: str, remedy: str) -> None:
        """Make it a problem if no label names a class: nothing found is never nothing there."""
        if self._taken and not self.problems and not any(one.classes for one in self._taken.values()):
            self.problems.append(Problem(str(root), problem, remedy))

    def unread(self, known: Iterable[str]) -> None:
        """Remark which files of those that may be labels were not read."""
        known = {*known}
        for path in self.files.others:
            if path.lower().endswith((".json", ".csv")) and path not in known:
                self.remark("{} file(s) of another kind are not read", path)
