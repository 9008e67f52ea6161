"""Which files lie below a root: looked at once, by names alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from toolkit.errors import Problem
from toolkit.files.reach import JUNK
from toolkit.imaging.images import is_image, is_unread_picture

__all__ = ["FileList", "is_text", "list_files", "unread_pictures"]

_SHOWN = 3


@dataclass(frozen=True, eq=False)
class FileList:
    """What lies below a root.

    Attributes:
        root: the folder.
        images: image files, as paths below the root with '/' between the parts, sorted.
        others: all other files, likewise.
        passed_over: folders that were not looked into: hidden ones and what operating systems leave behind.
        problems: names that labels cannot be written for, and pictures of kinds that are not read.
    """

    root: Path
    images: tuple[str, ...]
    others: tuple[str, ...]
    passed_over: tuple[str, ...]
    problems: tuple[Problem, ...]

    @cached_property
    def folders(self) -> frozenset[str]:
        """Folders that hold images."""
        return frozenset(path.rpartition("/")[0] for path in self.images)


def list_files(root: Path) -> FileList:
    """Walk a root. Hidden files and folders are passed over; links to folders are followed, but not in circles."""
    images: list[str] = []
    others: list[str] = []
    passed_over: list[str] = []
    problems: list[Problem] = []
    waiting: list[tuple[str, tuple[str, ...]]] = [("", (os.path.realpath(root),))]
    while waiting:
        inner, above = waiting.pop()
        with os.scandir(root / inner if inner else root) as entries:
            for entry in entries:
                path = f"{inner}/{entry.name}" if inner else entry.name
                if entry.is_dir():
                    real = os.path.realpath(entry.path) if entry.is_symlink() else f"{above[-1]}{os.sep}{entry.name}"
                    if entry.name.startswith(".") or entry.name in JUNK or real in above:
                        passed_over.append(path)
                    else:
                        waiting.append((path, (*above, real)))
                elif not is_image(entry.name):
                    others.append(path)
                elif path.isascii() or is_text(path):
                    images.append(path)
                else:
                    what = "its name is not UTF-8, which labels are written in"
                    problems.append(Problem(str(root / path), what, "rename it"))
    problems += unread_pictures(root, others)
    return FileList(root, tuple(sorted(images)), tuple(sorted(others)), tuple(sorted(passed_over)), tuple(problems))


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
