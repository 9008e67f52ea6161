"""A dataset card as a folder: Markdown, JSON and plots, published whole or not at all."""

from __future__ import annotations

from pathlib import Path

from toolkit.card.model import DatasetCard
from toolkit.card.plots import PLOTS, draw_plots
from toolkit.card.text import card_markdown
from toolkit.dataset.suspects import write_suspects
from toolkit.errors import ToolkitError
from toolkit.files.publish import write_json, write_whole
from toolkit.files.staging import check_apart, check_free, contents, staging

__all__ = ["check_card", "write_card"]

_SUSPECTS = "suspects.csv"
_FILES = frozenset({"card.md", "card.json", _SUSPECTS, *PLOTS})


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
    held = check_free(out, overwrite=overwrite, remedy="choose another folder, or add --overwrite")
    if held and (foreign := [path.name for path in contents(out) if path.name not in _FILES]):
        raise ToolkitError(out / foreign[0], "is no part of a card", "move it away, or choose another folder")


def write_card(card: DatasetCard, out: Path) -> None:
    """Write `card.md`, `card.json`, the plots and what is suspicious into a folder, in place of an older card.

    The same card gives the same bytes.

    Raises:
        ToolkitError: the folder cannot be written.
    """
    with staging(out) as stage:
        built = stage.begin() / "card"
        plots = draw_plots(card)
        for name, data in plots.items():
            write_whole(built / name, data)
        write_json(built / "card.json", card.as_json())
        if card.suspects is not None:
            write_suspects(card.suspects, built / _SUSPECTS)
        text = card_markdown(card, [(name, PLOTS[name]) for name in plots])
        write_whole(built / "card.md", text.encode(errors="backslashreplace"))
        stage.publish(built)
