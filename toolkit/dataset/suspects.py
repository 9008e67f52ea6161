"""Labels that are probably wrong, the worst first: what is said of each, and the table that keeps it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import ToolkitError
from toolkit.files.publish import write_whole
from toolkit.files.typed import Row, Share, read_rows

__all__ = ["DOUBTFUL", "Suspect", "read_suspects", "write_suspects"]

DOUBTFUL = 0.5
"""Score from which a label is called suspicious."""

_REMEDY = "make it again with 'defectkit describe ROOT --suspects RUN --out DIR'"


@dataclass(frozen=True)
class Suspect:
    """An image whose label was held against what other evidence says.

    Attributes:
        key: of the image.
        label: the class that it has.
        suggested: the class that speaks for itself instead; that of the label where it is the mask that is doubted.
        score: 0 to 1, the higher, the more doubtful; from `DOUBTFUL` on more speaks against the label than for it.
        why: what speaks against the label; "" where nothing does.
    """

    key: str
    label: str
    suggested: str
    score: float
    why: str

    @property
    def doubtful(self) -> bool:
        """Whether more speaks against the label than for it."""
        return self.score >= DOUBTFUL

    def as_json(self) -> dict[str, object]:
        """Its members, by their names in the table."""
        told = {"key": self.key, "label": self.label, "suggested": self.suggested, "score": self.score, "why": self.why}
        return {name: _text(value) if isinstance(value, str) else value for name, value in told.items()}


def _text(name: str) -> str:
    return name.encode(errors="backslashreplace").decode()


class _Line(Row):
    key: str
    label: str
    suggested: str
    score: Share
    why: str


def write_suspects(suspects: Sequence[Suspect], file: Path) -> None:
    """Write a table: key, label, suggested, score, why.

    Raises:
        ToolkitError: the file cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ("key", "label", "suggested", "score", "why"), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**one.as_json(), "score": f"{one.score:.4f}"} for one in suspects)
    write_whole(file, text.getvalue().encode())


def read_suspects(file: Path) -> list[Suspect]:
    """What `write_suspects` wrote, in its order.

    Raises:
        ToolkitError: it cannot be read, is no such table, or has an image twice.
    """
    found: dict[str, Suspect] = {}
    for line in read_rows(file, _Line, _REMEDY):
        if line.key in found:
            raise ToolkitError(file, f"has {line.key!r} twice", _REMEDY)
        found[line.key] = Suspect(line.key, line.label, line.suggested, line.score, line.why)
    return list(found.values())
