"""The front door: `defectkit COMMAND`. Commands parse, call one function of the packages, and print.

This module alone imports from the floors above, and it does so inside the commands, so that help comes at once.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit import __version__
from toolkit.cli_options import (
    CategoryOpt,
    Classes,
    FoldOpt,
    FoldsOpt,
    Images,
    JsonOpt,
    OnProblem,
    OverwriteOpt,
    PerClassOpt,
    RootArg,
    SeedOpt,
    Segmentation,
    Strategy,
    TestOpt,
    TestPerClassOpt,
    ValOpt,
    WorkersOpt,
)
from toolkit.errors import ToolkitError
from toolkit.terminal import (
    print_error,
    print_failures,
    print_json,
    print_manifests,
    print_notes,
    print_table,
    print_verdict,
    progress_bar,
    say,
)

if TYPE_CHECKING:
    from converters.reading import LabelTree
    from toolkit.samples import Dataset, Sample

__all__ = ["app", "main"]

app = typer.Typer(
    name="defectkit",
    help="Industrial-defect masks to YOLO, COCO and pixel labels: exact, and proven.",
    rich_markup_mode=None,  # plain help comes twice as fast, and fits a narrow terminal
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def _complete_formats(incomplete: str) -> list[str]:
    """Formats that a comma-separated list may go on with."""
    from converters.formats import FORMATS

    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in FORMATS if name.startswith(last) and name not in before.split(",")]


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"defectkit {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error. May stand anywhere.")] = False,
) -> None:
    """Industrial-defect masks to YOLO, COCO and pixel labels: exact, and proven."""


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Dataset root; the product becomes a folder in it.")],
    product: Annotated[str, typer.Option(metavar="NAME", help="Name of the product's folder.")] = "zipper",
    image_size: Annotated[int, typer.Option(metavar="PX", help="Width and height of the images.")] = 256,
    per_class: Annotated[int, typer.Option(metavar="N", help="Test images of each class.")] = 10,
    train_good: Annotated[int, typer.Option(metavar="N", help="Good images to train on.")] = 64,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same bytes.")] = 0,
    as_json: JsonOpt = False,
) -> None:
    """Make a small synthetic product in MVTec layout, with exact masks."""
    from toolkit.synthetic import PRODUCT_DEFECTS, write_product

    with progress_bar("drawing") as progress:
        folder = write_product(
            out,
            product=product,
            image_size=image_size,
            per_class=per_class,
            train_good=train_good,
            seed=seed,
            progress=progress,
        )
    images = train_good + per_class * (len(PRODUCT_DEFECTS) + 1)
    if as_json:
        print_json({"root": str(folder), "images": images, "classes": ["good", *PRODUCT_DEFECTS], "seed": seed})
    else:
        say(f"{folder}: {images} images, {len(PRODUCT_DEFECTS)} kinds of defect and good")


@app.command(epilog="Example: defectkit split mvtec_ad/screw split.csv --strategy stratified --val 0.1 --test 0.2")
def split(
    root: RootArg,
    out: Annotated[Path, typer.Argument(metavar="OUT.csv", help="The file to write.")],
    strategy: Annotated[Strategy, typer.Option(help="How to split.")],
    val: ValOpt = None,
    test: TestOpt = None,
    per_class: PerClassOpt = None,
    test_per_class: TestPerClassOpt = None,
    folds: FoldsOpt = None,
    fold: FoldOpt = None,
    seed: SeedOpt = None,
    category: CategoryOpt = None,
    as_json: JsonOpt = False,
) -> None:
    """Assign every image to train, val or test, and save it as CSV."""
    from toolkit.cli_splits import check_csv, count_classes, given_numbers, make_split
    from toolkit.splits import write_split

    check_csv(out)
    source = _source(root, category)
    samples = _samples(source)
    numbers = given_numbers(val, test, per_class, test_per_class, folds, fold, seed)
    made = make_split(samples, strategy.value, numbers)
    write_split(made, out)
    counts = count_classes(samples, made)
    notes = (*source.notes, *made.notes)
    if as_json:
        told = {"strategy": made.strategy, "settings": made.settings}
        print_json({"out": str(out), **told, "subsets": counts, "notes": notes})
        return
    names = sorted({name for subset in counts.values() for name in subset})
    rows = [[name, *(subset.get(name, 0) for subset in counts.values())] for name in names]
    rows.append(["all", *(sum(subset.values()) for subset in counts.values())])
    print_table(f"{out} ({made.strategy})", ["class", *counts], rows)
    print_notes(notes)


def _source(root: Path, categories: list[str] | None) -> Dataset | LabelTree:
    from converters.codecs import open_source
    from toolkit.samples import Dataset

    source = open_source(root)
    if not categories:
        return source
    if not isinstance(source, Dataset):
        raise ToolkitError("--category", "a label tree has no categories", "leave it out")
    return source.only(categories)


def _samples(source: Dataset | LabelTree) -> Sequence[Sample]:
    from toolkit.samples import Dataset

    return source if isinstance(source, Dataset) else source.samples


@app.command(epilog="Example: defectkit convert mvtec_ad/screw labels --to coco,yolo-segment --strategy stratified")
def convert(
    root: RootArg,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write into; each format gets a folder in it.")],
    to: Annotated[
        list[str],
        typer.Option(
            metavar="FORMAT[,FORMAT...]",
            help="yolo-detect, yolo-segment, yolo-obb, yolo-classify, coco, semantic, panoptic, masks.",
            autocompletion=_complete_formats,
        ),
    ],
    split_file: Annotated[Path | None, typer.Option("--split", metavar="FILE.csv", help="A saved split.")] = None,
    strategy: Annotated[Strategy | None, typer.Option(help="Split now; without it the dataset's own subsets.")] = None,
    val: ValOpt = None,
    test: TestOpt = None,
    per_class: PerClassOpt = None,
    test_per_class: TestPerClassOpt = None,
    folds: FoldsOpt = None,
    fold: FoldOpt = None,
    seed: SeedOpt = None,
    category: CategoryOpt = None,
    classes: Annotated[Classes, typer.Option(help="How to name classes.")] = Classes.defect,
    instances: Annotated[
        str, typer.Option(metavar="HOW", help="What makes an instance: components, image or merge:GAP (pixels).")
    ] = "components",
    min_area: Annotated[int, typer.Option(metavar="PX", help="Leave smaller components out, and list them.")] = 0,
    min_iou: Annotated[float, typer.Option(metavar="IOU", help="Below 1: fewest vertices that keep it.")] = 1.0,
    join_parts: Annotated[
        bool, typer.Option("--join-parts", help="YOLO: one row for an instance in parts; bridges are counted.")
    ] = False,
    segmentation: Annotated[Segmentation, typer.Option(help="COCO: polygons or run lengths.")] = Segmentation.polygon,
    images: Annotated[Images, typer.Option(help="How images get into the trees.")] = Images.hardlink,
    on_problem: Annotated[
        OnProblem, typer.Option(help="Stop at faulty files, or go on without them.")
    ] = OnProblem.fail,
    threshold: Annotated[int | None, typer.Option(metavar="N", help="Grey values from N on are defect.")] = None,
    workers: WorkersOpt = 0,
    cluster: Annotated[str | None, typer.Option(metavar="URL", help="Dask scheduler, tcp://host:port.")] = None,
    overwrite: OverwriteOpt = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")] = False,
    as_json: JsonOpt = False,
) -> None:
    """Write a dataset, or any label tree, in one or more label formats."""
    from converters.pipeline import convert as run
    from toolkit.cli_splits import choose_split, given_numbers

    source = _source(root, category)
    numbers = given_numbers(val, test, per_class, test_per_class, folds, fold, seed)
    chosen = choose_split(_samples(source), split_file, strategy, numbers)
    with progress_bar("converting") as progress:
        report = run(
            source,
            out,
            [name.strip() for text in to for name in text.split(",") if name.strip()],
            split=chosen,
            classes=classes.value,
            instances=instances,
            min_area=min_area,
            min_iou=min_iou,
            join_parts=join_parts,
            segmentation=segmentation.value,
            images=images.value,
            on_problem=on_problem.value,
            threshold=threshold,
            workers=workers or os.cpu_count() or 1,
            cluster=cluster,
            overwrite=overwrite,
            resume=resume,
            progress=progress,
        )
    if as_json:
        print_json(
            {
                "out": str(report.out),
                "formats": report.manifests,
                "skipped": [{"file": p.file, "problem": p.problem} for p in report.skipped],
                "notes": report.notes,
                "seconds": round(report.seconds, 3),
            }
        )
        return
    print_manifests(report.manifests, f"{report.out} ({report.seconds:.1f} s)")
    print_notes([f"left out: {problem}" for problem in report.skipped] + list(report.notes))


@app.command()
def verify(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A label tree, or a folder of them.")],
    against: Annotated[
        Path | None, typer.Option(metavar="ROOT", help="The source; by default the one in the manifests.")
    ] = None,
    min_iou: Annotated[float, typer.Option(metavar="IOU", help="Every image must reach this.")] = 1.0,
    workers: WorkersOpt = 0,
    as_json: JsonOpt = False,
) -> None:
    """Rasterise what was written as its consumer will, and compare it with the source. Exit status 1 if it differs."""
    from converters.verify import verify as run

    with progress_bar("verifying") as progress:
        report = run(out, against, min_iou=min_iou, workers=workers or os.cpu_count() or 1, progress=progress)
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
        print_verdict(str(out), trees)
        print_notes(report.notes)
        print_failures(report.failures)
    if not report.passed:
        raise typer.Exit(1)


@app.command()
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
        verdict = f"verified, min IoU {made.min_iou:.4f}" if made.passed else "NOT what the masks say"
        say(f"dataset   {made.dataset}: a synthetic zipper in MVTec layout, 7 kinds of defect and good")
        say(f"split     {made.split}: train, val and test, stratified")
        say(f"labels    {made.labels}: {len(made.manifests)} formats, {verdict}")
        say(f"picture   {made.overlay}: the labels as they were written, drawn over the images")
    if not made.passed:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; exit with 0, 1 (a check failed) or 2 (the input is at fault)."""
    words = [_without_tilde(word) for word in sys.argv[1:]]
    arguments = [word for word in words if word != "--debug"]
    command = " ".join(["defectkit", *(word for word in arguments[:1] if not word.startswith("-"))])
    try:
        status = app(args=arguments or ["--help"], prog_name="defectkit", standalone_mode=False) or 0
        status = status if arguments else 2
    except KeyboardInterrupt:
        status = _INTERRUPTED
    except Exception as error:
        if "--debug" in words:
            traceback.print_exception(error)
        status = _explain(error, command)
        if status is None:
            raise
    if status == _INTERRUPTED:  # typer makes an exit status of Ctrl-C
        hint = "; the same command with --resume goes on from the last checkpoint" if "convert" in command else ""
        print(f"interrupted: nothing half-written stands in its place{hint}", file=sys.stderr)
    sys.exit(status)


