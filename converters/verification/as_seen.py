"""Labels as another program sees them: its own way to make pixels of what stands in a file."""

from __future__ import annotations

import copy
from dataclasses import replace

from converters.formats.format import Load
from converters.formats.label_tree import LabelRecord, LabelTree, packed_records
from converters.formats.registry import every_format, find_format
from toolkit.errors import ToolkitError

__all__ = ["as_seen", "formats_of", "programs"]


def programs() -> list[str]:
    """The programs of which a format says how they read it, sorted."""
    return sorted({program for found in every_format() for program in found.seen_by})


def formats_of(program: str) -> list[str]:
    """The formats that a program opens.

    Raises:
        ToolkitError: nothing is known of it.
    """
    if program not in programs():
        raise ToolkitError("--as", f"nothing is known of {program!r}", f"use one of {', '.join(programs())}")
    return [found.name for found in every_format() if program in found.seen_by]


def as_seen(tree: LabelTree, program: str) -> LabelTree | None:
    """The tree with its labels read as a program reads them; None where it opens no such trees.

    Raises:
        ToolkitError: nothing is known of the program.
    """
    if tree.kind not in formats_of(program):
        return None
    found = find_format(tree.kind)
    load = found.seen_by[program]
    if load is None:
        return tree
    seen = copy.copy(tree)
    boxes = program in found.boxes_by
    seen.records = packed_records(_as_loaded(record, load, boxes=boxes) for record in tree.records)
    return seen


def _as_loaded(record: LabelRecord, load: Load, *, boxes: bool) -> LabelRecord:
    sample = record.sample
    drawn = boxes and sample.kind not in ("good", "unlabelled")
    return replace(record, load=load, sample=replace(sample, kind="boxes") if drawn else sample)
