"""The items of a gallery, with what speaks against their labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from converters.viewing.views import Views
from toolkit.dataset.suspects import read_suspects
from toolkit.errors import ToolkitError

__all__ = ["suspected"]

_REMEDY = "make one of these images with 'defectkit describe ROOT --suspects RUN --out DIR'"


def suspected(views: Views, file: Path) -> Views:
    """Views whose items know what a table of suspects says of them.

    Args:
        views: what is shown.
        file: what `describe --suspects` wrote.

    Raises:
        ToolkitError: the file is no such table, or of other images.
    """
    told = {one.key: one for one in read_suspects(file)}
    items = tuple(replace(item, suspect=told.get(item.key)) for item in views.items)
    known = sum(item.suspect is not None for item in items)
    if told and not known:
        raise ToolkitError(file, f"is of other images than {views.source.root}", _REMEDY)
    missed, notes = len(told) - known, []
    if missed:
        notes.append(f"{file}: {missed} of its images are not among those that are shown")
    changed = [item.key for item in items if item.suspect is not None and item.suspect.label != item.image_class]
    if changed:
        what = f"{len(changed)} of its images have another label here, as {changed[0]}"
        notes.append(f"{file}: {what}: what it says of them is of the label that it tells")
    return replace(views, items=items, notes=(*views.notes, *notes))
