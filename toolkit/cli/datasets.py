"""Commands on the dataset itself: make one, split it, compare two."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.layouts import open_roots, with_layout
from toolkit.cli.options import (
    CategoryOpt,
    JsonOpt,
    PlacesArg,
    Strategy,
    WorkersOpt,
    roots_and_out,
    with_numbers,
)
from toolkit.cli.terminal import print_json, print_notes, print_table, progress_bar, say
from toolkit.errors import ToolkitError

if TYPE_CHECKING:
    from converters.differences import DiffReport

__all__ = ["diff", "split", "synth"]

_Extend = Annotated[
    Path | None,
    typer.Option(metavar="OLD.csv", help="Keep what this split says, and draw what is new, by its settings."),
]


def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Dataset root; the product becomes a folder in it.")],
    product: Annotated[str, typer.Option(metavar="NAME", help="Name of the product's folder.")] = "zipper",
    image_size: Annotated[int, typer.Option(metavar="PX", help="Width and height of the images.")] = 256,
    per_class: Annotated[int, typer.Option(metavar="N", help="Test images of each class.")] = 10,
    train_good: Annotated[int, typer.Option(metavar="N", help="Good images to train on.")] = 64,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same bytes.")] = 0,
    defect_size: Annotated[
        int | None, typer.Option(metavar="PX", help="Defects of so many pixels each, instead of the usual ones.")
    ] = None,
    as_json: JsonOpt = False,
) -> None:
    """Make a small synthetic product in MVTec layout, with exact masks."""
    from toolkit.synthetic.product import PRODUCT_DEFECTS, write_product

    with progress_bar("drawing") as progress:
        folder = write_product(
            out,
            product=product,
            image_size=image_size,
            per_class=per_class,
            train_good=train_good,
            seed=seed,
            defect_size=defect_size,
            progress=progress,
        )
    images = train_good + per_class * (len(PRODUCT_DEFECTS) + 1)
    if as_json:
        print_json({"root": str(folder), "images": images, "classes": ["good", *PRODUCT_DEFECTS], "seed": seed})
    else:
        say(f"{folder}: {images} images, {len(PRODUCT_DEFECTS)} kinds of defect and good")


@with_layout
@with_numbers
def split(
    places: PlacesArg,
    strategy: Annotated[Strategy | None, typer.Option(help="How to split; by default as the older split was.")] = None,
    numbers: Any = None,
    extend: _Extend = None,
    category: CategoryOpt = None,
    as_json: JsonOpt = False,
    layout: Any = None,
) -> None:
    """Assign every image to train, val or test, and save it as OUT, a CSV. Images with the same bytes share a subset.

    Several roots are split as `convert` merges them.
    """
    from toolkit.cli.splits import check_csv, count_classes, make_split
    from toolkit.dataset.splits import load_split, write_split

    roots, out = roots_and_out(places, "split")
    if strategy is None and extend is None:
        raise ToolkitError("defectkit split", "misses '--strategy'", "add --strategy stratified, or --extend OLD.csv")
    check_csv(out)
    source = open_roots(roots, category, layout)
    samples = source.dataset
    older = None if extend is None else load_split(extend, {sample.key for sample in samples})
    made = make_split(samples, None if strategy is None else strategy.value, numbers, older)
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


_SHOWN = 20  # lines of each kind; JSON has all


@with_layout
def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="A dataset, a label tree, or a split CSV.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="What it became.")],
    workers: WorkersOpt = 0,
    as_json: JsonOpt = False,
    layout: Any = None,
) -> None:
    """Say what came, went and changed: images, subsets, classes, labels. Exit status 0 if nothing did, else 1."""
    from converters.differences import diff as run

    with progress_bar("comparing") as progress:
        report = run(before, after, layout=layout, workers=workers or os.cpu_count() or 1, progress=progress)
    if as_json:
        print_json(report.as_json())
    else:
        lines = _lines_of(report)
        rows = [["images", report.images[0], report.images[1]]]
        print_table(f"{before} -> {after}", ["", "before", "after"], rows)
        for title, found in lines.items():
            if found:
                say(f"{title}: {len(found)}")
                say("\n".join(f"  {line}" for line in found[:_SHOWN]))
                if len(found) > _SHOWN:
                    say(f"  ... {len(found) - _SHOWN} more, which --json lists")
        if report.equal:
            say("nothing differs")
        print_notes(report.notes)
    if not report.equal:
        raise typer.Exit(1)


def _lines_of(report: DiffReport) -> dict[str, list[str]]:
    """What is said of each kind of difference."""
    labels = [
        f"{one.key}: {_counted(one.before)} -> {_counted(one.after)}, "
        + ("the image has another size" if one.iou is None else f"IoU of marked pixels {one.iou:.4f}")
        for one in report.labels
    ]
    return {
        "images that came": list(report.came),
        "images that went": list(report.went),
        "images under another name": [f"{old} -> {new}" for old, new in report.renamed],
        "images in another subset": [f"{key}: {old or '-'} -> {new or '-'}" for key, old, new in report.moved],
        "classes that came": list(report.classes_came),
        "classes that went": list(report.classes_went),
        "images of another class": [f"{key}: {old} -> {new}" for key, old, new in report.reclassed],
        "images with other labels": labels,
        "image files with other bytes": list(report.pictures),
    }


def _counted(instances: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in instances.items()) or "nothing"
