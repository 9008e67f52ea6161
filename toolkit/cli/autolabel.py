"""The command that labels images by models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.options import JsonOpt, OverwriteOpt, with_links, with_looking
from toolkit.cli.terminal import print_json, print_notes, print_table, progress_bar, say, short_figure

if TYPE_CHECKING:
    from finetune.autolabelling.autolabel import AutolabelReport

__all__ = ["autolabel"]


_Images = Annotated[
    list[Path], typer.Argument(metavar="IMAGES...", help="Image files, folders of them, or a dataset root.")
]
_Detector = Annotated[
    Path,
    typer.Option(
        metavar="RUN",
        help="Run of yolo or yolo-world (classes or words to boxes), or of patchcore or vae (no labels needed).",
    ),
]
_Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the label trees and the review gallery.")]
_Segmenter = Annotated[
    Path | None,
    typer.Option(metavar="RUN", help="Run of sam (boxes to masks); without it the detector's own masks."),
]
_Words = Annotated[
    str | None, typer.Option(metavar="WORD,...", help="What to look for; by default what the detector learnt.")
]
_Confidence = Annotated[
    float | None,
    typer.Option(
        metavar="C", help="Scores above it are found; by default 0.25, with patchcore and vae 0.5, their own threshold."
    ),
]
_Formats = Annotated[str, typer.Option("--to", metavar="FORMAT[,FORMAT...]", help="Formats of the labels.")]
_Against = Annotated[
    Path | None, typer.Option(metavar="ROOT", help="Labels of these images by people, to compare with.")
]


@with_links
@with_looking
def autolabel(
    images: _Images,
    detector: _Detector,
    out: _Out,
    segmenter: _Segmenter = None,
    words: _Words = None,
    confidence: _Confidence = None,
    looking: Any = None,
    to: _Formats = "coco",
    against: _Against = None,
    overwrite: OverwriteOpt = False,
    as_json: JsonOpt = False,
) -> None:
    """Label images: words to boxes to masks to labels of any format, and a gallery, the doubtful ones first."""
    from finetune.autolabelling.autolabel import autolabel as run

    with progress_bar("labelling") as progress:
        report = run(
            detector,
            images,
            out,
            segmenter=segmenter,
            formats=[name.strip() for name in to.split(",") if name.strip()],
            words=None if words is None else [word.strip() for word in words.split(",")],
            confidence=confidence,
            **looking,
            against=against,
            overwrite=overwrite,
            progress=progress,
        )
    _print_report(report, as_json)


def _print_report(report: AutolabelReport, as_json: bool) -> None:
    if as_json:
        told = {
            "out": str(report.out),
            "classes": report.classes,
            "images": report.images,
            "instances": report.instances,
        }
        told |= {"empty": report.empty, "duplicates": report.duplicates}
        print_json({**told, "metrics": dict(report.metrics), "notes": report.notes})
        return
    say(f"{report.instances} instances in {report.images} images, {report.empty} without any, {report.seconds:.1f} s")
    if report.metrics:
        rows = [[name, short_figure(value)] for name, value in report.metrics.items()]
        print_table("against the truth", ["metric", "value"], rows)
    say(f"labels    {report.out}")
    say(f"review    {report.out / 'review/index.html'}: open it in a browser, the most doubtful first")
    print_notes(report.notes)
