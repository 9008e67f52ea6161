"""Which image a task is of: the column that names it, and where the file lies below a root."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from converters.formats.coco.document import shown
from converters.formats.image_files import ImageFinder, names_of, plain_name
from toolkit.errors import ToolkitError
from toolkit.imaging.images import is_image

__all__ = ["Place", "image_columns", "place_of", "told_image"]

_USUAL = ("image", "img", "image_url", "url", "photo", "picture")
_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)", re.IGNORECASE)
"""What Label Studio puts before the name of a file that was uploaded."""


class Place(NamedTuple):
    """An image: its file, and whether its name had to be told from what stands before it (`path`, `name`, `bare`)."""

    image: Path
    way: str


def told_image(place: str, data: Mapping[str, Any], tags: Sequence[str]) -> str:
    """What the data of a task say of its image.

    Args:
        place: the task, for messages.
        data: its columns.
        tags: names of the tags that its regions are drawn on, which are often those of the column.

    Raises:
        ToolkitError: no column names an image, or several do.
    """
    found = image_columns(data)
    for name in (*tags, *_USUAL):
        told = data.get(name)
        if isinstance(told, list) and len(told) > 1 and all(isinstance(one, str) for one in told):
            raise ToolkitError(place, f"is of {len(told)} images", "make a task of each image")
        if name in found:
            return _only(place, found[name])
    if len(found) == 1:
        return _only(place, next(iter(found.values())))
    if found:
        listed = " and ".join(list(found)[:3])
        raise ToolkitError(place, f"may be of several images, by {listed}", "name the column of the image 'image'")
    for told in (data.get(name) for name in (*tags, *_USUAL)):
        if isinstance(told, list) and len(told) == 1:
            told = told[0]
        if isinstance(told, str) and told.strip():
            return told
    raise ToolkitError(place, f"names no image: its data are {shown(dict(data))}", "name it under 'image'")


def image_columns(data: Mapping[str, Any]) -> dict[str, list[str]]:
    """The columns of a task that name images, and these: one, or several where the column is a list (`valueList`)."""
    listed = {name: told if isinstance(told, list) else [told] for name, told in data.items()}
    return {
        name: told
        for name, told in listed.items()
        if told and all(isinstance(one, str) and _may_be_image(one) for one in told)
    }


def _only(place: str, told: Sequence[str]) -> str:
    """The image of a column.

    Raises:
        ToolkitError: it names several.
    """
    if len(told) > 1:
        raise ToolkitError(place, f"is of {len(told)} images", "make a task of each image")
    return told[0]


def _may_be_image(told: str) -> bool:
    return told.startswith("data:image/") or any(is_image(plain_name(name) or "x") for name in names_of(told))


def place_of(finder: ImageFinder, told: str, *, ours: bool) -> Place | None:
    """The image that a task names: by its path below the root, its name, or that without what an upload puts before it.

    None where there is none, or several and nothing tells the right one.
    """
    names = names_of(told)
    for name in names:
        image = finder.find(name, [finder.root], anywhere=False)
        if image is not None:
            return Place(image, "path")
    for name in names if not ours else ():
        image = finder.find(name, [])
        if image is not None:
            return Place(image, "name")
    for name in names if not ours else ():
        bare = bare_name(name)
        image = finder.find(bare, []) if bare else None
        if image is not None:
            return Place(image, "bare")
    return None


def bare_name(name: str) -> str:
    """A name without the eight digits that stand before it; "" where none do."""
    folder, _, last = plain_name(name).rpartition("/")
    short = _PREFIX.sub("", last)
    return "" if short == last else f"{folder}/{short}" if folder else short
