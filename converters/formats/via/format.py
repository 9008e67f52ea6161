"""VIA 2, read."""

from __future__ import annotations

from converters.formats.format import Format
from converters.formats.via.reader import index_via, is_via_file, is_via_tree

__all__ = ["FORMAT"]

FORMAT = Format(
    name="via",
    holds="pixels",
    index=index_via,
    rank=85,
    reads=("without_label",),
    recognise=is_via_tree,
    recognise_file=is_via_file,
    takes_boxes=True,
)
