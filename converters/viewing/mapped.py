"""The items of a gallery with their places on a map, and the copies among them that a line should join."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from converters.sources import Source
from toolkit.dataset.neighbours import near_duplicates
from toolkit.dataset.splits import find_duplicates
from toolkit.errors import ToolkitError
from toolkit.gallery.items import GalleryItem

__all__ = ["Places", "mapped"]

Places = Callable[[Source], Mapping[str, tuple[float, float]]]
"""What puts the images of a source on a plane: key -> x, y, each 0 to 1."""


def mapped(
    items: Sequence[GalleryItem], source: Source, places: Places
) -> tuple[tuple[GalleryItem, ...], tuple[tuple[str, ...], ...]]:
    """Items that know their place, and keys of copies that lie in several subsets or are of several classes.

    Raises:
        ToolkitError: as `places`; or it knows none of the images that are shown.
    """
    found = places(source)
    placed = tuple(replace(item, place=found.get(item.key)) for item in items)
    if not any(item.place is not None for item in placed):
        raise ToolkitError(source.root, "shows no image that has a place on the map", "leave --map out")
    there = [sample for sample in source.dataset if sample.image.is_file()]
    sets = {tuple(keys) for keys in [*find_duplicates(there), *near_duplicates(there, skip_faulty=True)]}
    told = {item.key: (item.subset, item.image_class) for item in placed}
    whole = [keys for keys in sets if not any(set(keys) < set(other) for other in sets)]
    return placed, tuple(sorted(keys for keys in whole if len({told[key] for key in keys if key in told}) > 1))
