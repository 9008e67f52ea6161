"""Supervisely, read."""

from __future__ import annotations

from converters.formats.format import Format
from converters.formats.supervisely.document import marks_things
from converters.formats.supervisely.project import is_project
from converters.formats.supervisely.reader import index_supervisely

__all__ = ["FORMAT"]

FORMAT = Format(
    name="supervisely",
    holds="pixels",
    index=index_supervisely,
    sidecar=".json",
    marks=marks_things,
    rank=80,
    reads=("without_label",),
    recognise=is_project,
    takes_boxes=True,
)
