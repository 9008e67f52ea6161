"""The command that turns decisions made in a gallery into corrected labels."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.options import Images, JsonOpt, OverwriteOpt, WorkersOpt, with_links
from toolkit.cli.terminal import print_json, print_manifests, print_notes, progress_bar, say

if TYPE_CHECKING:
    from converters.reviewing.applying import ReviewReport

__all__ = ["review"]


class _Rejected(StrEnum):
    drop = "drop"
    good = "good"


class _Undecided(StrEnum):
    keep = "keep"
    drop = "drop"


_Gallery = Annotated[
    Path, typer.Argument(metavar="GALLERY|RUN", help="A gallery of 'view', or the folder that 'autolabel' wrote.")
]
_Decisions = Annotated[Path, typer.Argument(metavar="DECISIONS.json", help="What the page exported.")]
_Out = Annotated[Path, typer.Argument(metavar="OUT", help="Where the corrected labels go, a folder for each format.")]
_To = Annotated[
    str | None,
    typer.Option("--to", metavar="FORMAT[,FORMAT...]", help="Formats of the labels; by default that of the reviewed."),
]
_Tasks = Annotated[
    str | None,
    typer.Option(metavar="TOOL", help="Also write what needs work, for labelme, cvat or label-studio."),
]
_RejectedOpt = Annotated[_Rejected, typer.Option(help="What an image is whose labels were all rejected.")]
_UndecidedOpt = Annotated[_Undecided, typer.Option(help="What becomes of images that nobody decided on.")]
_Labels = Annotated[Path | None, typer.Option(metavar="ROOT", help="The labels that were reviewed, where they moved.")]
_ImagesOpt = Annotated[Images, typer.Option(help="How images get into the trees.")]


@with_links
def review(
    gallery: _Gallery,
    decisions: _Decisions,
    out: _Out,
    to: _To = None,
    tasks: _Tasks = None,
    rejected: _RejectedOpt = _Rejected.drop,
    undecided: _UndecidedOpt = _Undecided.keep,
    labels: _Labels = None,
    images: _ImagesOpt = Images.hardlink,
    workers: WorkersOpt = 0,
    overwrite: OverwriteOpt = False,
    as_json: JsonOpt = False,
) -> None:
    """Write labels as a review left them: accepted, removed, of another class; and tasks for those that need work."""
    from converters.reviewing.applying import review as run

    with progress_bar("reviewing") as progress:
        report = run(
            gallery,
            decisions,
            out,
            to=None if to is None else [name.strip() for name in to.split(",") if name.strip()],
            tasks=tasks,
            rejected=rejected.value,
            undecided=undecided.value,
            labels=labels,
            images=images.value,
            workers=workers or os.cpu_count() or 1,
            overwrite=overwrite,
            progress=progress,
        )
    _print_report(report, as_json)


def _print_report(report: ReviewReport, as_json: bool) -> None:
    if as_json:
        tree, tasks = (None if path is None else str(path) for path in (report.tree, report.tasks))
        told = {"out": str(report.out), "tree": tree, "tasks": tasks, "counts": report.counts}
        print_json({**told, "formats": report.manifests, "notes": report.notes})
        return
    counts = report.counts
    say(
        f"{counts['decided']} of {counts['images']} images decided: {counts['unchanged']} right, "
        f"{counts['corrected']} corrected, {counts['good']} good now, {counts['dropped']} left out, "
        f"{counts['needs_work']} need work; {counts['labels_removed']} labels removed, "
        f"{counts['labels_renamed']} of another class"
    )
    if report.manifests:
        print_manifests(report.manifests, str(report.out))
    if report.tasks is not None:
        say(f"tasks     {report.tasks}")
    if report.tree is not None:
        say(f"next      defectkit train {report.learner} {report.tree} --out runs/reviewed")
    print_notes(report.notes)
