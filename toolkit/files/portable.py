r"""Paths as every system understands them: with "/" where they are written down, and without what Windows cannot have.

Pure functions of paths and names: what Windows makes of them can be told on any system.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath

__all__ = ["relative_path", "relative_way", "windows_fault"]

_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\.|:|$)", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f]')
_SUSPECT = re.compile(
    r'[<>:"|?*\\\x00-\x1f]|[ .](?:/|$)|(?:^|/)(?:con|prn|aux|nul|com|lpt)|.{241}', re.IGNORECASE | re.DOTALL
)
"""Finds all that may be at fault, and a little more, in one look at a whole path."""
_LONGEST = 240  # letters; Windows has 259, of which the folder that a tree lies in needs some


def relative_path(path: Path, start: Path) -> str:
    """The way from one place to another, with "/" between its parts; on another drive the whole path."""
    return relative_way(Path(os.path.abspath(path)), Path(os.path.abspath(start)))  # noqa: PTH100 -- no `..` stays


def relative_way(path: PurePath, start: PurePath) -> str:
    """As `relative_path`, of whole paths of any system, without `.` and `..` in them."""
    kind = type(path)
    if kind(path.anchor) != kind(start.anchor):
        return path.as_posix()
    alike = 0
    for one, other in zip(path.parts, start.parts, strict=False):
        if kind(one) != kind(other):  # on Windows whatever their case
            break
        alike += 1
    return "/".join([*[".."] * (len(start.parts) - alike), *path.parts[alike:]]) or "."


def windows_fault(path: str) -> str:
    """Why a path, with "/" between its parts, cannot exist on Windows; "" if it can."""
    if _SUSPECT.search(path) is None:
        return ""
    for part in path.split("/"):
        found = _FORBIDDEN.search(part)
        if found is not None:
            sign = found[0]
            return f"{sign!r} in a name" if sign.isprintable() else f"the sign {sign!r} in a name"
        if _DEVICES.match(part):
            return f"{part.partition('.')[0].strip()} is the name of a device"
        if part.endswith((".", " ")) and part not in (".", ".."):
            return "a name ends with a dot" if part.endswith(".") else "a name ends with a space"
    return f"{len(path)} letters, more than Windows has room for" if len(path) > _LONGEST else ""
