"""What to know of photos of more than 8 bits that a finished run looks at."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from finetune.engine.remarks.telling import listened_to, tell
from toolkit.errors import ToolkitError
from toolkit.imaging.images import read_header

__all__ = ["tell_depth"]

_BYTE = 8  # bits


def tell_depth(files: Iterable[Path]) -> None:
    """Tell that deep photos are scaled each by its own range; files that cannot be read are others' concern."""
    if not listened_to():
        return
    total = deep = most = 0
    for file in files:
        total += 1
        with suppress(ToolkitError):
            bits = read_header(file).bits
            deep, most = deep + (bits > _BYTE), max(most, bits)
    if deep:
        tell(
            "note",
            f"{deep} of {total} photos have up to {most} bits a channel: each is scaled by the range that its own "
            "values take, so that one that is darker than others is not seen to be; store them as 8 bits, or so that "
            "all use one range",
        )
