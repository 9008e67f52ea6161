"""The items of a gallery with their places on a map, and the copies among them that a line should join."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from converters.sources import Source
from converters.viewing.views import Views
from toolkit.dataset.neighbours import near_duplicates
from toolkit.dataset.splits import find_duplicates
from toolkit.errors import ToolkitError

__all__ = ["Places", "mapped"]

Places = Callable[[Source], Mapping[str, tuple[float, float]]]
"""What puts the images of a source on a plane: key -> x, y, each 0 to 1."""


def mapped(views: Views, places: Places) -> Views:
    """Views whose items know their place, and whose page the copies in several subsets or of several classes.

    Raises:
        ToolkitError: as `places`; or it knows none of the images that are shown.
    """
    found = places(views.source)
    items = tuple(replace(item, place=found.get(item.key)) for item in views.items)
    if not any(item.place is not None for item in items):
        raise ToolkitError(views.source.root, "shows no image that has a place on the map", "leave --map out")
    there = [sample for sample in views.source.dataset if sample.image.is_file()]
    sets = {tuple(keys) for keys in [*find_duplicates(there), *near_duplicates(there, skip_faulty=True)]}
    told = {item.key: (item.subset, item.image_class) for item in items}
    whole = [keys for keys in sets if not any(set(keys) < set(other) for other in sets)]
    alike = sorted(keys for keys in whole if len({told[key] for key in keys if key in told}) > 1)
    return replace(views, items=items, page=replace(views.page, alike=tuple(alike)))
