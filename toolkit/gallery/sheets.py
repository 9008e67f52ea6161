"""A contact sheet of a gallery's images: for a paper, or where there is no browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from toolkit.errors import ToolkitError
from toolkit.files.publish import write_whole
from toolkit.gallery.items import GalleryItem, GalleryPage
from toolkit.gallery.sampling import even_sample
from toolkit.geometry.labels import LabelledImage
from toolkit.imaging.images import encode_png, read_image

__all__ = ["check_sheet", "write_sheet"]

_TILES = 24


def check_sheet(file: Path, *, replace_it: bool) -> None:
    """Refuse a name that a sheet cannot have.

    Raises:
        ToolkitError: it is no PNG's, or stands for something that must not be replaced.
    """
    if file.suffix.lower() != ".png":
        raise ToolkitError(file, "a contact sheet is a PNG", "name it FILE.png")
    if file.is_dir():
        raise ToolkitError(file, "is a folder", "name a PNG file")
    if file.exists() and not replace_it:
        raise ToolkitError(file, "exists already", "choose another name, or add --overwrite")


def write_sheet(items: Sequence[GalleryItem], file: Path, page: GalleryPage, most: int | None = None) -> int:
    """Draw an even sample of items, those that cannot be read left out; returns how many are on the sheet.

    Args:
        items: what to choose from.
        file: the PNG to write.
        page: gives the classes and so their colours.
        most: number of tiles; 24 if None.

    Raises:
        ToolkitError: none of them can be read, or the file cannot be written.
    """
    from toolkit.plotting.overlays import overlay_sheet

    strata = [(item.image_class, item.subset) for item in items]
    sample = [items[place] for place in even_sample(strata, _TILES if most is None else most)]
    shown = [labelled for item in sample if (labelled := _readable(item)) is not None]
    if not shown:
        raise ToolkitError(file, "none of its images can be read", "see the problems in the gallery")
    classes = [*page.classes]
    classes += sorted({one.label for image in shown for one in image.instances} - set(classes))
    write_whole(file, encode_png(overlay_sheet(shown, classes=classes)))
    return len(shown)


def _readable(item: GalleryItem) -> LabelledImage | None:
    """An item's labels, with its image if that has the size they are for; None where they are at fault."""
    try:
        labelled = item.load().labelled
        if item.image is not None and read_image(item.image).shape[:2] != (labelled.height, labelled.width):
            return None
    except ToolkitError:
        return None
    return replace(labelled, path=item.image)
