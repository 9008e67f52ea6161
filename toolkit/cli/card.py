"""The command that tells what a dataset holds."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.layouts import open_root, with_layout
from toolkit.cli.options import (
    CategoryOpt,
    ClusterOpt,
    JsonOpt,
    OverwriteOpt,
    RootArg,
    SplitOpt,
    StrategyOpt,
    WorkersOpt,
    with_numbers,
)
from toolkit.cli.terminal import print_json, print_notes, print_table, progress_bar, say

if TYPE_CHECKING:
    from toolkit.card.model import DatasetCard

__all__ = ["describe", "print_card"]


_Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Also write a card: Markdown, JSON and plots as PNG.")]

_Near = Annotated[
    bool, typer.Option("--near-duplicates", help="Also look for copies that were changed a little; this takes a while.")
]


@with_layout
@with_numbers
def describe(
    root: RootArg,
    out: _Out = None,
    split_file: SplitOpt = None,
    strategy: StrategyOpt = None,
    numbers: Any = None,
    near_duplicates: _Near = False,
    category: CategoryOpt = None,
    workers: WorkersOpt = 0,
    cluster: ClusterOpt = None,
    overwrite: OverwriteOpt = False,
    as_json: JsonOpt = False,
    layout: Any = None,
) -> None:
    """Tell what a dataset holds: classes, subsets and how even they are, sizes, areas, duplicates, problems."""
    from toolkit.card import describe_dataset
    from toolkit.card.writer import check_card, write_card
    from toolkit.cli.splits import choose_split

    source = open_root(root, category, layout, cluster)
    chosen = choose_split(source.dataset, split_file, strategy, numbers)
    if out is not None:
        check_card(out, source.root, overwrite=overwrite)
    with progress_bar("measuring") as progress:
        card = describe_dataset(
            source.dataset,
            split=chosen,
            labels=source.reader,
            names=None if source.tree is None else source.tree.names,
            near=near_duplicates,
            workers=workers or os.cpu_count() or 1,
            cluster=cluster,
            progress=progress,
        )
    if out is not None:
        write_card(card, out)
    examples = [
        dict(zip(("pattern", "image", "masks", "taken_for"), one, strict=True)) for one in source.dataset.examples
    ]
    if as_json:
        more = {"out": str(out)} if out is not None else {}
        print_json(card.as_json() | more | ({"examples": examples} if examples else {}))
        return
    if examples:
        rows = [list(one.values()) for one in examples]
        print_table("How the patterns are read", ["pattern", "image", "masks", "taken for"], rows, texts=4)
    print_card(card)
    print_notes(card.notes)
    if out is not None:
        say(f"{out}: card.md, card.json and plots")


_WIDTH = 100  # columns of a paragraph in a terminal


def print_card(card: DatasetCard) -> None:
    """The card on stdout."""
    from toolkit.card.text import card_tables

    say("\n".join(textwrap.wrap(card.summary, _WIDTH)) + "\n")
    for title, header, rows, texts in card_tables(card):
        print_table(title, header, rows, texts=texts)
