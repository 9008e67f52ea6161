"""What there is to say of a LabelMe tree that is no fault, and the names of its classes."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from converters.formats.labelme.document import BACKGROUND, IGNORE
from converters.formats.labelme.embedded import extraction
from toolkit.errors import ToolkitError
from toolkit.files.typed import read_text

__all__ = ["Seen", "class_names", "counted", "notes_of"]

_LISTED = 3


@dataclass(eq=False)
class Seen:
    """What was seen while a tree was indexed; lists hold paths below the root.

    Attributes:
        strange: JSON files of another kind.
        exports: folders that LabelMe exported.
        moved: files whose image is not where `imagePath` says, and has its name.
        renamed: files whose image is called like them, since none is called as `imagePath` says.
        crossed: files that name another image than the one that is called like them, which is there as well.
        unlabelled: images that no file is of.
        good_folders: those of them that lie in folders of good images.
        only_ignored: images that show nothing but what is to be ignored.
        flagged: files without shapes whose image has a flag.
        ignored, background: shapes drawn as one of these.
        lost, embedded: files read without their image; those of them that hold it.
        names: what to say of a list of class names.
    """

    strange: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)
    crossed: list[str] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)
    good_folders: list[str] = field(default_factory=list)
    only_ignored: list[str] = field(default_factory=list)
    flagged: list[str] = field(default_factory=list)
    ignored: int = 0
    background: int = 0
    lost: int = 0
    embedded: int = 0
    names: list[str] = field(default_factory=list)


def notes_of(seen: Seen, root: Path, *, ours: bool) -> list[str]:
    """What a user should know of a tree."""
    return [*_of_images(seen, root, ours=ours), *_of_labels(seen), *seen.names]


def _of_images(seen: Seen, root: Path, *, ours: bool) -> Iterator[str]:
    if seen.unlabelled:
        rest = "unlabelled: --without-label good takes them for good"
        yield f"{counted(seen.unlabelled, 'image')} without a LabelMe file: {_few(seen.unlabelled)}: {rest}"
    if seen.good_folders:
        yield f"{counted(seen.good_folders, 'image')} without a LabelMe file are good, as their folders are called"
    if seen.lost and not ours:
        yield f"no image was found below {root}: the labels of {seen.lost} images are read without them"
    if seen.embedded:
        yield f"{seen.embedded} of them stand in the files themselves (imageData): {extraction(root)} writes them out"
    if seen.moved:
        what = "leads elsewhere; images of its name are taken"
        yield f"imagePath of {counted(seen.moved, 'file')} {what}: {_few(seen.moved)}"
    if seen.renamed:
        what = "names no image that is there; those of the files' own names are taken"
        yield f"imagePath of {counted(seen.renamed, 'file')} {what}: {_few(seen.renamed)}"
    if seen.crossed:
        what = "names another image than that of the file's own name, and counts, as in LabelMe"
        yield f"imagePath of {counted(seen.crossed, 'file')} {what}: {_few(seen.crossed)}"
    if seen.exports:
        yield f"{counted(seen.exports, 'folder')} that LabelMe exported are not read: {_few(seen.exports)}"


def _of_labels(seen: Seen) -> Iterator[str]:
    if seen.strange:
        yield f"{counted(seen.strange, 'JSON file')} of another kind are not read: {_few(seen.strange)}"
    if seen.flagged:
        what = "have no shape, and flags that may name a defect"
        rest = "unlabelled: --without-label good takes them for good"
        yield f"{counted(seen.flagged, 'file')} {what}: {_few(seen.flagged)}: {rest}"
    if seen.ignored:
        yield f"{seen.ignored} shape(s) drawn as {IGNORE} are left out"
    if seen.only_ignored:
        yield f"{counted(seen.only_ignored, 'image')} show nothing else, and are unlabelled: {_few(seen.only_ignored)}"
    if seen.background:
        yield f"{seen.background} shape(s) drawn as {BACKGROUND} are taken away from what is drawn before"


def counted(things: Sequence[str], what: str) -> str:
    """How many there are of what."""
    return f"{len(things)} {what}(s)"


def _few(things: Sequence[str]) -> str:
    return ", ".join(things[:_LISTED]) + (", ..." if len(things) > _LISTED else "")


def _numbered(used: set[str]) -> Iterator[str]:
    """What to say of classes that may be objects with numbers, which old versions of LabelMe told apart so."""
    stems = Counter(found[1] for name in used if (found := re.fullmatch(r"(.+)-\d+", name)))
    for stem, count in stems.items():
        if count > 1:
            yield f"{count} classes are called {stem} and a number: each is a class, and not an object of {stem}"


def class_names(root: Path, others: Iterable[str], used: set[str], seen: Seen) -> list[str]:
    """The classes of a tree: as LabelMe's labels.txt lists them where it lists all that are used, else sorted."""
    seen.names += _numbered(used)
    lists = [path for path in others if posixpath.basename(path).lower() == "labels.txt"]
    if len(lists) != 1:
        return sorted(used)
    try:
        lines = [line.strip() for line in read_text(root / lists[0], "").splitlines()]
    except ToolkitError:
        return sorted(used)
    listed = [name for name in dict.fromkeys(lines) if name and name not in (IGNORE, BACKGROUND)]
    if used - set(listed):
        seen.names.append(f"{lists[0]} does not list {', '.join(sorted(used - set(listed))[:_LISTED])}: it is not read")
        return sorted(used)
    if absent := [name for name in listed if name not in used]:
        seen.names.append(f"{lists[0]} lists {len(absent)} class(es) that occur nowhere: {_few(absent)}")
    return listed
