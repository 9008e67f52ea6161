"""What a command's ROOT is: a dataset or a label tree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from converters.sources import LayoutLike, Source

__all__ = ["open_root"]


def open_root(
    root: Path, categories: list[str] | None, layout: LayoutLike = None, cluster: str | None = None
) -> Source:
    """Open a folder, and keep only some of its products; for a cluster, by its whole path.

    Raises:
        ToolkitError: it is neither, it has no such product, or products are asked of a label tree.
    """
    from converters.sources import open_source
    from toolkit.files.parallel import shared_path

    source = open_source(shared_path(root, cluster), layout)
    return source.only(categories) if categories else source
