"""The command that tells what a dataset holds."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
from toolkit.cli.terminal import print_failures, print_json, print_notes, print_table, progress_bar, say
from toolkit.errors import ToolkitError

if TYPE_CHECKING:
    from converters.sources import Source
    from toolkit.card.model import DatasetCard

__all__ = ["describe", "print_card"]


_Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Also write a card: Markdown, JSON and plots as PNG.")]

_Near = Annotated[
    bool, typer.Option("--near-duplicates", help="Also look for copies that were changed a little; this takes a while.")
]


_Suspects = Annotated[
    list[Path] | None,
    typer.Option(metavar="RUN", help="Also rank labels by what this run, trained on them, says; may be repeated."),
]
_FailOn = Annotated[
    str | None,
    typer.Option(
        metavar="PROBLEM,...",
        help="Exit with 1 where there are: problems, duplicates, near-duplicates, leaks, conflicts, missing-classes,"
        " published, suspects.",
    ),
]
_Report = Annotated[
    Path | None, typer.Option(metavar="FILE.html", help="Also write a report with pictures, in one file to pass on.")
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
    suspects: _Suspects = None,
    report: _Report = None,
    fail_on: _FailOn = None,
    category: CategoryOpt = None,
    workers: WorkersOpt = 0,
    cluster: ClusterOpt = None,
    overwrite: OverwriteOpt = False,
    as_json: JsonOpt = False,
    layout: Any = None,
) -> None:
    """Tell what a dataset holds: classes, subsets and how even they are, sizes, areas, duplicates, problems."""
    from toolkit.card import describe_dataset
    from toolkit.card.gate import GATES, failures, parse_gates
    from toolkit.cli.splits import choose_split

    gates = parse_gates(fail_on)
    source = open_root(root, category, layout, cluster)
    chosen = choose_split(source.dataset, split_file, strategy, numbers)
    _check(source, out, report, suspects, gates, overwrite=overwrite)
    with progress_bar("measuring") as progress:
        card = describe_dataset(
            source.dataset,
            split=chosen,
            labels=source.reader,
            names=None if source.tree is None else source.tree.names,
            near=near_duplicates or bool(suspects) or "near-duplicates" in gates,
            workers=workers or os.cpu_count() or 1,
            cluster=cluster,
            progress=progress,
        )
    if suspects:
        card = _with_suspects(card, source, suspects, chosen)
    _write(card, source, out, report)
    failed = failures(card, gates)
    _print(card, source, {"out": out, "report": report}, failed, gates, as_json=as_json)
    if failed:
        print_failures([f"{source.root}: {count} {GATES[name]} ({name})" for name, count in failed.items()])
        raise typer.Exit(1)


def _check(
    source: Source,
    out: Path | None,
    report: Path | None,
    runs: list[Path] | None,
    gates: Sequence[str],
    *,
    overwrite: bool,
) -> None:
    """Refuse what cannot be asked, read or written, before anything is measured.

    Raises:
        ToolkitError: something is in the way of an output, or there is no such run.
    """
    from toolkit.card.writer import check_card

    if "suspects" in gates and not runs:
        raise ToolkitError("--fail-on", "asks for suspects, and no run is asked", "add --suspects RUN")
    if out is not None:
        check_card(out, source.root, overwrite=overwrite)
    if report is not None:
        from converters.viewing.report import check_report

        check_report(report, source.root, overwrite=overwrite)
    if runs:
        from finetune.engine.runs import open_run

        for run in runs:
            open_run(run)


def _with_suspects(card: DatasetCard, source: Source, runs: list[Path], split: Mapping[str, str] | None) -> DatasetCard:
    """A card that tells which labels are suspicious, of the images that it counts."""
    from finetune.suspects.ranking import find_suspects

    with progress_bar("looking") as progress:
        found = find_suspects(source, runs, copies=card.near_duplicates, progress=progress)
    ranked = tuple(one for one in found.ranked if split is None or one.key in split)
    return replace(card, suspects=ranked, witnesses=found.runs, notes=(*card.notes, *found.notes))


def _write(card: DatasetCard, source: Source, out: Path | None, report: Path | None) -> None:
    from toolkit.card.writer import write_card

    if out is not None:
        write_card(card, out)
    if report is not None:
        from converters.viewing.report import write_report

        write_report(card, source, report, table=None if out is None else out / "suspects.csv")


def _print(
    card: DatasetCard,
    source: Source,
    written: Mapping[str, Path | None],
    failed: Mapping[str, int],
    gates: Sequence[str],
    *,
    as_json: bool,
) -> None:
    """The card on stdout, and what was written."""
    examples = [
        dict(zip(("pattern", "image", "masks", "taken_for"), one, strict=True)) for one in source.dataset.examples
    ]
    if as_json:
        more: dict[str, object] = {name: str(path) for name, path in written.items() if path is not None}
        more |= {"failed": dict(failed)} if gates else {}
        print_json(card.as_json() | more | ({"examples": examples} if examples else {}))
        return
    if examples:
        rows = [list(one.values()) for one in examples]
        print_table("How the patterns are read", ["pattern", "image", "masks", "taken for"], rows, texts=4)
    print_card(card)
    print_notes(card.notes)
    out, report = written["out"], written["report"]
    if out is not None:
        say(f"{out}: card.md, card.json and plots" + (", suspects.csv" if card.suspects is not None else ""))
    if report is not None:
        say(f"{report}: open it in a browser, and print it there for a PDF")
    if card.suspects is not None:
        told = "add --out DIR, which writes suspects.csv" if out is None else ""
        say(f"next      {told or f'defectkit view {source.root} --suspects {out}/suspects.csv'}")


_WIDTH = 100  # columns of a paragraph in a terminal


def print_card(card: DatasetCard) -> None:
    """The card on stdout."""
    from toolkit.card.text import card_tables

    say("\n".join(textwrap.wrap(card.summary, _WIDTH)) + "\n")
    for title, header, rows, texts in card_tables(card):
        print_table(title, header, rows, texts=texts)
