"""What a layout is: one record, which all the rest of the program reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from toolkit.dataset.dataset import Dataset

__all__ = ["Layout"]


@dataclass(frozen=True)
class Layout:
    """How to recognise a layout and how to read it.

    Attributes:
        name: as it stands in `Dataset.layout`.
        shown: how it looks on disk, in a line, for a user whose folder is of none.
        detect: whether a folder is the root of such a dataset, by names alone.
        index: the samples below such a root.
        parts: names of folders that a dataset or a product of it consists of: who names one is told to name the whole.
    """

    name: str
    shown: str
    detect: Callable[[Path], bool]
    index: Callable[[Path], Dataset]
    parts: frozenset[str] = frozenset()
