"""What a dataset may be refused for: problems by name, and how often a card has each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from toolkit.card.model import DatasetCard
from toolkit.errors import ToolkitError

__all__ = ["GATES", "failures", "parse_gates"]

GATES: dict[str, str] = {
    "problems": "problem(s) in the files",
    "duplicates": "set(s) of identical images",
    "near-duplicates": "set(s) of near-duplicates",
    "leaks": "set(s) of copies that lie in several subsets",
    "conflicts": "set(s) of identical images of several classes",
    "missing-classes": "class(es) that a subset lacks",
    "published": "difference(s) from the published MVTec AD",
    "suspects": "suspicious label(s)",
}
"""Name -> what it counts."""

_COUNTS: dict[str, Callable[[DatasetCard], int]] = {
    "problems": lambda card: len(card.problems),
    "duplicates": lambda card: len(card.duplicates),
    "near-duplicates": lambda card: len(card.near_duplicates or ()),
    "leaks": lambda card: len(card.leaks),
    "conflicts": lambda card: len(card.conflicts),
    "missing-classes": lambda card: sum(len(card.classes.keys() - held.keys()) for held in card.subsets.values()),
    "published": lambda card: sum(len(lines) for lines in card.published.values()),
    "suspects": lambda card: len(card.doubtful),
}


def parse_gates(text: str | None) -> tuple[str, ...]:
    """Names of problems out of a list with commas.

    Raises:
        ToolkitError: one of them is unknown, or none is named.
    """
    if text is None:
        return ()
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in GATES]
    if unknown or not names:
        problem = f"{unknown[0]!r} is no problem that is looked for" if unknown else "names no problem"
        raise ToolkitError("--fail-on", problem, f"use some of {', '.join(GATES)}")
    return names


def failures(card: DatasetCard, names: Sequence[str]) -> dict[str, int]:
    """Those of the named problems that a card has: name -> how many."""
    return {name: count for name in names if (count := _COUNTS[name](card))}
