"""How a root is laid out, as the command line says it: the options of every command on a dataset, and the list."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.options import JsonOpt, with_links
from toolkit.cli.terminal import print_json, print_table, say
from toolkit.errors import ToolkitError

if TYPE_CHECKING:
    from converters.sources import LayoutLike, Source

__all__ = ["layouts", "open_root", "open_roots", "with_layout"]


class WithoutLabel(StrEnum):
    """What images without a label are."""

    good = "good"
    unlabelled = "unlabelled"


class VocBoxes(StrEnum):
    """What corners of Pascal VOC boxes are."""

    inclusive1 = "inclusive1"
    edges0 = "edges0"


_LayoutOpt = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE.yaml",
        help="How ROOT is laid out; 'defectkit layouts' lists what is built in. Of labels, their format.",
    ),
]
_ImageOpt = Annotated[
    str | None, typer.Option(metavar="PATTERN", help="Where the images are, such as 'images/{name}.jpg'.")
]
_MaskOpt = Annotated[
    str | None, typer.Option(metavar="PATTERN", help="Where the mask of such an image is: 'masks/{name}.png'.")
]
_ValuesOpt = Annotated[
    str | None,
    typer.Option(metavar="MEANING", help="Of masks: nonzero, '>=128', alpha, ids, or '1=scratch,2=dent'."),
]
_GoodOpt = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Folder of images without a defect; may be repeated.")
]
_WithoutLabelOpt = Annotated[
    WithoutLabel | None, typer.Option(help="What an image is that has no mask or label; else as the layout has it.")
]
_VocBoxesOpt = Annotated[
    VocBoxes | None,
    typer.Option(help="Pascal VOC: corners are pixels from 1, or edges from 0; else as the tree's boxes tell."),
]
_OPTIONS = {
    "layout": _LayoutOpt,
    "image": _ImageOpt,
    "mask": _MaskOpt,
    "values": _ValuesOpt,
    "good": _GoodOpt,
    "without_label": _WithoutLabelOpt,
    "voc_boxes": _VocBoxesOpt,
}


def with_layout(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say how its root is laid out; it gets what they come to as `layout`.

    And the one that lets links lead out of it.
    """

    @wraps(command)
    def told(**given: Any) -> None:
        said = {name: getattr(value, "value", value) for name in _OPTIONS for value in [given.pop(name)]}
        if any(said.values()):
            from converters.formats.registry import FORMATS, READ_ONLY
            from toolkit.dataset.layouts import chosen_layout

            if said["layout"] in (*FORMATS, *READ_ONLY):
                said["layout"] = {"labels": {"alone": said["layout"]}}
            command(**given, layout=chosen_layout(**said))
        else:
            command(**given, layout=None)

    signature = inspect.signature(command, eval_str=True)
    own = [one for name, one in signature.parameters.items() if name != "layout"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in _OPTIONS.items()
    ]
    told.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    told.__annotations__ = {one.name: one.annotation for one in (*own, *added)} | {"return": None}
    return with_links(told)


def _dumped(description: Any) -> dict[str, Any]:
    found: dict[str, Any] = description.model_dump(by_alias=True, exclude_defaults=True)
    return found


@with_links
def layouts(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Print this one, as a file for --layout.")
    ] = None,
    guess: Annotated[
        Path | None, typer.Option(metavar="ROOT", help="Print a first draft for a folder of your own.")
    ] = None,
    as_json: JsonOpt = False,
) -> None:
    """List the layouts that are read without being told, show one, or draft one."""
    from toolkit.dataset.layouts import LAYOUTS, coded_layout
    from toolkit.dataset.layouts.builtins import built_in_names, every_description, find_description
    from toolkit.dataset.layouts.files import list_files
    from toolkit.dataset.layouts.guessing import draft
    from toolkit.files.reach import check_links

    if guess is not None:
        if not guess.is_dir():
            raise ToolkitError(guess, "no such folder", "check the path")
        check_links(guess)
        print(draft(list_files(guess)), end="")
        return
    if name is not None and name not in built_in_names() and name in LAYOUTS:
        say(f"{name}: {coded_layout(name).shown}; it is read by code, and is no file to start from")
        return
    if name is not None:
        found = find_description(name)
        print_json(_dumped(found)) if as_json else print(found.as_yaml(), end="")
        return
    told = {one: coded_layout(one).shown for one in LAYOUTS} | {one.name: one.about for one in every_description()}
    if as_json:
        print_json({"layouts": told})
        return
    print_table("", ["layout", "of what"], [[one, about] for one, about in sorted(told.items())], texts=2)


def open_roots(
    roots: list[Path], categories: list[str] | None, layout: LayoutLike = None, cluster: str | None = None
) -> Source:
    """Open folders as one source, as `open_root` opens each.

    Raises:
        ToolkitError: as `open_root`; or a root is named twice, or lies in another.
    """
    from converters.merging import open_sources, shared_paths

    source = open_sources(shared_paths(roots, cluster), layout)
    return source.only(categories) if categories else source


def open_root(
    root: Path, categories: list[str] | None, layout: LayoutLike = None, cluster: str | None = None
) -> Source:
    """Open a folder, and keep only some of its products; for a cluster, by its whole path.

    Raises:
        ToolkitError: it is neither, it has no such product, or products are asked of a label tree.
    """
    return open_roots([root], categories, layout, cluster)
