"""A dataset card as a folder: Markdown, JSON and plots, published whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from toolkit.card.model import DatasetCard
from toolkit.card.plots import PLOTS, draw_plots
from toolkit.card.text import card_markdown
from toolkit.errors import ToolkitError
from toolkit.files.publish import STAGING, check_apart, publish_folder, write_json, write_whole

__all__ = ["check_card", "write_card"]

_FILES = frozenset({"card.md", "card.json", *PLOTS})


def check_card(out: Path, root: Path, *, overwrite: bool) -> None:
    """Refuse to write a card where something else stands.

    Args:
        out: the folder to write.
        root: the dataset, which the card must lie apart from.
        overwrite: whether an earlier card may be replaced.

    Raises:
        ToolkitError: `out` lies in the dataset or holds it, is a file, or holds something; with `overwrite`, something
            other than a card.
    """
    check_apart(out, root)
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        raise ToolkitError(out, "is a link that leads nowhere" if out.is_symlink() else "is a file", "name a folder")
    there = sorted(path.name for path in out.iterdir())
    foreign = [name for name in there if name not in _FILES]
    if there and not overwrite:
        raise ToolkitError(out, "is not empty", "choose another folder, or add --overwrite")
    if foreign:
        raise ToolkitError(out / foreign[0], "is no part of a card", "move it away, or choose another folder")


def write_card(card: DatasetCard, out: Path) -> None:
    """Write `card.md`, `card.json` and the plots into a folder, in place of an older card.

    The same card gives the same bytes.

    Raises:
        ToolkitError: the folder cannot be written.
    """
    target = out.resolve()
    stage = target.parent / f".{target.name}{STAGING}"
    try:
        shutil.rmtree(stage, ignore_errors=True)  # of a run that was killed
        staged = stage / target.name
        staged.mkdir(parents=True)
        plots = draw_plots(card)
        for name, data in plots.items():
            write_whole(staged / name, data)
        write_json(staged / "card.json", card.as_json())
        text = card_markdown(card, [(name, PLOTS[name]) for name in plots])
        write_whole(staged / "card.md", text.encode(errors="backslashreplace"))
        publish_folder(staged, target)
    except OSError as error:
        problem = f"cannot be written ({error.strerror or error})"
        raise ToolkitError(out, problem, "choose a folder that can be written to, with room left") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
