"""What a command's ROOT is: a dataset or a label tree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import ToolkitError

if TYPE_CHECKING:
    from converters.formats.label_tree import LabelTree
    from toolkit.dataset.samples import Dataset, Sample

__all__ = ["open_root", "samples_of"]


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
