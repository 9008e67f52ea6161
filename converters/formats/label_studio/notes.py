"""What there is to say of a Label Studio tree that is no fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Seen", "notes_of"]

_LISTED = 3
_AS_GOOD = "unlabelled: --without-label good takes them for good"
_GOOD = "taken for good, as --without-label says"


@dataclass(eq=False)
class Seen:
    """What was seen while a tree was indexed.

    Attributes:
        strange: JSON files of another kind.
        unlabelled: tasks that nobody annotated.
        skipped: tasks of which every annotation was skipped.
        predictions: tasks that have predictions, and no annotation.
        several: tasks that have several annotations.
        moved: images that are not where their tasks say, and have their names.
        uploads: images that have the names of their tasks without what an upload puts before them.
        others: results that mark no area, by kind.
        unread: images that have none but such results, or a choice beside trees of regions.
        beside: choices beside regions.
        question: whose answers are the classes of images.
        lost: tasks whose image is not there.
        unlisted: images that no task is of.
        as_good: whether images that nothing is said of are good.
    """

    strange: list[str] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    predictions: int = 0
    several: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    unread: list[str] = field(default_factory=list)
    beside: int = 0
    question: str = ""
    lost: int = 0
    unlisted: list[str] = field(default_factory=list)
    as_good: bool = False


def notes_of(seen: Seen, root: Path, *, ours: bool) -> list[str]:
    """What a user should know of a tree."""
    return [*_of_tasks(seen), *_of_images(seen, root, ours=ours)]


def _of_tasks(seen: Seen) -> Iterator[str]:
    taken = _GOOD if seen.as_good else _AS_GOOD
    if seen.unlabelled:
        told = f"; predictions, which {seen.predictions} of them have, are no annotations" if seen.predictions else ""
        yield f"{_counted(seen.unlabelled, 'task')} without an annotation: {_few(seen.unlabelled)}: {taken}{told}"
    if seen.skipped:
        yield f"{_counted(seen.skipped, 'task')} whose annotations were skipped: {_few(seen.skipped)}: {taken}"
    if seen.several:
        rule = "the ground truth counts, else the one that was changed last"
        yield f"{_counted(seen.several, 'task')} have several annotations: {_few(seen.several)}: {rule}"
    if seen.others:
        listed = ", ".join(f"{count} {kind}" for kind, count in sorted(seen.others.items()))
        yield f"results that mark no area are left out: {listed}"
    if seen.unread:
        yield f"{_counted(seen.unread, 'image')} whose annotations mark no area: {_few(seen.unread)}: {taken}"
    if seen.beside:
        yield f"choices for {seen.beside} image(s) that have regions are not read"
    if seen.question:
        yield f"the class of an image is what was chosen for {seen.question!r}"


def _of_images(seen: Seen, root: Path, *, ours: bool) -> Iterator[str]:
    if seen.lost and not ours:
        yield f"no image was found below {root}: the labels of {seen.lost} images are read without them"
    if seen.moved:
        what = "are not where their tasks say; those of their names are taken"
        yield f"{_counted(seen.moved, 'image')} {what}: {_few(seen.moved)}"
    if seen.uploads:
        what = "have their tasks' names without the digits that an upload puts before them"
        yield f"{_counted(seen.uploads, 'image')} {what}: {_few(seen.uploads)}"
    if seen.unlisted and not ours:
        yield f"{_counted(seen.unlisted, 'image')} that no task is of are not read: {_few(seen.unlisted)}"
    if seen.strange:
        yield f"{_counted(seen.strange, 'JSON file')} of another kind are not read: {_few(seen.strange)}"


def _counted(things: Sequence[str], what: str) -> str:
    return f"{len(things)} {what}(s)"


def _few(things: Sequence[str]) -> str:
    return ", ".join(things[:_LISTED]) + (", ..." if len(things) > _LISTED else "")
