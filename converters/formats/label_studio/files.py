"""Which files hold tasks of Label Studio: told by their first and last bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from converters.formats.coco.files import find_coco_files
from toolkit.dataset.layouts import detect_layout
from toolkit.dataset.layouts.files import list_files
from toolkit.dataset.layouts.guessing import guess
from toolkit.errors import ToolkitError

__all__ = ["home_of", "is_dataset", "is_label_studio", "is_tasks_file", "json_files"]

_HEAD = 1 << 16  # bytes at either end in which the members of a task are looked for
_FOLDERS = ("annotations", "labels", "json", "exports")  # in which JSON files may lie, whatever their letter case
_LOOKED_AT, _ENTRIES = 8, 10_000  # files that are opened to tell, and names of a folder that are looked at


def is_tasks_file(path: Path) -> bool:
    """Whether a JSON file holds tasks; by all of its bytes where the first and last do not tell."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
            begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
            if begin not in (b"[", b"{"):
                return False
            file.seek(max(0, path.stat().st_size - _HEAD))
            found = _told(head + file.read(), begin)
            if found is None:
                file.seek(0)
                found = _told(file.read(), begin)
    except OSError:
        return False
    return bool(found)


def _told(data: bytes, begin: bytes) -> bool | None:
    """Whether some bytes name what tasks have; None where they name some of it."""
    if begin == b"{":
        return _has(data, "data", "result") and (_has(data, "task", "completed_by") or _has(data, "from_name"))
    if _has(data, "annotation_id", "annotator", "lead_time"):
        return True
    lists = _has(data, "annotations") or _has(data, "completions")
    return True if lists and _has(data, "data") else None if lists or _has(data, "annotator") else False


def _has(data: bytes, *names: str) -> bool:
    return all(b'"%b"' % name.encode() in data for name in names)


def home_of(root: Path) -> Path:
    """The folder that the images of a root, or of one file, lie below."""
    if root.is_dir():
        return root
    return root.parent.parent if root.parent.name.lower() in _FOLDERS else root.parent


def json_files(root: Path) -> list[Path]:
    """The JSON files of a root, and of folders in it for such; a root that is a file is the only one."""
    found = [root] if root.is_file() else list(_candidates(root, None))
    return [path for path in found if path == root or not is_stored_name(path.name) or is_tasks_file(path)]


def _candidates(root: Path, most: int | None) -> Iterator[Path]:
    """JSON files, those of the root before those of its folders; of a folder `most` names are looked at."""
    for name in sorted(_names(root, most), key=lambda name: (is_stored_name(name), name)):
        if _may_hold_tasks(name) and name != "manifest.json":
            yield root / name
    for name in sorted(_names(root, most)):
        if name.lower() in _FOLDERS and (root / name).is_dir():
            yield from (root / name / one for one in sorted(_names(root / name, most)) if _may_hold_tasks(one))


def _may_hold_tasks(name: str) -> bool:
    """Whether a file ends in .json, or is called as storages call an annotation, by its number alone."""
    return name.lower().endswith(".json") or is_stored_name(name)


def is_stored_name(name: str) -> bool:
    """Whether a file is called by a number, without an ending, as older versions call what they put into a storage."""
    return name.isascii() and name.isdigit()


def _names(folder: Path, most: int | None) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in islice(entries, most) if not entry.name.startswith(".")]
    except OSError:
        return []


def is_label_studio(root: Path) -> bool:
    """Whether one of the first JSON files of a folder holds tasks, and none is COCO's."""
    some = list(islice(_candidates(root, _ENTRIES), _LOOKED_AT))
    return any(map(is_tasks_file, some)) and not find_coco_files(root)


def is_dataset(root: Path) -> bool:
    """Whether a folder with tasks is a dataset that has masks or boxes as well."""
    layout = detect_layout(root)
    if layout is not None:
        try:
            return any(sample.masks or sample.boxes for sample in layout.index(root))
        except ToolkitError:
            return True  # which is said where it is read
    found = guess(list_files(root))
    return found is not None and found.resolution.paired > 0
