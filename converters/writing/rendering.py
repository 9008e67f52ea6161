"""One image of a source -> what each format has of it, or what is wrong with its files. Pure but for reading them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from converters.formats.base import Encoded, Settings
from converters.formats.label_tree import image_header
from converters.formats.registry import find_format
from converters.protocols import Member
from converters.writing.checks import check_kind
from converters.writing.conversion import Rendered
from converters.writing.items import Item
from converters.writing.selection import Selected, read_selected
from converters.writing.tiling import cut_photos, head_of, left_out_of_tile
from toolkit.dataset.samples import Sample
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import LabelledImage
from toolkit.geometry.tiles import plan_tiles
from toolkit.imaging.copies import upright_copy

__all__ = ["render", "render_labelled"]


def render(item: Item, formats: Sequence[str], settings: Settings) -> tuple[Rendered, ...]:
    """One image in every format, or what is wrong with it; of tiles each, after what is said of the image itself.

    Runs in a worker.
    """
    member, subset = item
    try:
        selected = read_selected(member, settings, subset)
        if selected.excluded:
            return (_excluded(member.sample, subset, selected),)
        check_kind(member, formats)
        if settings.tiles is not None:
            return _tiles(member, subset, selected, formats, settings)
        return (_whole(member.sample, subset, selected, formats, settings),)
    except ToolkitError as error:
        return (Rendered(member.sample, subset, error.problems, ()),)


def _whole(sample: Sample, subset: str, selected: Selected, formats: Sequence[str], settings: Settings) -> Rendered:
    labelled = selected.labelled
    encoded = _encoded(labelled.image, formats, settings, labelled.lies)
    return Rendered(
        sample,
        subset,
        (),
        encoded,
        labelled.found,
        labelled.too_small,
        labelled.turned,
        labelled.inverted,
        labelled.both_ways,
        labelled.image.left_out,
        _copied(labelled.image, encoded),
        selected.left_out,
    )


def _tiles(
    member: Member, subset: str, selected: Selected, formats: Sequence[str], settings: Settings
) -> tuple[Rendered, ...]:
    """What is said of an image, and the tiles that are cut from it.

    Raises:
        ToolkitError: its file is not there, cannot be read, or is of another size than its labels.
    """
    image, lies = selected.labelled.image, selected.labelled.lies
    if settings.tiles is None:
        return ()
    sample, asked, every = member.sample, settings.selection, None
    if asked.only or asked.max_area is not None:  # what else it shows is no background
        whole = replace(settings, selection=replace(asked, only=(), max_area=None))
        every = read_selected(member, whole, subset).labelled.image
    cuts, left_out, others = plan_tiles(image, settings.tiles, every)
    photos = cut_photos(image, cuts)
    found = [head_of(sample, subset, selected, cuts, (left_out, others))]
    for cut, photo in zip(cuts, photos, strict=True):
        encoded = _encoded(cut.image, formats, settings, False if photo else lies)
        slivers = left_out_of_tile(cut)
        found.append(
            Rendered(
                replace(sample, key=cut.image.key),
                subset,
                (),
                encoded,
                len(cut.image.instances) + len(slivers),
                copy=photo or _copied(cut.image, encoded),
                not_asked_for=slivers,
                cut=bool(photo),
            )
        )
    return tuple(found)


def _excluded(sample: Sample, subset: str, selected: Selected) -> Rendered:
    """An image that is not asked for: what its mask holds is counted, and nothing of it is written."""
    labelled = selected.labelled
    return Rendered(
        sample,
        subset,
        (),
        (),
        labelled.found,
        labelled.too_small,
        left_out=labelled.image.left_out,
        not_asked_for=selected.left_out,
        excluded=selected.excluded,
    )


def _encoded(
    image: LabelledImage, formats: Sequence[str], settings: Settings, lies: bool | None
) -> tuple[Encoded, ...]:
    """One image in every format. A rectangle that stands for a box is exact to nothing.

    `lies`: as in `Labelled`. An image that lies is a PNG where a reader would not turn it.
    """
    boxes = sum(one.mask is None for one in image.instances)
    encoded = []
    for found in map(find_format, formats):
        turned = image
        if settings.images != "none" and not found.turns_photos and image.path is not None and image.path.is_file():
            lies = image_header(image.path).turned if lies is None else lies
            turned = replace(image, path=image.path.with_suffix(".png")) if lies else image
        one = replace(found.encode(turned, settings), upright=turned is not image, dropped=found.drops(image))
        drawn = boxes and not found.takes_boxes and found.holds != "classes"
        encoded.append(replace(one, fidelity=None, rectangles=boxes) if drawn else one)
    return tuple(encoded)


def _copied(image: LabelledImage, encoded: Sequence[Encoded]) -> bytes:
    """The copy of an image that stands upright, where a format has one; else nothing."""
    return upright_copy(image.path) if image.path is not None and any(one.upright for one in encoded) else b""


def render_labelled(image: LabelledImage, formats: Sequence[str], settings: Settings) -> Rendered:
    """Labels in memory in every format."""
    sample = Sample(image.key, image.path or Path(), (), "", image.image_label, image.subset)
    encoded = _encoded(image, formats, settings, None)
    return Rendered(sample, image.subset, (), encoded, len(image.instances), copy=_copied(image, encoded))
