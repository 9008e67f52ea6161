"""Which format the labels in a folder have, and which folders in it are label trees."""

from __future__ import annotations

from pathlib import Path

from converters.formats.base import Reading
from converters.formats.registry import FORMATS, READ_ONLY, every_format, read_manifest
from toolkit.errors import ToolkitError

__all__ = ["format_of", "is_label_file", "reading_of", "suspected_format", "trees_in"]


def reading_of(layout: object) -> Reading | None:
    """What a layout says of label trees, as `Reading.of_layout`; the name of a format says that it is one of these.

    Raises:
        ToolkitError: as there, or it names a format that there is not.
    """
    known = (*FORMATS, *READ_ONLY)
    if isinstance(layout, str) and layout in known:
        return Reading(alone=layout)
    reading = Reading.of_layout(layout)
    if reading is not None and reading.format and reading.format not in known:
        raise ToolkitError("labels.alone", f"cannot be {reading.format!r:.40}", f"use true or {', '.join(known)}")
    return reading


def is_label_file(root: Path) -> bool:
    """Whether a path is a file that may hold the labels of many images."""
    numbered = root.name.isascii() and root.name.isdigit()  # as Label Studio's storages call an annotation
    return (numbered or root.suffix.lower() in (".json", ".xml", ".csv")) and root.is_file()


def trees_in(folder: Path) -> list[Path]:
    """The label trees that stand in a folder, as `convert` leaves them."""
    children = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    ours = [path for path in children if read_manifest(path) is not None]
    return ours or [path for path in children if format_of(path) is not None]


def format_of(root: Path) -> str | None:
    """Format of a tree by its manifest, or by a sign that no other format has."""
    manifest = read_manifest(root)
    if manifest is not None:
        return str(manifest["format"])
    return next((found.name for found in every_format() if found.recognise(root)), None)


def suspected_format(root: Path) -> str | None:
    """Format of a tree that carries no sign but its folders: the one that asks for the most of them."""
    ranked = sorted(every_format(), key=lambda found: found.rank)
    return next((found.name for found in ranked if found.suspect(root)), None)
