"""What a command's ROOT is: a dataset or a label tree; and which image files its IMAGES are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import ToolkitError

if TYPE_CHECKING:
    from converters.sources import Source

__all__ = ["image_files", "open_root"]


def open_root(root: Path, categories: list[str] | None) -> Source:
    """Open a folder, and keep only some of its products.

    Raises:
        ToolkitError: it is neither, it has no such product, or products are asked of a label tree.
    """
    from converters.sources import open_source

    source = open_source(root)
    return source.only(categories) if categories else source


def image_files(given: Sequence[Path]) -> list[Path]:
    """The files named, and the images in the folders named, sorted; of a dataset or a label tree no masks.

    Raises:
        ToolkitError: one is not there, or a folder holds no image.
    """
    files: list[Path] = []
    for path in given:
        if not path.exists():
            raise ToolkitError(path, "no such file", "check the path")
        found = [path] if path.is_file() else _images_in(path)
        if not found:
            raise ToolkitError(path, "holds no images", "name image files, or a folder of them")
        files += found
    return list(dict.fromkeys(files))


def _images_in(folder: Path) -> list[Path]:
    from converters.sources import open_source
    from toolkit.imaging.images import is_image

    try:
        images = [member.sample.image for member in open_source(folder).members]
    except ToolkitError:  # a plain folder
        images = []
    there = sorted(image for image in images if image.is_file())
    return there or sorted(file for file in folder.rglob("*") if is_image(file.name))
