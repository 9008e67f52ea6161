"""Commands on labels: write them, prove them, and both on the embedded product."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.layouts import open_roots, with_layout
from toolkit.cli.options import (
    AgainstOpt,
    CategoryOpt,
    Classes,
    ClusterOpt,
    Images,
    JsonOpt,
    OnProblem,
    OnProblemOpt,
    OverwriteOpt,
    PanopticLayout,
    PlacesArg,
    ResumeOpt,
    Segmentation,
    SplitOpt,
    StrategyOpt,
    WorkersOpt,
    one_or_several,
    read_tiles,
    roots_and_out,
    with_numbers,
    with_selection,
    with_tiles,
)
from toolkit.cli.terminal import (
    print_failures,
    print_json,
    print_manifests,
    print_notes,
    print_verification,
    progress_bar,
    say,
)
from toolkit.errors import ToolkitError

if TYPE_CHECKING:
    from converters.writing.pipeline import ConvertReport

__all__ = ["convert", "demo", "verify"]


def _complete_formats(incomplete: str) -> list[str]:
    """Formats that a comma-separated list may go on with."""
    from converters.formats.registry import FORMATS

    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in FORMATS if name.startswith(last) and name not in before.split(",")]


_Formats = Annotated[
    list[str],
    typer.Option(
        metavar="FORMAT[,FORMAT...]",
        help="yolo-detect, yolo-segment, yolo-obb, yolo-classify, coco, semantic, panoptic, masks, labelme, voc, cvat, "
        "label-studio.",
        autocompletion=_complete_formats,
    ),
]
_ClassesOpt = Annotated[Classes, typer.Option(help="How to name classes.")]
_InstancesOpt = Annotated[
    str, typer.Option(metavar="HOW", help="What makes an instance: components, image or merge:GAP (pixels).")
]
_MinArea = Annotated[int, typer.Option(metavar="PX", help="Leave smaller components or objects out, and list them.")]
_MinIou = Annotated[float, typer.Option(metavar="IOU", help="Below 1: fewest vertices that keep it.")]
_JoinParts = Annotated[
    bool, typer.Option("--join-parts", help="YOLO: one row for an instance in parts; bridges are counted.")
]
_SegmentationOpt = Annotated[Segmentation, typer.Option(help="COCO: polygons or run lengths.")]
_PanopticOpt = Annotated[
    PanopticLayout, typer.Option(help="Panoptic: maps beside annotations, or in them, as in COCO's archives.")
]
_Threshold = Annotated[int | None, typer.Option(metavar="N", help="Grey values from N on are defect.")]
_ImagesOpt = Annotated[Images, typer.Option(help="How images get into the trees.")]


@with_layout
@with_numbers
@with_selection
@with_tiles
def convert(
    places: PlacesArg,
    to: _Formats,
    split_file: SplitOpt = None,
    strategy: StrategyOpt = None,
    numbers: Any = None,
    category: CategoryOpt = None,
    classes: _ClassesOpt = Classes.defect,
    selection: Any = None,
    instances: _InstancesOpt = "components",
    min_area: _MinArea = 0,
    min_iou: _MinIou = 1.0,
    join_parts: _JoinParts = False,
    segmentation: _SegmentationOpt = Segmentation.polygon,
    panoptic_layout: _PanopticOpt = PanopticLayout.flat,
    images: _ImagesOpt = Images.hardlink,
    tiles: Any = None,
    on_problem: OnProblemOpt = OnProblem.fail,
    threshold: _Threshold = None,
    workers: WorkersOpt = 0,
    cluster: ClusterOpt = None,
    overwrite: OverwriteOpt = False,
    resume: ResumeOpt = False,
    as_json: JsonOpt = False,
    layout: Any = None,
) -> None:
    """Write a dataset, or any label tree, or several, into OUT; each format gets a folder in it."""
    from converters.writing.pipeline import convert as run
    from toolkit.cli.splits import choose_split

    roots, out = roots_and_out(places, "convert")
    source = open_roots(roots, category, layout, cluster)
    chosen = choose_split(source.dataset, split_file, strategy, numbers)
    with progress_bar("converting") as progress:
        report = run(
            source,
            out,
            [name.strip() for text in to for name in text.split(",") if name.strip()],
            split=chosen,
            classes=classes.value,
            **read_selection(selection, source.classes(classes.value)),
            instances=instances,
            min_area=min_area,
            min_iou=min_iou,
            join_parts=join_parts,
            segmentation=segmentation.value,
            panoptic_layout=panoptic_layout.value,
            images=images.value,
            tiles=read_tiles(tiles),
            on_problem=on_problem.value,
            threshold=threshold,
            workers=workers or os.cpu_count() or 1,
            cluster=cluster,
            overwrite=overwrite,
            resume=resume,
            progress=progress,
        )
    _print_conversion(report, as_json)


def read_selection(given: dict[str, Any], known: Sequence[str]) -> dict[str, Any]:
    """The arguments that the options of a selection stand for; OLD=NEW is parted where OLD is a class.

    Raises:
        ToolkitError: a text is none of these, or gives a class two names.
    """
    if "rename" not in given:
        return given
    renamed: dict[str, str] = {}
    for text in given["rename"]:
        ways = [(text[:place], text[place + 1 :]) for place, sign in enumerate(text) if sign == "="]
        if not ways:
            raise ToolkitError("--rename", f"{text!r} has no '='", "write it as OLD=NEW")
        old, new = next((way for way in ways if way[0] in known), ways[0])
        if renamed.setdefault(old, new) != new:
            raise ToolkitError("--rename", f"gives {old!r} two names, {renamed[old]!r} and {new!r}", "give it one")
    return {**given, "rename": renamed}


def _print_conversion(report: ConvertReport, as_json: bool) -> None:
    if as_json:
        skipped = [{"file": problem.file, "problem": problem.problem} for problem in report.skipped]
        told = {"out": str(report.out), "formats": report.manifests, "skipped": skipped, "notes": report.notes}
        print_json({**told, "seconds": round(report.seconds, 3)})
        return
    print_manifests(report.manifests, f"{report.out} ({report.seconds:.1f} s)")
    print_notes([f"left out: {problem}" for problem in report.skipped] + list(report.notes))


@with_layout
def verify(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A label tree, or a folder of them.")],
    against: AgainstOpt = None,
    min_iou: Annotated[float, typer.Option(metavar="IOU", help="Every image must reach this.")] = 1.0,
    seen_by: Annotated[
        str | None,
        typer.Option(
            "--as", metavar="TOOL", help="As supervision, cvat, labelme, label-studio, ultralytics or pycocotools."
        ),
    ] = None,
    workers: WorkersOpt = 0,
    cluster: ClusterOpt = None,
    as_json: JsonOpt = False,
    layout: Any = None,
) -> None:
    """Rasterise what was written as its consumer will, and compare it with the source. Exit status 1 if it differs."""
    from converters.verification.verify import verify as run

    with progress_bar("verifying") as progress:
        threads = workers or os.cpu_count() or 1
        report = run(
            out,
            one_or_several(against),
            layout=layout,
            min_iou=min_iou,
            seen_by=seen_by,
            workers=threads,
            cluster=cluster,
            progress=progress,
        )
    trees = [
        {
            "tree": str(tree.tree),
            "format": tree.kind,
            "images": tree.images,
            "compared": tree.compared,
            "min_iou": tree.min_iou,
            "mean_iou": tree.mean_iou,
            "exact": tree.exact,
            "worst": [worst._asdict() for worst in tree.worst],
            "failures": tree.failures,
        }
        for tree in report.trees
    ]
    if as_json:
        print_json({"passed": report.passed, "min_iou": report.min_iou, "trees": trees, "notes": report.notes})
    else:
        print_verification(str(out), trees)
        print_notes(report.notes)
        print_failures(report.failures)
    if not report.passed:
        raise typer.Exit(1)


def demo(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write into.")] = Path("defectkit-demo"),
    overwrite: OverwriteOpt = False,
    as_json: JsonOpt = False,
) -> None:
    """Make the embedded product, split it, convert it to every format, verify it, and draw what was written."""
    from converters.demo import run_demo

    with progress_bar("demo") as progress:
        made = run_demo(out, overwrite=overwrite, progress=progress)
    if as_json:
        print_json(
            {
                "out": str(out),
                "dataset": str(made.dataset),
                "split": str(made.split),
                "labels": str(made.labels),
                "overlay": str(made.overlay),
                "min_iou": made.min_iou,
                "passed": made.passed,
            }
        )
    else:
        print_manifests(made.manifests, str(made.labels))
        least = "" if made.min_iou is None else f", min IoU {made.min_iou:.4f}"
        verdict = f"verified{least}" if made.passed else "NOT what the masks say"
        say(f"dataset   {made.dataset}: a synthetic zipper in MVTec layout, 7 kinds of defect and good")
        say(f"split     {made.split}: train, val and test, stratified")
        say(f"labels    {made.labels}: {len(made.manifests)} formats, {verdict}")
        say(f"picture   {made.overlay}: the labels as they were written, drawn over the images")
        say(f"next      {shlex.join([_program(), 'view', str(made.labels / 'coco')])}")
    if not made.passed:
        raise typer.Exit(1)


def _program() -> str:
    """How this program is called from here: by its name where the shell finds it, else by the path that was used."""
    used = sys.argv[0]
    return used if Path(used).name == "defectkit" and shutil.which("defectkit") is None else "defectkit"
