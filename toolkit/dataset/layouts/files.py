"""Which files lie below a root: looked at once, by names alone."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from toolkit.dataset.foreign import label_like, shown_labels
from toolkit.errors import Problem
from toolkit.files.reach import JUNK
from toolkit.imaging.images import is_image, is_unread_picture

__all__ = ["FileList", "hidden_notes", "is_text", "list_files", "unread_notes", "unread_pictures"]

_SHOWN = 3
_MOST = 10_000  # files of a folder that nobody looks into
_OURS = ".defectkit-"  # stands in the names of hidden files of our own
_LEFT_BEHIND = frozenset({"Thumbs.db", "desktop.ini", "Desktop.ini"})
_ABOUT = re.compile(r"(?i)(licen[cs]e|readme|citation|copying|changelog|version)\b")
"""Names of files that speak of a dataset and not of its images."""


@dataclass(frozen=True, eq=False)
class FileList:
    """What lies below a root.

    Attributes:
        root: the folder.
        images: image files, as paths below the root with '/' between the parts, sorted.
        others: all other files, likewise.
        passed_over: folders that were not looked into: hidden ones and what operating systems leave behind.
        problems: names that labels cannot be written for, and pictures of kinds that are not read.
        hidden: files whose names begin with a dot, and what operating systems leave behind.
        empty: folders that hold nothing.
    """

    root: Path
    images: tuple[str, ...]
    others: tuple[str, ...]
    passed_over: tuple[str, ...]
    problems: tuple[Problem, ...]
    hidden: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()

    @cached_property
    def folders(self) -> frozenset[str]:
        """Folders that hold images."""
        return frozenset(path.rpartition("/")[0] for path in self.images)


def list_files(root: Path) -> FileList:
    """Walk a root. Hidden files and folders are passed over; links to folders are followed, but not in circles."""
    images: list[str] = []
    others: list[str] = []
    hidden: list[str] = []
    empty: list[str] = []
    passed_over: list[str] = []
    problems: list[Problem] = []
    waiting: list[tuple[str, tuple[str, ...]]] = [("", (os.path.realpath(root),))]
    while waiting:
        inner, above = waiting.pop()
        entry = None
        with os.scandir(root / inner if inner else root) as entries:
            for entry in entries:
                path = f"{inner}/{entry.name}" if inner else entry.name
                if entry.is_dir():
                    real = os.path.realpath(entry.path) if entry.is_symlink() else f"{above[-1]}{os.sep}{entry.name}"
                    if entry.name.startswith(".") or entry.name in JUNK or real in above:
                        passed_over.append(path)
                    else:
                        waiting.append((path, (*above, real)))
                elif is_image(entry.name):
                    images.append(path)
                elif _OURS not in entry.name:
                    (hidden if entry.name.startswith(".") or entry.name in _LEFT_BEHIND else others).append(path)
        if entry is None:
            empty.append(inner)
    for path in images:
        if not path.isascii() and not is_text(path):
            what = "its name is not UTF-8, which labels are written in"
            problems.append(Problem(str(root / path), what, "rename it"))
    images = sorted(path for path in images if path.isascii() or is_text(path))
    problems += unread_pictures(root, others)
    lists = (tuple(sorted(found)) for found in (hidden, empty))
    return FileList(root, tuple(images), tuple(sorted(others)), tuple(sorted(passed_over)), tuple(problems), *lists)


def hidden_notes(files: FileList) -> list[str]:
    """What to say of files and folders that were not looked at: hidden ones, and what systems leave behind."""
    notes = []
    if files.hidden:
        shown = ", ".join(files.hidden[:_SHOWN])
        notes.append(f"{len(files.hidden)} hidden file(s) are passed over, for instance {shown}")
    if files.passed_over:
        shown = ", ".join(files.passed_over[:_SHOWN]) + (", ..." if len(files.passed_over) > _SHOWN else "")
        inside = sum(_images_in(files.root / path) for path in files.passed_over)
        lost = f"; {inside} image file(s) are in them" if inside else ""
        notes.append(f"{len(files.passed_over)} folder(s) were not looked into: {shown}{lost}")
    return notes


def unread_notes(files: FileList, known: Callable[[str], bool] = lambda path: False) -> list[str]:
    """What to say of files that are no images and that nothing reads, and of folders that hold nothing.

    Args:
        files: what lies below the root.
        known: whether a file belongs to the layout.
    """
    left = [path for path in files.others if not _ABOUT.match(path.rpartition("/")[2]) and not known(path)]
    labels = label_like(files.images, left, ())
    notes = [f"not read beside the images: {shown_labels(files.root, labels)}"] if labels else []
    left = sorted({*left} - {*labels})
    if left:
        shown = ", ".join(left[:_SHOWN]) + (", ..." if len(left) > _SHOWN else "")
        notes.append(f"{len(left)} other file(s) are not read: {shown}")
    if files.empty:
        shown = ", ".join(files.empty[:_SHOWN]) + (", ..." if len(files.empty) > _SHOWN else "")
        notes.append(f"{len(files.empty)} folder(s) hold nothing: {shown}")
    return notes


def _images_in(folder: Path) -> int:
    """How many image files lie below a folder, of the first that there are."""
    names = (name for _, _, files in os.walk(folder) for name in files)
    return sum(is_image(name) for name in islice(names, _MOST))


def unread_pictures(root: Path, others: Iterable[str]) -> Iterator[Problem]:
    """What is wrong with files that are pictures of kinds that are not read: one line for all of them."""
    left = sorted(path for path in others if is_unread_picture(path.rpartition("/")[2]))
    if left:
        shown = ", ".join(left[:_SHOWN]) + (", ..." if len(left) > _SHOWN else "")
        what = f"{len(left)} picture file(s) of a kind that is not read: {shown}"
        yield Problem(str(root), what, "save them as PNG, or take them out")


def is_text(name: str) -> bool:
    """Whether a name is UTF-8, which labels are written in; on POSIX it may be any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
