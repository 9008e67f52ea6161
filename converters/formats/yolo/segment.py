"""YOLO polygons: rows of class and polygon; one row for each part of an instance that does not touch the others."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from converters.formats.base import Encoded, Pixels, Settings
from converters.formats.format import Format
from converters.formats.yolo.data_yaml import find_data_yaml, read_document
from converters.formats.yolo.description import holds_labels, is_described
from converters.formats.yolo.indexing import index_yolo
from converters.formats.yolo.polygons import pixel_rings, polygon_rows
from converters.formats.yolo.writer import encoded_rows, yolo_shape
from converters.rasterize import ROUNDINGS, compare_pixels
from toolkit.geometry.labels import LabelledImage

__all__ = ["FORMAT"]


def _encode(image: LabelledImage, settings: Settings) -> Encoded:
    """Rows that fill to the instance's pixels, and the pixels that they do fill.

    A row that stands already has its last point once more: ultralytics drops a row that stands twice.
    """
    lines: list[str] = []
    seen: set[str] = set()
    intersection = union = bridges = 0
    traced = [pixel_rings(instance, settings) for instance in image.instances]
    places = [instance.window[:2] for instance in image.instances]
    rings = [ring + place for (own, _), place in zip(traced, places, strict=True) for ring in own]
    rows = iter(polygon_rows(rings, image))
    for instance, (own, added), place in zip(image.instances, traced, places, strict=True):
        label = f"{settings.class_id(instance.label)} "
        written = list(islice(rows, len(own)))
        for row in written:
            line = label + row.text
            while line in seen:
                line = " ".join([line, *line.split()[-2:]])
            seen.add(line)
            lines.append(line)
        both, either = compare_pixels([row.read_back - place for row in written], instance.region)
        intersection += both
        union += either
        bridges += added
    return encoded_rows(image, lines, settings, Pixels(intersection, union), bridges)


def _count(image: LabelledImage, settings: Settings) -> int:
    if settings.join_parts:
        return len(image.instances)
    # A part of a mask has one ring, which need not be walked to be counted.
    return sum(1 if one.part is not None else len(one.centre_rings) for one in image.instances)


def _recognise(root: Path) -> bool:
    """Whether there is a dataset file that speaks of no class maps, or names of classes and labels.

    Its rows say later what they are.
    """
    path = find_data_yaml(root)
    if path is not None:
        return "masks_dir" not in read_document(path)[0]
    return is_described(root) and holds_labels(root, empty=True)


FORMAT = Format(
    name="yolo-segment",
    holds="pixels",
    encode=_encode,
    shape=yolo_shape,
    index=index_yolo,
    label_files=("labels/*/*.txt",),
    rank=20,
    recognise=_recognise,
    suspect=holds_labels,
    roundings=ROUNDINGS,
    count=_count,
)
