"""One image's labels as they stand in the label file, beside what its source marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from converters.formats.base import Holds, Settings
from converters.formats.label_tree import LabelRecord
from converters.formats.registry import find_format
from converters.sources import Member
from converters.verification.comparison import box_faults, drawn_as_masks, masked, pixel_difference
from converters.writing.selection import read_selected
from converters.writing.tiling import TileMember
from toolkit.errors import Problem, ToolkitError
from toolkit.gallery.items import Difference, Shown
from toolkit.geometry.labels import LabelledImage

__all__ = ["read_shown"]


def read_shown(
    record: LabelRecord, member: Member | None, kind: str, holds: Holds, settings: Settings, compare: bool
) -> Shown:
    """The labels of one image as written, beside what the source marks; of several readings the worst, as `verify`.

    Args:
        record, member: the image in the tree and in the source.
        kind: name of the tree's format, which other processes look up for themselves.
        holds, settings: what the labels consist of, and how they were made.
        compare: whether there is a source.
    """
    found = find_format(kind)
    readings = record.readings("defect", found.roundings)
    shown = readings[0]
    boxes, corners = found.as_written(record, shown)
    if not compare:
        return Shown(shown, boxes, corners)
    if member is None:
        problem = Problem(record.sample.key, "is not in the source", "name the right one with --against ROOT")
        return Shown(shown, boxes, corners, problems=(problem,))
    try:
        if settings.tiles is not None:
            image = member.read(settings).image
            tile = TileMember.of(member, record.sample.key, (image.width, image.height), settings.tiles)
            if tile is None:
                told = f"is no tile of its image of {image.width} x {image.height} pixels"
                return Shown(shown, boxes, corners, problems=(Problem(record.sample.key, told),))
            member = tile
        every = replace(settings, min_area=0, selection=replace(settings.selection, max_area=None))
        truth = read_selected(member, every).labelled.image
        wanted = truth if settings == every or holds == "pixels" else read_selected(member, settings).labelled.image
    except ToolkitError as error:
        told = "; ".join(str(problem) for problem in error.problems)
        return Shown(shown, boxes, corners, problems=(Problem("the source", told),))
    if (shown.width, shown.height) != (truth.width, truth.height):
        sizes = f"labelled as {shown.width} x {shown.height} pixels, the source is {truth.width} x {truth.height}"
        return Shown(shown, boxes, corners, problems=(Problem(record.sample.key, sizes),))
    problems = tuple(Problem(*line.split(": ", 1)) for line in box_faults(found, record, shown, wanted, holds))
    true = masked(truth).marked() if truth.kind not in ("class", "boxes") else None
    if holds != "pixels":
        return Shown(shown, boxes, corners, true, problems=problems)
    alike = [reading.binary() if settings.scheme == "binary" else reading for reading in readings]
    truth = truth.binary() if settings.scheme == "binary" else truth  # whatever its one class was named
    place, difference = _difference(alike, truth, rectangles=drawn_as_masks(found, truth) > 0)
    return Shown(readings[place], boxes, corners, true, difference, problems=problems)


def _difference(readings: Sequence[LabelledImage], truth: LabelledImage, *, rectangles: bool) -> tuple[int, Difference]:
    """The reading that differs most from the truth, and by what.

    Objects without a mask are no pixels. Where they were drawn as rectangles nothing tells these from the rest: the
    whole is compared, and what does not differ is not called exact.
    """
    pairs = [(one, truth) if rectangles else (masked(one), masked(truth)) for one in readings]
    differences = [pixel_difference(one, true) for one, true in pairs]
    place = min(range(len(differences)), key=lambda number: differences[number].iou)
    worst = differences[place]
    nothing = not any(image.instances for image in pairs[place]) or (rectangles and worst.iou == 1)
    iou = None if nothing else worst.iou
    return place, Difference(worst.offset, worst.lost, worst.gained, worst.renamed, iou)
