"""Files appear whole or not at all; what cannot be written is told in a line. Folders do so in `staging`."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from toolkit.errors import ToolkitError

__all__ = ["unwritable", "write_json", "write_whole"]


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


def write_json(path: Path, value: object) -> None:
    """Write JSON with sorted keys and two spaces of indent: the same value gives the same bytes."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    write_whole(path, text.encode(errors="backslashreplace"))  # what is no text in a path becomes a JSON escape


def unwritable(out: Path, error: OSError, *, hidden: Path) -> ToolkitError:
    """What to tell of a fault of the disk: the file that it names, or `out` for one that users do not know of.

    Args:
        out: what was to be written.
        error: the fault.
        hidden: file or folder of ours, whose name says nothing to a user.
    """
    named = Path(os.fsdecode(error.filename)) if isinstance(error.filename, (str, bytes)) else out
    problem = f"cannot be written ({error.strerror or error})"
    where = out if named.is_relative_to(hidden) else named
    return ToolkitError(where, problem, "free space, or choose another folder")
