"""What there is to see at a path, before a gallery is built of it."""

from __future__ import annotations

from dataclasses import dataclass

from converters.sources import Source
from toolkit.gallery.items import GalleryItem, GalleryPage

__all__ = ["Views"]


@dataclass(frozen=True, eq=False)
class Views:
    """What there is to see at a path.

    Attributes:
        source: the dataset or the tree that is shown.
        page: what stands around the items.
        items: one for each image, and for each file that belongs to none; sorted by key.
        notes: what to say at the terminal.
    """

    source: Source
    page: GalleryPage
    items: tuple[GalleryItem, ...]
    notes: tuple[str, ...]