def _without_tilde(word: str) -> str:
    """A path below the home folder in full, where the shell leaves that to us: `--split=~/split.csv`."""
    name, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return name + equals + str(Path(value).expanduser()) if value.startswith("~/") else word


def _explain(error: Exception, command: str) -> int | None:
    """Say in a line what the user can do about an error; the exit status, or None for a fault of ours."""
    usage_error = typer.BadParameter.__mro__[1]  # of click, or of the copy that newer versions of typer carry
    if isinstance(error, ToolkitError):
        print_error(error)
    elif isinstance(error, usage_error):
        context = getattr(error, "ctx", None)
        command = context.command_path if context else command
        problem = " ".join(error.format_message().split()).rstrip(".").replace("Value error, ", "")  # type: ignore[attr-defined]
        print(f"error: {command}: {problem}; {_remedy(problem)}see '{command} --help'", file=sys.stderr)
    elif isinstance(error, OSError):
        problem = f"cannot be used ({error.strerror or error})"
        print_error(ToolkitError(error.filename or "standard output", problem, "check the disk and its permissions"))
    else:
        return _INTERRUPTED if isinstance(error, typer.Abort) else None
    return 2


def _remedy(problem: str) -> str:
    """A hint for the mistake that is made most: formats with spaces between them."""
    from converters.formats import FORMATS

    extra = problem.partition("unexpected extra argument")[2].partition("(")[2]
    named = [word for word in extra.strip("s() ").replace(",", " ").split() if word.rstrip(")") in FORMATS]
    return "put commas between formats, no spaces (--to coco,yolo-segment); " if named else ""


if __name__ == "__main__":
    main()
