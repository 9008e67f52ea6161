"""COCO instances: edge rings with keyholes, or run lengths, both of which pycocotools gives back bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from converters.formats.base import Encoded, Pixels, Settings, TreeShape, image_name
from converters.rasterize import compress_rle, fill_edges, uncompressed_rle
from toolkit.geometry.contours import edge_rings, uncut_rings
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.geometry.simplify import Region, simplify_regions

__all__ = ["Coco", "categories"]


def categories(classes: Sequence[str]) -> list[dict[str, Any]]:
    """COCO categories; ids from 1."""
    return [{"id": number, "name": name, "supercategory": "defect"} for number, name in enumerate(classes, 1)]


class Coco:
    """`annotations/instances_<subset>.json` beside `images/<subset>/`."""

    def encode(self, image: LabelledImage, settings: Settings) -> Encoded:
        """One annotation for each instance: `iscrowd` 0, `area` the pixel count, `bbox` the tight box."""
        name = image_name(image)
        annotations = []
        intersection = union = 0
        for instance in image.instances:
            segmentation, kept = _segmentation(instance, image, settings)
            intersection += kept.intersection
            union += kept.union
            annotations.append(_annotation(instance, segmentation, settings))
        return Encoded(
            f"images/{image.subset}/{name}",
            annotations=tuple(annotations),
            header=b'"file_name":%b,"width":%d,"height":%d' % (orjson.dumps(name), image.width, image.height),
            objects=len(annotations),
            fidelity=Pixels(intersection, union) if annotations else None,
        )

    def shape(self, settings: Settings, subsets: Sequence[str]) -> TreeShape:
        """One JSON file for each subset."""
        lists = {"categories": categories(settings.classes)}
        return TreeShape(json_file="annotations/instances_{}.json", json_lists=lists)


def _annotation(instance: Instance, segmentation: bytes, settings: Settings) -> bytes:
    x0, y0, x1, y1 = instance.bbox
    return b'"category_id":%d,"iscrowd":0,"area":%d,"bbox":[%d,%d,%d,%d],"segmentation":%b' % (
        settings.class_id(instance.label) + 1,
        instance.area,
        x0,
        y0,
        x1 - x0,
        y1 - y0,
        segmentation,
    )


def _segmentation(instance: Instance, image: LabelledImage, settings: Settings) -> tuple[bytes, Pixels]:
    """JSON of a segmentation, and what it keeps of the instance when pycocotools rasterises it."""
    if settings.segmentation == "rle":
        counts = uncompressed_rle(instance.mask, instance.bbox[:2], image.height, image.width)
        size = [image.height, image.width]
        packed = {"size": size, "counts": compress_rle(counts, image.height, image.width)}
        return orjson.dumps(packed), Pixels(instance.area, instance.area)
    height, width = instance.mask.shape
    outline = instance.outline
    rings = edge_rings(outline)
    if settings.min_iou < 1:
        regions = [Region(outer, tuple(holes)) for outer, holes in uncut_rings(outline, "edge")]
        fewer = simplify_regions(
            regions, instance.mask, lambda found: fill_edges(found, height, width), settings.min_iou
        )
        rings = fewer or rings
    filled = fill_edges(rings, height, width)
    both = int(np.count_nonzero(filled & instance.mask))
    placed = [(ring + instance.bbox[:2]).ravel() for ring in rings]
    text = b"[" + b",".join(orjson.dumps(ring, option=orjson.OPT_SERIALIZE_NUMPY) for ring in placed) + b"]"
    return text, Pixels(both, int(np.count_nonzero(filled)) + instance.area - both)
