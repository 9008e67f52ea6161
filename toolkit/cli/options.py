"""The options of the command line that several commands share: their values, names and help."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from toolkit.errors import ToolkitError

__all__ = [
    "AgainstOpt",
    "CategoryOpt",
    "Classes",
    "ClusterOpt",
    "Images",
    "JsonOpt",
    "MaxEscapeOpt",
    "MaxFalseRejectOpt",
    "OnProblem",
    "OnProblemOpt",
    "OverwriteOpt",
    "PanopticLayout",
    "PlacesArg",
    "PromiseOpt",
    "ResumeOpt",
    "RootArg",
    "Segmentation",
    "SplitOpt",
    "Strategy",
    "StrategyOpt",
    "ThresholdOpt",
    "WorkersOpt",
    "one_or_several",
    "read_tiles",
    "roots_and_out",
    "with_links",
    "with_looking",
    "with_numbers",
    "with_selection",
    "with_tiles",
]


def roots_and_out(places: list[Path], command: str) -> tuple[list[Path], Path]:
    """What a command reads, and what it writes.

    Raises:
        ToolkitError: one of them is missing, or a format stands where OUT should, behind a comma that was forgotten.
    """
    from converters.formats.registry import FORMATS

    help_remedy = f"see 'defectkit {command} --help'"
    if len(places) < 2:
        raise ToolkitError(f"defectkit {command}", "Missing argument 'OUT'", help_remedy)
    *roots, out = places
    if len(roots) > 1 and str(out) in FORMATS:
        remedy = f"put commas between formats, no spaces (--to coco,yolo-segment), or call OUT otherwise; {help_remedy}"
        raise ToolkitError(f"defectkit {command}", f"unexpected '{out}', which is a format", remedy)
    return roots, out


def one_or_several(given: list[Path] | None) -> Path | list[Path] | None:
    """A path that may be given several times, as the packages take it."""
    return given[0] if given is not None and len(given) == 1 else given or None


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


class PanopticLayout(StrEnum):
    """Where the maps of panoptic trees lie."""

    flat = "flat"
    coco = "coco"


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
PlacesArg = Annotated[
    list[Path],
    typer.Argument(
        metavar="ROOT [ROOT...] OUT", help="Dataset roots or label trees, which are merged; last, what to write."
    ),
]
AgainstOpt = Annotated[
    list[Path] | None,
    typer.Option(metavar="ROOT", help="The source; by default the one in the manifests. Repeat it for several."),
]
CategoryOpt = Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this product; may be repeated.")]
OnProblemOpt = Annotated[OnProblem, typer.Option(help="Stop at faulty files, or go on without them.")]
JsonOpt = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
OverwriteOpt = Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier run wrote there.")]
ResumeOpt = Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")]
WorkersOpt = Annotated[int, typer.Option(metavar="N", help="Threads; 0 takes one for each processor.")]
ClusterOpt = Annotated[
    str | None,
    typer.Option("--cluster", metavar="URL", help="Dask scheduler, tcp://host:port; its workers see the same folders."),
]
ThresholdOpt = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        help="Instead of the run's own: of an image's score (vae), of p(good) (classifier, longtail), of a detection's "
        "score (yolo, yolo-world).",
    ),
]
MaxFalseRejectOpt = Annotated[
    str | None,
    typer.Option(metavar="RATE", help="Choose the threshold that rejects at most this share of good images, '5 %'."),
]
MaxEscapeOpt = Annotated[
    str | None,
    typer.Option(metavar="RATE", help="Choose the threshold that lets at most this share of defective images pass."),
]
PromiseOpt = Annotated[
    str | None,
    typer.Option(
        metavar="expected|sure",
        help="What such a share promises: kept on average (the default), or with 95 % confidence.",
    ),
]
SplitOpt = Annotated[Path | None, typer.Option("--split", metavar="FILE.csv", help="A saved split.")]
StrategyOpt = Annotated[Strategy | None, typer.Option(help="Split now; without it the dataset's own subsets.")]
_SPLIT_NUMBERS: dict[str, Any] = {
    "val": Annotated[float | None, typer.Option(metavar="SHARE", help="Share of val (stratified: 0.1; kfold: 0).")],
    "test": Annotated[float | None, typer.Option(metavar="SHARE", help="Share of test (stratified: 0.2).")],
    "per_class": Annotated[
        int | None, typer.Option(metavar="N", help="Images of each class and of good (uniform: 10).")
    ],
    "test_per_class": Annotated[int | None, typer.Option(metavar="N", help="Of these, test images (uniform: 2).")],
    "folds": Annotated[int | None, typer.Option(metavar="N", help="Number of folds (kfold: 5).")],
    "fold": Annotated[int | None, typer.Option(metavar="K", help="The fold to test on, from 0 (kfold: 0).")],
    "seed": Annotated[int | None, typer.Option(metavar="N", help="Seed of the random draw (0).")],
    "group": Annotated[
        str | None,
        typer.Option(
            metavar="PATTERN",
            help="Images that share a subset: '{part}_*', those in whose keys {part} is the same; or near-duplicates.",
        ),
    ],
    "leave_out": Annotated[
        list[str] | None, typer.Option(metavar="CLASS", help="A class of images without a subset; may be repeated.")
    ],
}


_SELECTION: dict[str, Any] = {
    "rename": Annotated[
        list[str] | None, typer.Option(metavar="OLD=NEW", help="Another name for a class; may be repeated.")
    ],
    "only": Annotated[
        list[str] | None, typer.Option(metavar="CLASS", help="Only objects of this class; may be repeated.")
    ],
    "drop_empty": Annotated[bool | None, typer.Option("--drop-empty", help="Leave out images without objects.")],
    "max_area": Annotated[int | None, typer.Option(metavar="PX", help="Leave larger components or objects out.")],
}


_TILES: dict[str, Any] = {
    "tiles": Annotated[int | None, typer.Option(metavar="SIDE", help="Cut images into tiles of so many pixels.")],
    "overlap": Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Share of a side that neighbouring tiles share (0.2)."),
    ],
    "tiles_background": Annotated[
        int | None,
        typer.Option(metavar="N", help="Of each train image at most N tiles without an object; else all."),
    ],
}


_LOOKING: dict[str, Any] = {
    "tiles": Annotated[
        int | None,
        typer.Option(metavar="SIDE", help="yolo, yolo-world: look at tiles of so many pixels, put together again."),
    ],
    "overlap": _TILES["overlap"],
}


def with_looking(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that have a run look at tiles, in the place of `looking`."""
    return _with(command, "looking", _LOOKING)


