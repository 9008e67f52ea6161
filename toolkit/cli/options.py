"""The options of the command line that several commands share: their values, names and help."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "CategoryOpt",
    "Classes",
    "FoldOpt",
    "FoldsOpt",
    "GroupOpt",
    "Images",
    "JsonOpt",
    "LeaveOutOpt",
    "OnProblem",
    "OverwriteOpt",
    "PerClassOpt",
    "ResumeOpt",
    "RootArg",
    "SeedOpt",
    "Segmentation",
    "SplitOpt",
    "Strategy",
    "StrategyOpt",
    "TestOpt",
    "TestPerClassOpt",
    "ValOpt",
    "WorkersOpt",
]


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
CategoryOpt = Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this product; may be repeated.")]
JsonOpt = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
OverwriteOpt = Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier run wrote there.")]
ResumeOpt = Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")]
WorkersOpt = Annotated[int, typer.Option(metavar="N", help="Threads; 0 takes one for each processor.")]
SplitOpt = Annotated[Path | None, typer.Option("--split", metavar="FILE.csv", help="A saved split.")]
StrategyOpt = Annotated[Strategy | None, typer.Option(help="Split now; without it the dataset's own subsets.")]
ValOpt = Annotated[float | None, typer.Option(metavar="SHARE", help="Share of val (stratified: 0.1; kfold: 0).")]
TestOpt = Annotated[float | None, typer.Option(metavar="SHARE", help="Share of test (stratified: 0.2).")]
PerClassOpt = Annotated[int | None, typer.Option(metavar="N", help="Images of each class and of good (uniform: 10).")]
TestPerClassOpt = Annotated[int | None, typer.Option(metavar="N", help="Of these, test images (uniform: 2).")]
FoldsOpt = Annotated[int | None, typer.Option(metavar="N", help="Number of folds (kfold: 5).")]
FoldOpt = Annotated[int | None, typer.Option(metavar="K", help="The fold to test on, from 0 (kfold: 0).")]
SeedOpt = Annotated[int | None, typer.Option(metavar="N", help="Seed of the random draw (0).")]
GroupOpt = Annotated[
    str | None,
    typer.Option(
        metavar="PATTERN",
        help="Images that share a subset: near-duplicates, or those in whose keys {x} is the same, as '{x}_*'.",
    ),
]
LeaveOutOpt = Annotated[
    list[str] | None,
    typer.Option(metavar="CLASS", help="A class of images that gets no subset; may be repeated."),
]
