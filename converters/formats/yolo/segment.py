"""YOLO polygons: rows of class and polygon; one row for each part of an instance that does not touch the others."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from converters.formats.base import Encoded, Pixels, Settings
from converters.formats.format import Format
from converters.formats.yolo.data_yaml import find_data_yaml, read_document
from converters.formats.yolo.description import holds_labels, holds_row, is_described
from converters.formats.yolo.indexing import index_yolo
from converters.formats.yolo.polygons import Row, pixel_rings, polygon_rows
from converters.formats.yolo.reader import load_edges, load_rounded, load_truncated
from converters.formats.yolo.writer import encoded_rows, yolo_shape
from converters.rasterize import ROUNDINGS, compare_pixels
from toolkit.geometry.labels import Instance, LabelledImage

__all__ = ["FORMAT"]


def _encode(image: LabelledImage, settings: Settings) -> Encoded:
    """Rows that fill to the instance's pixels, and the pixels that they do fill.

    A row that stands already has its last point once more: ultralytics drops a row that stands twice.
    """
    lines: list[str] = []
    seen: set[str] = set()
    intersection = union = bridges = 0
    for instance, rows, added in _written(image, settings):
        label = f"{settings.class_id(instance.label)} "
        for row in rows:
            line = label + row.text
            while line in seen:
                line = " ".join([line, *line.split()[-2:]])
            seen.add(line)
            lines.append(line)
        both, either = compare_pixels([row.read_back - instance.window[:2] for row in rows], instance.region)
        intersection += both
        union += either
        bridges += added
    return encoded_rows(image, lines, settings, Pixels(intersection, union), bridges)


_AT_ONCE = 1000  # instances whose rows are made together: faster than one by one, and no more memory than for so many


def _written(image: LabelledImage, settings: Settings) -> Iterator[tuple[Instance, list[Row], int]]:
    """Each instance, its rows, and the pixels that bridges between its parts add."""
    for start in range(0, len(image.instances), _AT_ONCE):
        block = image.instances[start : start + _AT_ONCE]
        traced = [pixel_rings(instance, settings) for instance in block]
        rings = [ring + one.window[:2] for one, (own, _) in zip(block, traced, strict=True) for ring in own]
        rows = iter(polygon_rows(rings, image))
        for instance, (own, added) in zip(block, traced, strict=True):
            yield instance, list(islice(rows, len(own))), added


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
    told_family="yolo",
    sidecar=".txt",
    marks=holds_row,
    label_files=("labels/*/*.txt",),
    rank=20,
    recognise=_recognise,
    suspect=holds_labels,
    roundings=ROUNDINGS,
    count=_count,
    seen_by={"ultralytics": load_truncated, "supervision": load_rounded, "cvat": load_edges},
)
