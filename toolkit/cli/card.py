"""The command that tells what a dataset holds."""

from __future__ import annotations

import os
import textwrap
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.options import (
    CategoryOpt,
    FoldOpt,
    FoldsOpt,
    JsonOpt,
    OverwriteOpt,
    PerClassOpt,
    RootArg,
    SeedOpt,
    Strategy,
    TestOpt,
    TestPerClassOpt,
    ValOpt,
    WorkersOpt,
)
from toolkit.cli.sources import open_root, samples_of
from toolkit.cli.terminal import print_json, print_notes, print_table, progress_bar, say

if TYPE_CHECKING:
    from converters.formats.label_tree import Entry, LabelTree
    from toolkit.card.model import DatasetCard
    from toolkit.card.statistics import LabelReader
    from toolkit.dataset.samples import Dataset, Sample
    from toolkit.geometry.labels import LabelledImage

__all__ = ["describe", "print_card"]

_BOXES = ("yolo-detect", "yolo-obb")


def describe(
    root: RootArg,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write a card: Markdown, JSON and plots as PNG.")
    ] = None,
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
    workers: WorkersOpt = 0,
    overwrite: OverwriteOpt = False,
    as_json: JsonOpt = False,
) -> None:
    """Tell what a dataset holds: classes, subsets and how even they are, sizes, areas, duplicates, problems."""
    from toolkit.card import describe_dataset
    from toolkit.card.writer import check_card, write_card
    from toolkit.cli.splits import choose_split, given_numbers

    source = open_root(root, category)
    numbers = given_numbers(val, test, per_class, test_per_class, folds, fold, seed)
    chosen = choose_split(samples_of(source), split_file, strategy, numbers)
    if out is not None:
        check_card(out, source.root, overwrite=overwrite)
    with progress_bar("measuring") as progress:
        dataset, labels, names = _members(source)
        card = describe_dataset(
            dataset,
            split=chosen,
            labels=labels,
            names=names,
            workers=workers or os.cpu_count() or 1,
            progress=progress,
        )
    if out is not None:
        write_card(card, out)
    if as_json:
        print_json(card.as_json() | ({"out": str(out)} if out is not None else {}))
        return
    print_card(card)
    print_notes(card.notes)
    if out is not None:
        say(f"{out}: card.md, card.json and plots")


def _members(source: Dataset | LabelTree) -> tuple[Dataset, LabelReader | None, list[str] | None]:
    """What to describe: a dataset; of a label tree its images as one, what reads their labels, and its class names."""
    from toolkit.dataset.samples import Dataset

    if isinstance(source, Dataset):
        return source, None, None
    notes = list(source.notes)
    if source.kind in _BOXES:
        notes.append("labels are boxes: areas and heat maps are those of boxes")
    dataset = Dataset(
        source.samples, root=source.root, layout=source.kind, layout_problems=source.layout_problems, notes=notes
    )
    entries = {entry.sample.key: entry for entry in source.entries}
    return dataset, partial(_read_labels, entries=entries), source.names


def _read_labels(sample: Sample, entries: dict[str, Entry]) -> LabelledImage:
    return entries[sample.key].labelled()


_WIDTH = 100  # columns of a paragraph in a terminal


def print_card(card: DatasetCard) -> None:
    """The card on stdout."""
    from toolkit.card.text import card_tables

    say("\n".join(textwrap.wrap(card.summary, _WIDTH)) + "\n")
    for title, header, rows, texts in card_tables(card):
        print_table(title, header, rows, texts=texts)
