"""Outputs appear whole or not at all: work goes on in a hidden folder, and is renamed into place when it is done."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from toolkit.errors import ToolkitError

__all__ = ["STAGING", "check_apart", "check_free", "publish_folder", "remove_staging", "write_json", "write_whole"]

STAGING = ".defectkit-partial"
"""Name of the folder inside OUT in which unfinished work lies; every run removes or resumes what it finds there."""


def check_apart(out: Path, root: Path) -> None:
    """Refuse an output inside its input and the reverse.

    Raises:
        ToolkitError: one of the two folders holds the other, or they are the same.
    """
    there, here = out.resolve(), root.resolve()
    if there.is_relative_to(here) or here.is_relative_to(there):
        inside = "is" if there == here else "lies inside" if there.is_relative_to(here) else "holds"
        raise ToolkitError(out, f"{inside} the input {root}", "choose an output folder apart from it")


def check_free(out: Path, names: Iterable[str], *, overwrite: bool, resume: bool) -> None:
    """Refuse to write where something else stands.

    Args:
        out: the folder to write into.
        names: folders that will be written in it.
        overwrite: whether folders of these names may be replaced, if defectkit wrote them.
        resume: whether `out` may hold finished or unfinished work.

    Raises:
        ToolkitError: `out` is a file, holds something, or holds a folder that defectkit did not write.
    """
    if out.is_symlink() and not out.exists():
        raise ToolkitError(out, "is a link that leads nowhere", "remove it")
    if not out.exists():
        return
    if not out.is_dir():
        raise ToolkitError(out, "is a file", "name a folder to write into")
    if any(path.name != STAGING for path in out.iterdir()) and not (overwrite or resume):
        raise ToolkitError(out, "is not empty", "choose another folder, or add --overwrite (or --resume)")
    for name in names:
        folder = out / name
        if folder.exists() and not (folder / "manifest.json").is_file():
            raise ToolkitError(folder, "was not written by defectkit (it has no manifest.json)", "move it away")


def publish_folder(staged: Path, target: Path) -> None:
    """Move a finished folder into place, in place of an older one.

    The older one steps aside first and is deleted last, so that `target` is never a mixture of the two. It does so
    beside `staged`, which therefore has to lie in a folder of unfinished work, where nothing of the user's is.
    """
    aside = staged.parent / f"{target.name}.old"
    if target.exists():
        os.rename(target, aside)
    os.rename(staged, target)
    if aside.exists():
        shutil.rmtree(aside)


def remove_staging(out: Path) -> None:
    """Remove unfinished work."""
    shutil.rmtree(out / STAGING, ignore_errors=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under another name and rename it, so that it is never seen half-written.

    Raises:
        ToolkitError: the file cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):  # a parent may be a file
            partial.unlink(missing_ok=True)
        raise ToolkitError(path, f"cannot be written ({error.strerror or error})", "choose another place") from error


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys and two spaces of indent: the same value gives the same bytes."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    write_whole(path, text.encode(errors="backslashreplace"))  # what is no text in a path becomes a JSON escape
