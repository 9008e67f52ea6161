"""The commands that show labels, as a gallery and a contact sheet, and that write what was decided on there."""

from __future__ import annotations

import os
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.layouts import with_layout
from toolkit.cli.options import (
    AgainstOpt,
    CategoryOpt,
    ClusterOpt,
    Images,
    JsonOpt,
    OverwriteOpt,
    ResumeOpt,
    WorkersOpt,
    one_or_several,
    with_links,
)
from toolkit.cli.terminal import print_json, print_manifests, print_notes, progress_bar, say

if TYPE_CHECKING:
    from converters.reviewing.applying import ReviewReport
    from converters.viewing.gallery_items import Views
    from converters.viewing.mapped import Places
    from toolkit.gallery import GalleryReport

__all__ = ["review", "view"]


_Path = Annotated[
    Path, typer.Argument(metavar="PATH", help="A label tree, a folder of them, or a dataset root with its masks.")
]
_Out = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder of the gallery; by default PATH's name and -gallery.")
]
_Limit = Annotated[
    int | None, typer.Option(metavar="N", help="Only N images: an even sample, with --suspects the most suspicious.")
]
_Sheet = Annotated[
    Path | None, typer.Option(metavar="FILE.png", help="Also draw a contact sheet, an even sample of 24 (or N).")
]


_Suspects = Annotated[
    Path | None,
    typer.Option(metavar="FILE.csv", help="Suspicious labels first: suspects.csv, as 'describe --suspects' writes it."),
]


class _Map(StrEnum):
    pca = "pca"
    umap = "umap"


_MapOpt = Annotated[
    _Map | None,
    typer.Option("--map", help="Also a map, on which images that look alike lie together: pca, or umap if installed."),
]


@with_layout
def view(
    path: _Path,
    out: _Out = None,
    limit: _Limit = None,
    against: AgainstOpt = None,
    category: CategoryOpt = None,
    sheet: _Sheet = None,
    suspects: _Suspects = None,
    map_method: _MapOpt = None,
    workers: WorkersOpt = 0,
    cluster: ClusterOpt = None,
    overwrite: OverwriteOpt = False,
    resume: ResumeOpt = False,
    as_json: JsonOpt = False,
    layout: Any = None,
) -> None:
    """Draw labels as they were written into a gallery: a folder with a page that needs no server and no network."""
    from converters.viewing.gallery_items import view as run

    with progress_bar("drawing") as progress:
        report, views = run(
            path,
            out,
            limit=limit,
            against=one_or_several(against),
            categories=category or (),
            layout=layout,
            sheet=sheet,
            suspects=suspects,
            places=None if map_method is None else _places(map_method),
            workers=workers or os.cpu_count() or 1,
            cluster=cluster,
            overwrite=overwrite,
            resume=resume,
            progress=progress,
        )
    if as_json:
        _print_json(report, views, sheet)
    else:
        _print_text(report, views, sheet)


def _places(method: _Map) -> Places:
    from finetune.embedding import embed

    return partial(embed, method="umap" if method is _Map.umap else "pca")


def _print_json(report: GalleryReport, views: Views, sheet: Path | None) -> None:
    chart = _map_of(report, views)
    print_json(
        {
            "index": str(report.index),
            "shown": str(views.source.root),
            "kind": views.page.words.kind,
            "compared": views.page.words.compared or None,
            "images": report.images,
            "images_found": report.images_found,
            "instances": report.instances,
            "instances_found": report.instances_found,
            "problems": report.problems,
            "min_iou": report.min_iou,
            "sheet": None if sheet is None else str(sheet),
            **({} if chart is None else {"map": str(chart)}),
            "notes": views.notes,
        }
    )


def _map_of(report: GalleryReport, views: Views) -> Path | None:
    """The map beside a gallery, if there is one."""
    placed = any(item.place is not None for item in views.items)
    return report.index.with_name("map.html") if placed else None


def _print_text(report: GalleryReport, views: Views, sheet: Path | None) -> None:
    said = f"{report.images} of {report.images_found} images, {report.instances} of {report.instances_found} instances"
    more = "" if report.min_iou is None else f", lowest IoU with the source {report.min_iou:.4f}"
    if report.problems:
        more += f", {report.problems} with a problem (the page filters by it)"
    say(f"{views.page.words.kind} of {views.source.root}: {said} shown{more}")
    if sheet is not None:
        say(f"sheet     {sheet}")
    say(f"gallery   {report.index}: open it in a browser")
    if (chart := _map_of(report, views)) is not None:
        say(f"map       {chart}")
    print_notes(views.notes)


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
_ReviewOut = Annotated[Path, typer.Argument(metavar="OUT", help="Where the corrected labels go.")]
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
    out: _ReviewOut,
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
    _print_review(report, as_json)


def _print_review(report: ReviewReport, as_json: bool) -> None:
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
