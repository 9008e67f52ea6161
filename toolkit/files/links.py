"""How image files get into an output: hard-linked, linked, copied or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Literal

from toolkit.errors import ToolkitError

__all__ = ["ImageMode", "link_or_copy"]

ImageMode = Literal["hardlink", "symlink", "copy", "none"]


def link_or_copy(source: Path, target: str, mode: ImageMode) -> ImageMode:
    """Put an image into a tree; the way it was done (a hard link across file systems becomes a copy).

    Raises:
        ToolkitError: it cannot be done.
    """
    try:
        return _link_or_copy(source, target, mode)
    except OSError as error:
        raise ToolkitError(target, f"cannot be written ({error.strerror or error})", "check the disk") from error


def _link_or_copy(source: Path, target: str, mode: ImageMode) -> ImageMode:
    if mode == "hardlink":
        # Of a link the file it leads to, as the link itself may go away with its folder.
        try:
            os.link(os.path.realpath(source), target)
        except FileExistsError:
            os.unlink(target)
            os.link(os.path.realpath(source), target)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES):
                raise
            return _link_or_copy(source, target, "copy")
    elif mode == "symlink":
        with suppress(FileNotFoundError):
            os.unlink(target)
        os.symlink(source.resolve(), target)
    elif mode == "copy":
        shutil.copyfile(source, target)
    return mode
