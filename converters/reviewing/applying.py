"""Decisions on a gallery -> a corrected label tree, and tasks for those who draw anew what was wrong.

OUT/FORMAT/            the labels as the review left them, with `review` in the manifest
OUT/needs-work/TOOL/   what needs work, for LabelMe, CVAT or Label Studio
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from converters.formats.base import ImageMode
from converters.formats.registry import check_formats, find_format
from converters.reviewed import Change, ReviewedSource
from converters.reviewing.decisions import Decisions, Rejected, by_image, change_of, read_decisions
from converters.reviewing.reviewed_gallery import ReviewedGallery, open_gallery, open_labels, read_as_shown
from converters.sources import Source
from converters.writing.pipeline import ConvertReport, convert
from toolkit.aliases import JsonObject, Progress
from toolkit.dataset.samples import LabelKind
from toolkit.errors import BadInputError, Problem, ToolkitError
from toolkit.files.staging import check_apart, check_free

__all__ = ["TASKS", "ReviewReport", "Undecided", "review"]

Undecided = Literal["keep", "drop"]
"""What becomes of an image that nobody decided on."""

TASKS = ("labelme", "cvat", "label-studio")
"""Formats of tools in which people draw."""

_WORK = "needs-work"


@dataclass(frozen=True)
class ReviewReport:
    """What a review came to.

    Attributes:
        out: the folder.
        tree: the corrected labels; None where no image is left.
        tasks: what needs work; None where nothing does, or no tasks were asked for.
        counts: as in the manifest.
        manifests: format -> manifest of the corrected labels.
        learner: what learns from such labels.
        notes: what to know.
    """

    out: Path
    tree: Path | None
    tasks: Path | None
    counts: dict[str, int]
    manifests: dict[str, JsonObject]
    learner: str
    notes: tuple[str, ...]

    def _repr_html_(self) -> str:
        from toolkit.markup import report_html

        rows = [[name.replace("_", " "), count] for name, count in self.counts.items()]
        return report_html(f"Review {self.out}", "", ["what", "count"], rows, lists={"Notes": self.notes})


def review(
    gallery: str | Path,
    decisions: str | Path,
    out: str | Path,
    *,
    to: str | Sequence[str] | None = None,
    tasks: str | None = None,
    rejected: Rejected = "drop",
    undecided: Undecided = "keep",
    labels: str | Path | None = None,
    images: ImageMode = "hardlink",
    workers: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ReviewReport:
    """Write labels as a review left them.

    Args:
        gallery, decisions: what `view` or `autolabel` wrote, or the folder of that run; what its page exported.
        to: formats of the corrected labels; that of the reviewed ones if None, COCO for masks.
        tasks: also write what needs work for this tool, one of `TASKS`; images that need work are in no other tree.
        rejected: what an image is of which every label was rejected: left out, or good.
        undecided: whether images that nobody decided on stay as they are.
        labels: where the labels that were reviewed are now; where the gallery says if None.
        out, images, workers, overwrite, progress: as in `convert`.

    Raises:
        ToolkitError: gallery, decisions or settings are at fault, or the labels have changed since.
    """
    _check_choices(rejected, undecided, tasks)
    path, out, shown = Path(decisions), Path(out), open_gallery(Path(gallery))
    told = read_decisions(path, shown)
    source, notes = open_labels(shown, None if labels is None else Path(labels))
    formats = check_formats(to if to is not None else _own_format(source))
    _check_free(out, shown, source, formats, tasks, overwrite)
    changes, others = _changes(shown, source, told, rejected, path)
    _check_classes(formats, changes)
    about = _about(told, changes, source, rejected, undecided)
    how = partial(convert, images=images, workers=workers, overwrite=overwrite)
    report, drawn = _write(source, about, out, formats, tasks, partial(how, progress=progress))
    learner = "classifier" if source.holds == "classes" else "yolo-world"
    every = tuple(dict.fromkeys((*notes, *(report.notes if report else ()), *_remarks(about, others, tasks))))
    tree, manifests = (out / formats[0], report.manifests) if report else (None, {})
    return ReviewReport(out, tree, drawn, about["counts"], manifests, learner, every)


def _write(
    source: Source, about: JsonObject, out: Path, formats: Sequence[str], tasks: str | None, how: partial[ConvertReport]
) -> tuple[ConvertReport | None, Path | None]:
    """Write the corrected labels, and tasks of what needs work; what came of the first, and the folder of the second.

    Raises:
        ToolkitError: neither is left, or as `convert`.
    """
    corrected = ReviewedSource(source, {"part": "corrected", **about})
    work = ReviewedSource(source, {"part": "needs work", **about})
    asked = tasks is not None and bool(work.members)
    if not corrected.members and not asked:
        raise ToolkitError(out, "no image is left", "decide otherwise, or add --tasks for those that need work")
    report = how(corrected, out, formats) if corrected.members else None
    if asked:
        how(work, out / _WORK, tasks)
    return report, out / _WORK / str(tasks) if asked else None


def _check_choices(rejected: str, undecided: str, tasks: str | None) -> None:
    choices = {
        "--rejected": (rejected, get_args(Rejected)),
        "--undecided": (undecided, get_args(Undecided)),
        "--tasks": (tasks, (None, *TASKS)),
    }
    for flag, (value, known) in choices.items():
        if value not in known:
            raise ToolkitError(flag, f"{value!r} is unknown", f"use one of {', '.join(filter(None, known))}")


def _own_format(source: Source) -> str:
    """The format of the labels that were reviewed; for a dataset one that says all of it."""
    if source.tree is not None and find_format(source.tree.kind).writes and source.tree.kind != "masks":
        return source.tree.kind
    return {"classes": "yolo-classify", "oriented boxes": "yolo-obb"}.get(source.holds, "coco")


_KINDS: dict[str, LabelKind] = {"boxes": "boxes", "oriented boxes": "boxes", "classes": "class"}


def _check_free(
    out: Path, gallery: ReviewedGallery, source: Source, formats: Sequence[str], tasks: str | None, overwrite: bool
) -> None:
    """Refuse what cannot be written, before anything is.

    Raises:
        ToolkitError: something is in the way, or the labels are none that a tool has tasks of.
    """
    for place in (source.root, gallery.root):
        check_apart(out, place)
    check_free(out, formats, overwrite=overwrite, resume=False, remedy="choose another folder, or add --overwrite")
    if tasks is None:
        return
    check_free(
        out / _WORK, [tasks], overwrite=overwrite, resume=False, remedy="choose another folder, or add --overwrite"
    )
    kind = _KINDS.get(source.holds, "masks")
    if kind == "class" or not find_format(tasks).can_show(kind):
        raise ToolkitError("--tasks", f"{tasks} has no tasks of {source.holds}", "leave it out")


def _changes(
    gallery: ReviewedGallery, source: Source, told: Decisions, rejected: Rejected, path: Path
) -> tuple[list[Change], int]:
    """What becomes of each image that decisions change; how many decided files are no image.

    Raises:
        BadInputError: files are at fault, or labels are others than the page drew; all are listed.
    """
    own = by_image(told.decisions)
    found: list[Change] = []
    problems: list[Problem] = []
    seen: set[str] = set()
    for member in source.members:
        key = member.sample.key
        if key not in own:
            continue
        seen.add(key)
        try:
            image = read_as_shown(member, gallery, source)
            change = change_of(image, own[key], rejected, str(path))
        except ToolkitError as error:
            problems += error.problems
            continue
        found += [change] if change is not None else []
    gone = [key for key in own if key not in seen]
    faulty = {key for key in gone if not gallery.shown(key) and _is_file(source, key)}
    problems += [Problem(key, "is no image of the labels any more", "put it back") for key in gone if key not in faulty]
    if problems:
        raise BadInputError(sorted(problems))
    return found, len(faulty)


def _is_file(source: Source, key: str) -> bool:
    """Whether a tile was that of a file which belongs to no image."""
    home = source.root if source.root.is_dir() else source.root.parent
    return any((home / key).resolve() == Path(one.file).resolve() for one in source.layout_problems)


def _check_classes(formats: Sequence[str], changes: Sequence[Change]) -> None:
    """Refuse a format that takes classes from the names of images.

    Raises:
        ToolkitError: one of them does, and a class was changed.
    """
    new = any(
        label is not None and label != old for one in changes for label, old in zip(one.labels, one.was, strict=True)
    )
    if new and "masks" in formats:
        raise ToolkitError("--to", "masks takes classes from the names of images, and some have changed", "use coco")


def _about(
    told: Decisions, changes: Sequence[Change], source: Source, rejected: Rejected, undecided: Undecided
) -> JsonObject:
    """What the manifest says of a review."""
    decided = sorted({one.key for one in told.decisions})
    outcomes = Counter(one.outcome for one in changes)
    pairs = [pair for one in changes for pair in zip(one.was, one.labels, strict=True)]
    labelled = sum(member.sample.kind != "unlabelled" for member in source.members)
    counts = {
        "images": labelled,
        "decided": len(decided),
        "undecided": labelled - len(decided),
        "unchanged": len(decided) - len(changes),
        "corrected": outcomes["corrected"],
        "good": outcomes["good"],
        "dropped": outcomes["dropped"],
        "needs_work": outcomes["needs work"],
        "labels_removed": sum(new is None for _, new in pairs),
        "labels_renamed": sum(new is not None and new != old for old, new in pairs),
    }
    return {
        "gallery": told.gallery,
        "reviewer": told.reviewer,
        "rejected": rejected,
        "undecided": undecided,
        "counts": counts,
        "decisions": [one.described() for one in told.decisions],
        "decided": decided,
        "changes": [one.described() for one in changes],
    }


def _remarks(about: JsonObject, others: int, tasks: str | None) -> list[str]:
    """What to know of a review."""
    counts, notes = about["counts"], []
    if counts["undecided"]:
        fate = "stay as they are" if about["undecided"] == "keep" else "are left out"
        other = "drop leaves them out" if about["undecided"] == "keep" else "keep keeps them"
        notes.append(f"{counts['undecided']} image(s) that nobody decided on {fate}: --undecided {other}")
    if counts["dropped"]:
        notes.append(f"{counts['dropped']} image(s) without a label that is right are left out, named in manifest.json")
    if counts["needs_work"] and tasks is None:
        what = f"{counts['needs_work']} image(s) need work and are in no tree"
        notes.append(f"{what}: --tasks labelme, cvat or label-studio writes them for that tool")
    if others:
        notes.append(f"{others} decision(s) are on files that belong to no image")
    return notes
