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

_NO_LINKS = {
    errno.EXDEV,  # another file system
    errno.EPERM,  # FAT and exFAT, some network shares; links that others may not make
    errno.EACCES,
    errno.EMLINK,  # as many names as a file can have
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.EINVAL,  # Windows, where a file system knows no links
}
_NOT_ALLOWED = 1314  # what Windows says of links to those who may not make them


def link_or_copy(source: Path, target: str, mode: ImageMode) -> ImageMode:
    """Put an image into a tree; the way it was done: where there are no hard links, the image is copied.

    Raises:
        ToolkitError: it cannot be done.
    """
    try:
        return _link_or_copy(source, target, mode)
    except OSError as error:
        refused = error.errno in _NO_LINKS or getattr(error, "winerror", None) == _NOT_ALLOWED
        if mode == "symlink" and refused:
            problem = f"cannot be a link ({error.strerror or error})"
            raise ToolkitError(target, problem, "use --images copy, or --images hardlink") from error
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
            if error.errno not in _NO_LINKS:
                raise
            return _link_or_copy(source, target, "copy")
    elif mode == "symlink":
        with suppress(FileNotFoundError):
            os.unlink(target)
        os.symlink(source.resolve(), target)
    elif mode == "copy":
        shutil.copyfile(source, target)
    return mode
