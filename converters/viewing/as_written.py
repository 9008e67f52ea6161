"""One image's labels as they stand in the label file, beside what its source marks."""

from __future__ import annotations

from dataclasses import replace

from converters.formats.base import Settings
from converters.formats.format import Format
from converters.formats.label_tree import LabelRecord
from converters.sources import Member
from converters.verification.comparison import box_faults, pixel_difference
from toolkit.errors import Problem, ToolkitError
from toolkit.gallery.items import Difference, Shapes, Shown
from toolkit.geometry.labels import LabelledImage

__all__ = ["read_shown"]


def read_shown(
    record: LabelRecord, member: Member | None, found: Format, shapes: Shapes, settings: Settings, compare: bool
) -> Shown:
    """The labels of one image as written, beside what the source marks; of several readings the worst, as `verify`."""
    readings = [record.labelled(rounding=rounding) for rounding in found.roundings]
    shown = readings[0]
    boxes, corners = found.as_written(record, shown)
    if not compare:
        return Shown(shown, boxes, corners)
    if member is None:
        problem = Problem(record.sample.key, "is not in the source", "name the right one with --against ROOT")
        return Shown(shown, boxes, corners, problems=(problem,))
    try:
        truth = member.read(replace(settings, min_area=0)).image
        wanted = truth if not settings.min_area or shapes == "pixels" else member.read(settings).image
    except ToolkitError as error:
        told = "; ".join(str(problem) for problem in error.problems)
        return Shown(shown, boxes, corners, problems=(Problem("the source", told),))
    if (shown.width, shown.height) != (truth.width, truth.height):
        sizes = f"labelled as {shown.width} x {shown.height} pixels, the source is {truth.width} x {truth.height}"
        return Shown(shown, boxes, corners, problems=(Problem(record.sample.key, sizes),))
    if shapes != "pixels":
        faults = box_faults(found, record, shown, wanted)
        problems = tuple(Problem(*line.split(": ", 1)) for line in faults)
        return Shown(shown, boxes, corners, truth.marked(), problems=problems)
    alike = [_binary(reading) if settings.scheme == "binary" else reading for reading in readings]
    differences = [pixel_difference(reading, truth) for reading in alike]
    worst = min(range(len(differences)), key=lambda number: differences[number].iou)
    one = differences[worst]
    difference = Difference(one.offset, one.lost, one.gained, one.renamed, one.iou)
    return Shown(readings[worst], boxes, corners, truth.marked(), difference)


def _binary(labelled: LabelledImage) -> LabelledImage:
    """The same labels with one class, as masks tell no classes apart."""
    instances = tuple(replace(one, label="defect") for one in labelled.instances)
    return replace(labelled, instances=instances)
