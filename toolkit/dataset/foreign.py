"""Labels of other tools beside images that nothing here has read: what a few of them look like, for whoever is told."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path, PurePosixPath

__all__ = ["label_like", "shown_labels"]

_TABLES = (".csv", ".json", ".xml")
"""Endings of files that may be the labels of many images."""
_LOOKED_AT = 4  # files of a kind
_HEAD = 1 << 16  # bytes of a file
_ROW = re.compile(r"\s*\d+(\s+-?\d+(\.\d+)?(e-?\d+)?){4,}\s*", re.IGNORECASE)

_JSON: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("LabelMe", ("shapes", "imagePath")),
    ("COCO panoptic", ("segments_info",)),
    ("COCO", ("annotations", "categories", "images")),
    ("VIA", ("regions", "shape_attributes")),
    ("Supervisely", ("objects", "classTitle")),
    ("Label Studio", ("annotations", "from_name")),
    ("Label Studio", ("completions", "from_name")),
    ("Datumaro", ("items", "categories")),
)
_XML: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("CVAT for images", ("<annotations", "<image ")),
    ("Pascal VOC", ("<annotation", "<size")),
    ("Pascal VOC", ("<annotation", "<object")),
    ("dlib", ("<dataset", "<box ")),
)


def label_like(images: Sequence[str], others: Iterable[str], tables: tuple[str, ...] = _TABLES) -> list[str]:
    """Of the other files beside images those that may be their labels: annotations of another tool, or a table.

    Args:
        images, others: paths below a root.
        tables: endings of files that may be labels whatever they are called; others are called as an image.
    """
    stems = {PurePosixPath(path).stem for path in images}
    labels = (path for path in others if path.lower().endswith((".json", ".xml", ".txt", ".csv", ".mat")))
    return [path for path in labels if path.lower().endswith(tables) or PurePosixPath(path).stem in stems]


def shown_labels(root: Path, paths: Iterable[str]) -> str:
    """Such files in words: 12 .xml files that look like Pascal VOC (labels/a.xml, ...); "" for none."""
    ordered = sorted(paths, key=lambda path: (_ending(path), path))
    return ", ".join(_shown(root, ending, list(group)) for ending, group in groupby(ordered, key=_ending))


def _shown(root: Path, ending: str, paths: Sequence[str]) -> str:
    some = paths[:: max(1, len(paths) // _LOOKED_AT)][:_LOOKED_AT]
    kinds = {_kind(root / path, ending) for path in some} - {""}
    told = f" that look{'s' if len(paths) == 1 else ''} like {' and '.join(sorted(kinds))}" if kinds else ""
    more = ", ..." if len(paths) > 1 else ""
    return f"{len(paths)} {ending} file{'s' if len(paths) > 1 else ''}{told} ({paths[0]}{more})"


def _ending(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _kind(path: Path, ending: str) -> str:
    """What a file looks like by its first bytes; "" where that tells nothing."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD).decode("utf-8-sig", errors="replace")
    except OSError:
        return ""
    kind = _KINDS.get(ending)
    return "" if kind is None else kind(head)


def _json_kind(head: str) -> str:
    return next((name for name, members in _JSON if all(f'"{member}"' in head for member in members)), "")


def _xml_kind(head: str) -> str:
    return next((name for name, signs in _XML if all(sign in head for sign in signs)), "")


def _table_kind(head: str) -> str:
    first = head.splitlines()[0].strip() if head.strip() else ""
    return f"a table of {first[:60]}" if first else ""


def _text_kind(head: str) -> str:
    rows = [line for line in head.splitlines() if line.strip()]
    return "YOLO" if rows and all(_ROW.fullmatch(row) for row in rows[:-1] or rows) else ""


_KINDS: dict[str, Callable[[str], str]] = {
    ".json": _json_kind,
    ".xml": _xml_kind,
    ".csv": _table_kind,
    ".txt": _text_kind,
    ".mat": lambda head: "MATLAB",
}
