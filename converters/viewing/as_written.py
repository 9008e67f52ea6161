"""One image's labels as they stand in the label file, beside what its source marks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from converters.formats.base import FormatName, Settings
from converters.formats.label_tree import Entry
from converters.formats.yolo.reader import parse_rows
from converters.rasterize import ROUNDINGS, Rounding
from converters.sources import expected_labels
from converters.verification.comparison import box_faults, pixel_difference
from toolkit.dataset.samples import Sample
from toolkit.errors import Problem
from toolkit.gallery.items import Difference, Shapes, Shown
from toolkit.geometry.labels import Instance, LabelledImage

__all__ = ["BOX_SHAPES", "read_shown"]

BOX_SHAPES: dict[FormatName, Shapes] = {
    "yolo-detect": "boxes",
    "yolo-obb": "oriented",
    "yolo-classify": "classes",
}


def read_shown(
    entry: Entry, member: Sample | Entry | None, kind: FormatName, shapes: Shapes, settings: Settings, compare: bool
) -> Shown:
    """The labels of one image as written, beside what the source marks."""
    readings = [entry.labelled(rounding=rounding) for rounding in _roundings(kind)]
    shown = readings[0]
    boxes, corners = _written(entry, kind, shown)
    if not compare:
        return Shown(shown, boxes, corners)
    if member is None:
        problem = Problem(entry.sample.key, "is not in the source", "name the right one with --against ROOT")
        return Shown(shown, boxes, corners, problems=(problem,))
    truth = expected_labels(member, replace(settings, min_area=0))
    if isinstance(truth, str):
        return Shown(shown, boxes, corners, problems=(Problem("the source", truth),))
    if (shown.width, shown.height) != (truth.width, truth.height):
        sizes = f"labelled as {shown.width} x {shown.height} pixels, the source is {truth.width} x {truth.height}"
        return Shown(shown, boxes, corners, problems=(Problem(entry.sample.key, sizes),))
    if shapes != "pixels":
        problems = _box_problems(entry, member, kind, settings, truth)
        return Shown(shown, boxes, corners, truth.marked(), problems=problems)
    alike = [_binary(reading) if settings.scheme == "binary" else reading for reading in readings]
    found = [pixel_difference(reading, truth) for reading in alike]
    worst = min(range(len(found)), key=lambda number: found[number].iou)
    one = found[worst]
    difference = Difference(one.offset, one.lost, one.gained, one.renamed, one.iou)
    return Shown(readings[worst], boxes, corners, truth.marked(), difference)


def _roundings(kind: FormatName) -> tuple[Rounding, ...]:
    """Readers of YOLO polygons truncate or round: what is shown is the worse of the two, as `verify` counts it."""
    return ROUNDINGS if kind == "yolo-segment" else ROUNDINGS[:1]


def _box_problems(
    entry: Entry, member: Sample | Entry, kind: FormatName, settings: Settings, truth: LabelledImage
) -> tuple[Problem, ...]:
    """What boxes, oriented boxes or classes get wrong."""
    if kind not in BOX_SHAPES:
        return ()
    wanted = expected_labels(member, settings) if settings.min_area else truth
    faults = box_faults(kind, entry, wanted) if isinstance(wanted, LabelledImage) else []
    return tuple(Problem(*line.split(": ", 1)) for line in faults)


def _written(
    entry: Entry, kind: FormatName, shown: LabelledImage
) -> tuple[tuple[tuple[float, float, float, float], ...] | None, tuple[npt.NDArray[np.float64], ...] | None]:
    """Upright boxes and oriented boxes of the instances as they stand in the label file; None where none do."""
    size = np.array([shown.width, shown.height], np.float64)
    if kind == "coco":
        given = [one.get("bbox", ()) for one in entry.payload[1]]
        return tuple(
            (box[0], box[1], box[0] + box[2], box[1] + box[3]) if len(box) == 4 else one.bbox
            for box, one in zip(given, shown.instances, strict=True)
        ), None
    if kind == "yolo-obb":
        rows = parse_rows(Path(entry.payload), entry.names)
        return None, tuple(values.reshape(-1, 2).astype(np.float64) * size for _, values, _ in rows)
    if kind == "yolo-detect":
        boxes = []
        for (_, values, _), one in zip(parse_rows(Path(entry.payload), entry.names), shown.instances, strict=True):
            if len(values) == 4:
                centre, span = values[:2].astype(np.float64) * size, values[2:].astype(np.float64) * size
                low, high = (centre - span / 2).tolist(), (centre + span / 2).tolist()
                boxes.append((low[0], low[1], high[0], high[1]))
            else:
                boxes.append(one.bbox)
        return tuple(boxes), None
    return None, None


def _binary(labelled: LabelledImage) -> LabelledImage:
    """The same labels with one class, as masks tell no classes apart."""
    instances = tuple(Instance("defect", one.bbox, one.mask, one.area) for one in labelled.instances)
    return replace(labelled, instances=instances)
