"""The label formats by name: one line each. A format is loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError

if TYPE_CHECKING:
    from converters.formats.format import Format

__all__ = ["FORMATS", "READ_ONLY", "check_formats", "every_format", "find_format", "read_manifest"]

FORMATS: dict[str, str] = {
    "yolo-detect": "converters.formats.yolo.detect",
    "yolo-segment": "converters.formats.yolo.segment",
    "yolo-obb": "converters.formats.yolo.oriented",
    "yolo-classify": "converters.formats.yolo.classification",
    "coco": "converters.formats.coco.format",
    "semantic": "converters.formats.semantic",
    "panoptic": "converters.formats.panoptic",
    "masks": "converters.formats.masks",
    "labelme": "converters.formats.labelme.format",
    "voc": "converters.formats.voc.format",
    "cvat": "converters.formats.cvat.format",
    "label-studio": "converters.formats.label_studio.format",
}
"""Name -> module, whose `FORMAT` it is. Outputs are made in this order; the first that recognises a tree has it."""

READ_ONLY: dict[str, str] = {
    "supervisely": "converters.formats.supervisely.format",
    "via": "converters.formats.via.format",
    "datumaro": "converters.formats.datumaro.format",
}
"""Likewise, of formats that are read and not written. Those of `FORMATS` are asked first."""


@lru_cache  # asked for every image
def find_format(name: str) -> Format:
    """The format of this name.

    Raises:
        ToolkitError: there is none.
    """
    module = FORMATS.get(name) or READ_ONLY.get(name)
    if module is None:
        raise ToolkitError("--to", f"unknown format {name!r}", f"use one or more of {', '.join(FORMATS)}")
    found: Format = import_module(module).FORMAT
    return found


def every_format() -> Iterator[Format]:
    """All formats, in the order of `FORMATS` and then of `READ_ONLY`."""
    return (find_format(name) for name in (*FORMATS, *READ_ONLY))


def check_formats(names: str | Iterable[str]) -> list[str]:
    """The formats asked for, each once, in the order of `FORMATS`; a string is one format.

    Raises:
        ToolkitError: none, an unknown one, or one that is not written.
    """
    asked = [names] if isinstance(names, str) else list(names)
    if not asked:
        raise ToolkitError("--to", "no format asked for", f"use one or more of {', '.join(FORMATS)}")
    for name in asked:
        if not find_format(name).writes:
            use = ", ".join(FORMATS)
            raise ToolkitError("--to", f"{name} is read, and not written", f"use one or more of {use}")
    return [name for name in FORMATS if name in asked]


_SCHEMA = 2  # of manifests; those of version 0.1.0 have none
_REMEDY = "convert again"


def read_manifest(root: Path) -> JsonObject | None:
    """The manifest of a tree that defectkit wrote, or None.

    Raises:
        ToolkitError: there is one, but it is damaged, or a newer version wrote it.
    """
    from converters.formats.manifest import Manifest  # what a format is asked for its name needs no models
    from toolkit.files.typed import checked, parse_json

    path = root / "manifest.json"
    if not path.is_file():
        return None
    manifest = parse_json(path, _REMEDY)
    if not isinstance(manifest, dict) or manifest.get("tool") != "defectkit":
        return None
    name, schema = manifest.get("format"), manifest.get("schema", 1)
    if not isinstance(name, str):
        raise ToolkitError(path, "names no format", _REMEDY)
    if name not in FORMATS:
        return None  # of a gallery, for instance
    if not isinstance(schema, int) or isinstance(schema, bool) or not 1 <= schema <= _SCHEMA:
        version = manifest.get("version")
        remedy = f"use defectkit {version}" if isinstance(version, str) and version else "use a newer defectkit"
        raise ToolkitError(path, f"has schema {schema!r:.40}, which this version cannot read", remedy)
    return checked(Manifest, manifest, path, _REMEDY).as_json()
