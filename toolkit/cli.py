"""The front door: `defectkit COMMAND`. Commands parse, call one function of the packages, and print.

This module alone imports from the floors above, and it does so inside the commands, so that help comes at once.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit import __version__
from toolkit.errors import ToolkitError
from toolkit.terminal import print_error, print_json, print_notes, print_table, progress_bar

if TYPE_CHECKING:
    from converters.reading import LabelTree
    from toolkit.samples import Dataset
    from toolkit.splits import Split

__all__ = ["app", "main"]

app = typer.Typer(
    name="defectkit",
    help="Industrial-defect masks to YOLO, COCO and pixel labels: exact, and proven.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Strategy(StrEnum):
    """Ways to split a dataset."""

    native = "native"
    stratified = "stratified"
    uniform = "uniform"
    kfold = "kfold"


class Classes(StrEnum):
    """Ways to name classes."""

    defect = "defect"
    binary = "binary"
    category = "category"
    category_defect = "category-defect"


class Segmentation(StrEnum):
    """Forms of COCO segmentations."""

    polygon = "polygon"
    rle = "rle"


class Images(StrEnum):
    """How images get into label trees."""

    hardlink = "hardlink"
    symlink = "symlink"
    copy = "copy"
    none = "none"


class OnProblem(StrEnum):
    """What to do about faulty files."""

    fail = "fail"
    skip = "skip"


RootArg = Annotated[Path, typer.Argument(metavar="ROOT", help="A dataset root, one category folder, or a label tree.")]
JsonOpt = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
OverwriteOpt = Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier run wrote there.")]
WorkersOpt = Annotated[int, typer.Option(metavar="N", help="Threads; 0 takes one for each processor.")]
ValOpt = Annotated[float | None, typer.Option(metavar="SHARE", help="Share of val (stratified: 0.1; kfold: 0).")]
TestOpt = Annotated[float | None, typer.Option(metavar="SHARE", help="Share of test (stratified: 0.2).")]
PerClassOpt = Annotated[int | None, typer.Option(metavar="N", help="Images of each class, good included (uniform: 10).")]
TestPerClassOpt = Annotated[int | None, typer.Option(metavar="N", help="Of these, test images (uniform: 2).")]
FoldsOpt = Annotated[int | None, typer.Option(metavar="N", help="Number of folds (kfold: 5).")]
FoldOpt = Annotated[int | None, typer.Option(metavar="K", help="The fold to test on, from 0 (kfold: 0).")]
SeedOpt = Annotated[int | None, typer.Option(metavar="N", help="Seed of the random draw (0).")]


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
        print(f"{folder}: {images} images, {len(PRODUCT_DEFECTS)} kinds of defect and good")


@app.command()
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
    category: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this product; repeatable.")] = None,
    as_json: JsonOpt = False,
) -> None:
    """Assign every image to train, val or test, and save it as CSV."""
    from toolkit.splits import write_split

    source = _source(root, category)
    numbers = _numbers(val, test, per_class, test_per_class, folds, fold, seed)
    made = _split(source, strategy.value, numbers)
    _check_csv(out)
    write_split(made, out)
    counts = _counts(source, made)
    if as_json:
        print_json({"out": str(out), "strategy": made.strategy, "settings": made.settings, "subsets": counts})
        return
    names = sorted({name for subset in counts.values() for name in subset})
    rows = [[name, *(subset.get(name, 0) for subset in counts.values())] for name in names]
    rows.append(["all", *(sum(subset.values()) for subset in counts.values())])
    print_table(f"{out} ({made.strategy})", ["class", *counts], rows)
    print_notes((*source.notes, *made.notes))


def _check_csv(out: Path) -> None:
    """Replace an older split, but no other file."""
    if out.is_dir():
        raise ToolkitError(out, "is a folder", "name a CSV file")
    if out.is_file():
        with open(out, "rb") as file:
            head = file.read(10)
        if head and not head.startswith((b"# strategy", b"key,subset")):
            raise ToolkitError(out, "exists and is no split", "choose another name")


def _counts(source: Dataset | LabelTree, made: Split) -> dict[str, dict[str, int]]:
    """Subset -> class of the image -> images."""
    counts: dict[str, dict[str, int]] = {name: {} for name in ("train", "val", "test") if name in made.values()}
    for sample in getattr(source, "samples", source):
        if sample.key in made:
            of_class = counts[made[sample.key]]
            of_class[sample.defect] = of_class.get(sample.defect, 0) + 1
    return counts


def _source(root: Path, categories: list[str] | None) -> Dataset | LabelTree:
    from converters.codecs import open_source
    from toolkit.samples import Dataset

    source = open_source(root)
    if not categories:
        return source
    if not isinstance(source, Dataset):
        raise ToolkitError("--category", "a label tree has no categories", "leave it out")
    return source.only(categories)


def _numbers(*values: float | None) -> dict[str, Any]:
    """Settings of a split that were given, by the names that `split_dataset` knows them by."""
    names = ("val", "test", "per_class", "test_per_class", "folds", "fold", "seed")
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}


_OF_STRATEGY = {
    "native": set[str](),
    "stratified": {"val", "test", "seed"},
    "uniform": {"per_class", "test_per_class", "seed"},
    "kfold": {"folds", "fold", "val", "seed"},
}


def _split(source: Dataset | LabelTree, strategy: str, numbers: dict[str, Any]) -> Split:
    from toolkit.splits import split_dataset

    foreign = sorted(set(numbers) - _OF_STRATEGY[strategy])
    if foreign:
        flag = "--" + foreign[0].replace("_", "-")
        fitting = [name for name, settings in _OF_STRATEGY.items() if foreign[0] in settings]
        raise ToolkitError(flag, f"does not go with --strategy {strategy}", f"use --strategy {' or '.join(fitting)}")
    return split_dataset(getattr(source, "samples", source), strategy, **numbers)


@app.command()
def convert(
    root: RootArg,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write into; each format gets a folder in it.")],
    to: Annotated[
        list[str],
        typer.Option(
            metavar="FORMAT[,FORMAT...]",
            help="yolo-detect, yolo-segment, yolo-obb, yolo-classify, coco, semantic, panoptic, masks.",
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
    category: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this product; repeatable.")] = None,
    classes: Annotated[Classes, typer.Option(help="How to name classes.")] = Classes.defect,
    instances: Annotated[str, typer.Option(help="components, image or merge:GAP (pixels).")] = "components",
    min_area: Annotated[int, typer.Option(metavar="PX", help="Leave smaller components out; the manifest lists them.")] = 0,
    min_iou: Annotated[float, typer.Option(metavar="IOU", help="Below 1: the fewest vertices that keep this IoU.")] = 1.0,
    join_parts: Annotated[
        bool, typer.Option("--join-parts", help="YOLO: one row for an instance in parts; bridges are counted.")
    ] = False,
    segmentation: Annotated[Segmentation, typer.Option(help="COCO: polygons or run lengths.")] = Segmentation.polygon,
    images: Annotated[Images, typer.Option(help="How images get into the trees.")] = Images.hardlink,
    on_problem: Annotated[OnProblem, typer.Option(help="Stop at faulty files, or go on without them.")] = OnProblem.fail,
    threshold: Annotated[int | None, typer.Option(metavar="N", help="Grey values from N on are defect.")] = None,
    workers: WorkersOpt = 0,
    cluster: Annotated[str | None, typer.Option(metavar="URL", help="Dask scheduler, tcp://host:port.")] = None,
    overwrite: OverwriteOpt = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")] = False,
    as_json: JsonOpt = False,
) -> None:
    """Write a dataset, or any label tree, in one or more label formats."""
    from converters.pipeline import convert as run
    from toolkit.splits import read_split

    source = _source(root, category)
    numbers = _numbers(val, test, per_class, test_per_class, folds, fold, seed)
    chosen = None
    if split_file is not None:
        if strategy is not None or numbers:
            raise ToolkitError("--split", "comes with settings of another split", "leave out --strategy and its numbers")
        chosen = read_split(split_file, getattr(source, "samples", source))
    elif strategy is not None:
        chosen = _split(source, strategy.value, numbers)
    elif numbers:
        raise ToolkitError("--" + next(iter(numbers)).replace("_", "-"), "needs a --strategy", "add one")
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
    _print_manifests(report.manifests, f"{report.out} ({report.seconds:.1f} s)")
    print_notes([f"left out: {problem}" for problem in report.skipped] + list(report.notes))


def _print_manifests(manifests: dict[str, dict[str, Any]], title: str) -> None:
    rows = []
    for name, manifest in manifests.items():
        counts = list(manifest["subsets"].values())
        sums = [sum(subset[part] for subset in counts) for part in ("images", "instances", "background")]
        fidelity, components = manifest["fidelity"], manifest["components"]
        exact = f"{fidelity['exact']} of {fidelity['images']}"
        rows.append([name, *sums, exact, f"{fidelity['min_iou']:.4f}", len(components["skipped"])])
    header = ["format", "images", "instances", "background", "exact", "min IoU", "left out"]
    print_table(title, header, rows)


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
    if as_json:
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
        print_json({"passed": report.passed, "min_iou": report.min_iou, "trees": trees, "notes": report.notes})
    else:
        rows = [
            [tree.kind, tree.images, f"{tree.exact} of {tree.compared}", f"{tree.min_iou:.4f}", len(tree.failures)]
            for tree in report.trees
        ]
        print_table(str(out), ["format", "images", "exact", "min IoU", "failures"], rows)
        print_notes(report.notes)
        for line in report.failures:
            print(f"failed: {line}", file=sys.stderr)
    if not report.passed:
        raise typer.Exit(1)


@app.command()
def demo(
    out: Annotated[Path, typer.Argument(metavar="[OUT]", help="Folder to write into.")] = Path("defectkit-demo"),
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
        _print_manifests(made.manifests, str(made.labels))
        verdict = f"verified, min IoU {made.min_iou:.4f}" if made.passed else "NOT what the masks say"
        print(f"dataset   {made.dataset}: a synthetic zipper in MVTec layout, 7 kinds of defect and good")
        print(f"split     {made.split}: train, val and test, stratified")
        print(f"labels    {made.labels}: {len(made.manifests)} formats, {verdict}")
        print(f"picture   {made.overlay}: the labels as they were written, drawn over the images")
    if not made.passed:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; exit with 0, 1 (a check failed) or 2 (the input is at fault)."""
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    import click

    try:
        status = app(args=arguments, prog_name="defectkit", standalone_mode=False)
    except ToolkitError as error:
        if debug:
            raise
        print_error(error)
        status = 2
    except click.UsageError as error:
        where = f"{error.ctx.command_path}: " if error.ctx else ""
        command = error.ctx.command_path if error.ctx else "defectkit"
        print(f"error: {where}{_one_line(error.format_message())}; see '{command} --help'", file=sys.stderr)
        status = 2
    except (click.Abort, KeyboardInterrupt):
        print("interrupted; nothing half-written is left in place, --resume goes on where it can", file=sys.stderr)
        status = 130
    sys.exit(status or 0)


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


if __name__ == "__main__":
    main()
