"""What a command's ROOT is: a dataset or a label tree; and which image files its IMAGES are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import ToolkitError

if TYPE_CHECKING:
    from converters.formats.label_tree import LabelTree
    from toolkit.dataset.samples import Dataset, Sample

__all__ = ["image_files", "open_root", "samples_of"]


def open_root(root: Path, categories: list[str] | None) -> Dataset | LabelTree:
    """Open a folder, and keep only some of its products.

    Raises:
        ToolkitError: it is neither, it has no such product, or products are asked of a label tree.
    """
    from converters.sources import open_source
    from toolkit.dataset.samples import Dataset

    source = open_source(root)
    if not categories:
        return source
    if not isinstance(source, Dataset):
        raise ToolkitError("--category", "a label tree has no categories", "leave it out")
    return source.only(categories)


def samples_of(source: Dataset | LabelTree) -> Sequence[Sample]:
    """The images of a dataset or of a label tree, without their labels."""
    from toolkit.dataset.samples import Dataset

    return source if isinstance(source, Dataset) else source.samples


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
        images = [sample.image for sample in samples_of(open_source(folder))]
    except ToolkitError:  # a plain folder
        images = []
    there = sorted(image for image in images if image.is_file())
    return there or sorted(file for file in folder.rglob("*") if is_image(file.name))
