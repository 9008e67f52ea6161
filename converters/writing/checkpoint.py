"""Checkpoints of a conversion: what a later run needs to go on, and whether what lies on disk still has it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import orjson
from pydantic import AfterValidator

from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError
from toolkit.files.typed import Count, Name, Record, checked, parse_json

__all__ = [
    "Checkpoint",
    "KeptProblem",
    "SubsetCounts",
    "Totals",
    "WriterState",
    "dump_checkpoint",
    "load_checkpoint",
    "spool_file",
]


def _hexadecimal(text: str) -> str:
    float.fromhex(text)  # which raises what pydantic takes for a fault
    return text


_Hex = Annotated[str, AfterValidator(_hexadecimal)]


class SubsetCounts(Record):
    """What a tree has of a subset."""

    images: Count
    instances: Count
    background: Count
    annotations: Count


class Totals(Record):
    """What a tree has of all of them."""

    found: Count
    skipped: Count
    bridges: Count
    compared: Count
    exact: Count
    rectangles: Count
    covered: Count
    covered_images: Count
    images: Count
    image_bytes: Count
    upright: Count


class WriterState(Record):
    """Of one tree: lengths of its spools in bytes, counts, and figures as `float.hex` writes them."""

    spools: dict[Name, Count]
    subsets: dict[Name, SubsetCounts]
    totals: Totals
    dropped: dict[str, Count]
    iou_sum: _Hex
    min_iou: _Hex


class KeptProblem(Record):
    """A fault that was found."""

    file: str
    problem: str
    remedy: str


class Checkpoint(Record):
    """Of all trees together; `mark` is what a run that goes on must agree with."""

    mark: JsonObject
    done: Count
    written: Count
    seen: dict[str, Count]
    left_out: list[str]
    problems: list[KeptProblem]
    writers: dict[Name, WriterState]


def spool_file(folder: Path, name: str) -> Path:
    """Where a tree collects the parts of a file."""
    return folder / f".{name}.spool"


def load_checkpoint(path: Path) -> Checkpoint | None:
    """A checkpoint; None where there is none, or one that nothing can go on from.

    Args:
        path: the file; the trees lie beside it.
    """
    try:
        told = parse_json(path, "")
        if not isinstance(told, dict) or told.pop("sha256", None) != _digest(told):
            return None
        found = checked(Checkpoint, told, path, "")
        sound = all(_is_whole(path.parent / name, writer, found.written) for name, writer in found.writers.items())
    except (ToolkitError, OSError):  # work is begun anew then, and nothing is lost but time
        return None
    return found if sound else None


def dump_checkpoint(state: Checkpoint) -> bytes:
    """A checkpoint as JSON that says its own digest: what has lost a count must not be gone on with."""
    told = state.model_dump()
    return orjson.dumps({**told, "sha256": _digest(told)})


def _digest(told: JsonObject) -> str:
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _is_whole(folder: Path, writer: WriterState, written: int) -> bool:
    """Whether the spools hold what they held, and counts agree: a machine that lost its power may have kept less."""
    if sum(counts.images for counts in writer.subsets.values()) != written:
        return False
    return all(spool_file(folder, name).stat().st_size >= length for name, length in writer.spools.items())
