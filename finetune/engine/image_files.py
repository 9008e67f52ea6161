"""Which image files are meant, where a user names files, folders or datasets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from converters.sources import open_source
from toolkit.errors import ToolkitError
from toolkit.files.reach import check_links
from toolkit.imaging.images import is_image

__all__ = ["image_files"]


def image_files(given: str | Path | Sequence[str | Path]) -> list[Path]:
    """The files named, and the images in the folders named, sorted; of a dataset or a label tree no masks.

    Args:
        given: an image file, a folder, a dataset root or a label tree; or several of them.

    Raises:
        ToolkitError: one is not there, or a folder holds no image, or has links that lead out of it.
    """
    files: list[Path] = []
    for path in map(Path, [given] if isinstance(given, str | Path) else given):
        if not path.exists():
            raise ToolkitError(path, "no such file", "check the path")
        found = [path] if path.is_file() else _images_in(path)
        if not found:
            raise ToolkitError(path, "holds no images", "name image files, or a folder of them")
        files += found
    return list(dict.fromkeys(files))


def _images_in(folder: Path) -> list[Path]:
    check_links(folder)
    try:
        images = [member.sample.image for member in open_source(folder).members]
    except ToolkitError:  # a plain folder
        images = []
    there = sorted(image for image in images if image.is_file())
    return there or sorted(file for file in folder.rglob("*") if is_image(file.name))
