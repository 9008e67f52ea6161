"""Pascal VOC: `Annotations/NAME.xml`; where masks are, NAME.png in `SegmentationClass/` and `SegmentationObject/`."""

from __future__ import annotations

from collections.abc import Sequence

from converters.formats.boxes import TOLERANCE, shown_box
from converters.formats.format import Format
from converters.formats.label_tree import LabelRecord
from converters.formats.voc.loading import load_boxes, written_boxes
from converters.formats.voc.reader import index_voc
from converters.formats.voc.signs import is_voc, looks_like_voc, marks_objects
from converters.formats.voc.writer import encode_voc, objects_shown, voc_shape
from toolkit.geometry.labels import FLAGS, Box, Instance

__all__ = ["FORMAT"]


def _self_faults(record: LabelRecord, instances: Sequence[Instance]) -> list[str]:
    """Boxes of ours that are not those of their masks. They may be larger where another object covers a mask."""
    if not record.ours:
        return []
    written = written_boxes(record)
    if len(written) != len(instances):
        return []  # which is said where labels are counted
    faults = []
    for number, ((label, box), one) in enumerate(zip(written, instances, strict=True), 1):
        others = (other for other in instances if other is not one)
        if label == one.label and _is_tight(box, one.bbox):
            continue
        if label != one.label or not (_holds(box, one.bbox) and any(_meet(box, other.bbox) for other in others)):
            told = f"object {number}: its box {shown_box(box)} is not the tight box {shown_box(one.bbox)} of its mask"
            faults.append(f"{record.sample.key}: {told}")
    return faults


def _is_tight(box: Box, tight: Box) -> bool:
    return max(abs(a - b) for a, b in zip(box, tight, strict=True)) <= TOLERANCE


def _holds(box: Box, tight: Box) -> bool:
    (x0, y0, x1, y1), (u0, v0, u1, v1) = box, tight
    return min(u0 - x0, v0 - y0, x1 - u1, y1 - v1) >= -TOLERANCE


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


FORMAT = Format(
    name="voc",
    holds="pixels",
    encode=encode_voc,
    shape=voc_shape,
    index=index_voc,
    label_files=("Annotations/*.xml", "SegmentationClass/*.png", "SegmentationObject/*.png", "ImageSets/*/*.txt"),
    rank=15,
    reads=("voc_boxes", "without_label"),
    recognise=is_voc,
    suspect=looks_like_voc,
    sidecar=".xml",
    marks=marks_objects,
    count=objects_shown,
    self_faults=_self_faults,
    takes_boxes=True,
    keeps=None,
    seen_by={"cvat": None, "supervision": load_boxes},
    boxes_by=("supervision",),
    flags=FLAGS,
    turns_photos=False,  # torchvision opens them with a bare Pillow
)
