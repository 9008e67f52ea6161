"""The items of a gallery, with what speaks against their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from toolkit.dataset.suspects import read_suspects
from toolkit.errors import ToolkitError
from toolkit.gallery.items import GalleryItem

__all__ = ["suspected"]

_REMEDY = "make one of these images with 'defectkit describe ROOT --suspects RUN --out DIR'"


def suspected(items: Sequence[GalleryItem], file: Path, root: Path) -> tuple[tuple[GalleryItem, ...], tuple[str, ...]]:
    """Items that know what a table of suspects says of them, and what to say of the table.

    Args:
        items: of the gallery.
        file: what `describe --suspects` wrote.
        root: what is shown.

    Raises:
        ToolkitError: the file is no such table, or of other images.
    """
    told = {one.key: one for one in read_suspects(file)}
    found = tuple(replace(item, suspect=told.get(item.key)) for item in items)
    known = sum(item.suspect is not None for item in found)
    if told and not known:
        raise ToolkitError(file, f"is of other images than {root}", _REMEDY)
    missed = len(told) - known
    return found, (f"{file}: {missed} of its images are not among those that are shown",) if missed else ()
