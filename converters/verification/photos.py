"""The image files of a label tree: whether each is there, and is the one that its source has."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from converters.formats.label_tree import LabelRecord, LabelTree
from converters.sources import Member
from toolkit.errors import ToolkitError
from toolkit.imaging.copies import is_copy
from toolkit.imaging.images import read_header

__all__ = ["Photo", "PhotoTally", "check_photo", "expects_photos", "photo_faults"]

_BLOCK = 1 << 20
_NAMED = 5


class Photo(NamedTuple):
    """What was found of one image file.

    Attributes:
        path: where it should be.
        missing: whether it is not there.
        elsewhere: whether the source has it.
        fault: what is wrong with one that is there; "" for nothing.
    """

    path: Path
    missing: bool
    elsewhere: bool
    fault: str = ""


def expects_photos(tree: LabelTree) -> bool:
    """Whether a tree should hold the image files: all do but those that were written without."""
    return tree.manifest is None or tree.manifest["options"]["images"] != "none"


def check_photo(record: LabelRecord, member: Member | None) -> Photo:
    """Look for the image file of a record, and hold it against that of its source, if there is one.

    A file that is the source's own (a link to it) is not read; others must have the same bytes, or show the same pixels
    as a source that is turned or of more than 8 bits. Without a source the file must be readable, and of the size that
    its label says.
    """
    path = record.sample.image
    other = member.sample.image if member is not None else None
    if other is not None and not (other.name and other.is_file()):
        other = None
    if not path.name or not path.is_file():
        return Photo(path, True, other is not None)
    try:
        fault = _difference(path, other) if other is not None else _fault_of(path, record)
        if fault and other is not None and is_copy(path, other):
            fault = ""
    except OSError as error:
        fault = f"{path}: cannot be compared with its source ({error.strerror or error})"
    except ToolkitError as error:
        fault = error.with_flags
    return Photo(path, False, other is not None, fault)


def _fault_of(path: Path, record: LabelRecord) -> str:
    """What is wrong with an image whose source is not at hand.

    Raises:
        ToolkitError: it cannot be read.
    """
    header = read_header(path)
    if record.size in (None, (header.width, header.height)):
        return ""
    width, height = record.image_size()
    return f"{path}: is {header.width} x {header.height} pixels, labelled as {width} x {height}"


def _difference(path: Path, other: Path) -> str:
    """How the bytes of two files differ; "" if they do not. Two names of one file are not read."""
    here, there = os.stat(path), os.stat(other)
    if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
        return ""
    if here.st_size != there.st_size:
        return f"{path}: holds {here.st_size} bytes, the image of the source {there.st_size} ({other})"
    with open(path, "rb") as one, open(other, "rb") as two:
        while block := one.read(_BLOCK):
            if block != two.read(_BLOCK):
                return f"{path}: is not the image of the source: other bytes than {other}"
    return ""


@dataclass(eq=False)
class PhotoTally:
    """What was found of the image files of a tree.

    Attributes:
        count: files that were looked for.
        missing: those that are not there.
        first: where the first few of these should be.
        elsewhere: whether the source has all that are missing.
        faults: what is wrong with those that are there.
    """

    count: int = 0
    missing: int = 0
    first: list[Path] = field(default_factory=list)
    elsewhere: bool = True
    faults: list[str] = field(default_factory=list)

    def add(self, photo: Photo) -> None:
        """Count one."""
        self.count += 1
        if photo.fault:
            self.faults.append(photo.fault)
        if photo.missing:
            self.missing += 1
            self.elsewhere &= photo.elsewhere
            self.first += [photo.path] if len(self.first) < _NAMED else []


def photo_faults(tree: LabelTree, photos: PhotoTally) -> tuple[list[str], str]:
    """What is wrong with the image files of a tree, and a note on those that nobody expected; "" for none."""
    if not photos.missing:
        return photos.faults, ""
    if photos.missing == photos.count and (note := _excused(tree, elsewhere=photos.elsewhere)):
        return photos.faults, note
    root = tree.root if tree.root.is_dir() else tree.root.parent
    names = [os.path.relpath(path, root) for path in photos.first]
    shown = ", ".join(names) + (", ..." if photos.missing > _NAMED else "")
    told = f"{tree.root}: {photos.missing} of its {photos.count} image files are missing: {shown}"
    return [told, *photos.faults], ""


def _excused(tree: LabelTree, *, elsewhere: bool) -> str:
    """Why a tree may be without any image; "" if it may not."""
    if tree.manifest is not None:
        put = tree.manifest.get("images", {}).get("count")
        return f"{tree.root}: its source had no image files when it was converted, and it has none" if put == 0 else ""
    return f"{tree.root}: has no image files; those of the source were not looked at" if elsewhere else ""
