"""The command that shows labels: a gallery for the browser, a contact sheet for the rest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.layouts import with_layout
from toolkit.cli.options import (
    AgainstOpt,
    CategoryOpt,
    ClusterOpt,
    JsonOpt,
    OverwriteOpt,
    ResumeOpt,
    WorkersOpt,
    one_or_several,
)
from toolkit.cli.terminal import print_json, print_notes, progress_bar, say

if TYPE_CHECKING:
    from converters.viewing.gallery_items import Views
    from toolkit.gallery import GalleryReport

__all__ = ["view"]


_Path = Annotated[
    Path, typer.Argument(metavar="PATH", help="A label tree, a folder of them, or a dataset root with its masks.")
]
_Out = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder of the gallery; by default PATH's name and -gallery.")
]
_Limit = Annotated[
    int | None, typer.Option(metavar="N", help="Only N images, an even sample over classes and subsets.")
]
_Sheet = Annotated[
    Path | None, typer.Option(metavar="FILE.png", help="Also draw a contact sheet, an even sample of 24 (or N).")
]


@with_layout
def view(
    path: _Path,
    out: _Out = None,
    limit: _Limit = None,
    against: AgainstOpt = None,
    category: CategoryOpt = None,
    sheet: _Sheet = None,
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


def _print_json(report: GalleryReport, views: Views, sheet: Path | None) -> None:
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
            "notes": views.notes,
        }
    )


def _print_text(report: GalleryReport, views: Views, sheet: Path | None) -> None:
    said = f"{report.images} of {report.images_found} images, {report.instances} of {report.instances_found} instances"
    more = "" if report.min_iou is None else f", lowest IoU with the source {report.min_iou:.4f}"
    if report.problems:
        more += f", {report.problems} with a problem (the page filters by it)"
    say(f"{views.page.words.kind} of {views.source.root}: {said} shown{more}")
    if sheet is not None:
        say(f"sheet     {sheet}")
    say(f"gallery   {report.index}: open it in a browser")
    print_notes(views.notes)