def with_tiles(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say how images are cut, in the place of `tiles`, as below."""
    return _with(command, "tiles", _TILES)


def read_tiles(given: Mapping[str, Any]) -> Any:
    """How images are to be cut, as `convert` takes it; None where they are not.

    Raises:
        ToolkitError: there are to be no tiles, and an option says something of them.
    """
    from toolkit.geometry.tiles import Tiles

    if "tiles" not in given:
        for name in given:
            flag = f"--{name.replace('_', '-')}"
            raise ToolkitError(flag, "says how tiles are cut, and there are to be none", "add --tiles SIDE")
        return None
    told = {"overlap": given.get("overlap"), "background": given.get("tiles_background")}
    return Tiles(given["tiles"], **{name: value for name, value in told.items() if value is not None})


def with_numbers(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the strategies, in the place of `numbers`; it gets those that are given as that."""
    return _with(command, "numbers", _SPLIT_NUMBERS)


def with_selection(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which objects are asked for, in the place of `selection`, as above."""
    return _with(command, "selection", _SELECTION)


def _with(command: Callable[..., None], place: str, options: Mapping[str, Any]) -> Callable[..., None]:
    """Give a command options in the place of one parameter; it gets those that are given as that, by their names."""

    @wraps(command)
    def told(**given: Any) -> None:
        values = {name: given.pop(name) for name in options}
        command(**given, **{place: {name: value for name, value in values.items() if value not in (None, [])}})

    signature = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for name, one in signature.parameters.items():
        kept = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY)]
        added = [
            inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
            for option, annotation in options.items()
        ]
        parameters += added if name == place else kept
    told.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    told.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": None}
    return told


_FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Read what links lead to outside of the folders that are named.")
]


def with_links(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that reads a root the option that lets links lead out of it."""

    @wraps(command)
    def told(**given: Any) -> None:
        from toolkit.files.reach import following_links

        with following_links(given.pop("follow_links")):
            command(**given)

    signature = inspect.signature(command, eval_str=True)
    option = inspect.Parameter("follow_links", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_FollowLinks)
    own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in signature.parameters.values()]
    told.__signature__ = signature.replace(parameters=[*own, option])  # type: ignore[attr-defined]
    told.__annotations__ = {one.name: one.annotation for one in (*own, option)} | {"return": None}
    return told
