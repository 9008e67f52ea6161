"""Datumaro's own JSON, read."""

from __future__ import annotations

from converters.formats.datumaro.document import is_datumaro_file
from converters.formats.datumaro.reader import index_datumaro, is_datumaro_tree
from converters.formats.format import Format

__all__ = ["FORMAT"]

FORMAT = Format(
    name="datumaro",
    holds="pixels",
    index=index_datumaro,
    rank=90,
    reads=("without_label",),
    recognise=is_datumaro_tree,
    recognise_file=is_datumaro_file,
    takes_boxes=True,
)
