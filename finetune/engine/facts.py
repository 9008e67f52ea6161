"""What the files of a run may hold, whichever version wrote them: environment.json, metrics.json, log.csv."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, TypeVar

from pydantic import ConfigDict, Field

from toolkit.aliases import JsonObject
from toolkit.files import typed
from toolkit.files.typed import Finite, PathText, Record

__all__ = ["AnyFacts", "ClassFacts", "Facts", "LogRow", "Metrics", "Number", "Owner", "Row", "plain_figures"]

Number = float | int | str | None
Row = dict[str, Number]
"""Name -> value: the figures of a run, or the columns of an image."""


class Owner(Record):
    """Whose run it is."""

    learner: str


class Facts(Owner):
    """What environment.json says of every run; learners say more.

    Attributes:
        data: what it was trained on.
        split_sha256: of the split; None where a learner has none.
        metrics_of: the subset that metrics.json is of.
        notes: what to know of the run.
    """

    data: PathText
    split_sha256: str | None = None
    metrics_of: str = "test"
    notes: list[str] = Field(default_factory=list)

    def as_json(self) -> JsonObject:
        """The members that the file has."""
        return self.model_dump(exclude_unset=True)


class ClassFacts(Facts):
    """Of a classifier besides: names of the classes, in the order of its outputs."""

    classes: Annotated[list[str], Field(min_length=1)]


AnyFacts = TypeVar("AnyFacts", bound=Facts)


class Metrics(Record):
    """The figures of a run, flat; None is one that could not be had."""

    __pydantic_extra__: dict[str, Finite | int | str | None]

    seconds: Finite | int
    split_sha256: str | None

    def figures(self) -> Row:
        """All of them."""
        return self.model_dump()


_Cell = Annotated[str, Field(pattern=r"^(|[+-]?\d+(\.\d*)?([eE][+-]?\d{1,3})?|[+-]?(nan|inf))$", max_length=64)]


class LogRow(typed.Row):
    """A row of log.csv, an epoch: cells are numbers, or empty where nothing was measured."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, _Cell]

    epoch: Annotated[str, Field(pattern=r"^\d{1,9}$")]
    seconds: Annotated[str, Field(pattern=r"^\d+(\.\d*)?([eE][+-]?\d{1,3})?$", max_length=64)]

    def cells(self) -> dict[str, str]:
        """Its cells by their columns."""
        return self.model_dump()


def plain_figures(figures: Mapping[str, Number]) -> Row:
    """Figures in numbers that JSON has: one that is not finite could not be had, and is None."""
    return {name: None if isinstance(one, float) and not math.isfinite(one) else one for name, one in figures.items()}
