"""The command that shows labels: a gallery for the browser, a contact sheet for the rest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.options import CategoryOpt, JsonOpt, OverwriteOpt, WorkersOpt
from toolkit.cli.terminal import print_json, print_notes, progress_bar, say

__all__ = ["view"]


def view(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A label tree, a folder of them, or a dataset root with its masks.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the gallery; by default PATH's name and -gallery.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Only N images, an even sample over classes and subsets.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(metavar="ROOT", help="The source; by default the one in the manifest.")
    ] = None,
    category: CategoryOpt = None,
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Also draw a contact sheet, an even sample of 24 (or N).")
    ] = None,
    workers: WorkersOpt = 0,
    overwrite: OverwriteOpt = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")] = False,
    as_json: JsonOpt = False,
) -> None:
    """Draw labels as they were written into a gallery: a folder with a page that needs no server and no network."""
    from converters.viewing.gallery_items import view as run

    with progress_bar("drawing") as progress:
        report, views = run(
            path,
            out,
            limit=limit,
            against=against,
            categories=category or (),
            sheet=sheet,
            workers=workers or os.cpu_count() or 1,
            overwrite=overwrite,
            resume=resume,
            progress=progress,
        )
    if as_json:
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
        return
    said = f"{report.images} of {report.images_found} images, {report.instances} of {report.instances_found} instances"
    more = "" if report.min_iou is None else f", lowest IoU with the source {report.min_iou:.4f}"
    if report.problems:
        more += f", {report.problems} with a problem (the page filters by it)"
    say(f"{views.page.words.kind} of {views.source.root}: {said} shown{more}")
    if sheet is not None:
        say(f"sheet     {sheet}")
    say(f"gallery   {report.index}: open it in a browser")
    print_notes(views.notes)
