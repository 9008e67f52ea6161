"""COCO instances: edge rings with keyholes, or run lengths, both of which pycocotools gives back bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson

from converters.formats.base import AsWritten, Encoded, Pixels, Settings, TreeShape, image_name
from converters.formats.coco.annotations import CROWD, annotations_shown, given_box, load_filled, turn_of
from converters.formats.coco.categories import coco_categories
from converters.formats.coco.faults import self_faults
from converters.formats.coco.files import speaks_of
from converters.formats.coco.reader import index_coco
from converters.formats.format import Format
from converters.formats.label_tree import LabelRecord
from converters.rasterize import compare_edges, compress_rle, fill_edges, uncompressed_rle
from toolkit.geometry.contours import uncut_rings
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.geometry.simplify import Region, simplify_regions

__all__ = ["FORMAT"]


def _encode(image: LabelledImage, settings: Settings) -> Encoded:
    """One annotation for each instance: `area` the pixel count, `bbox` the tight box; a crowd is one again."""
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
        fidelity=Pixels(intersection, union) if union else None,
    )


def _shape(settings: Settings, subsets: Sequence[str]) -> TreeShape:
    """One JSON file for each subset."""
    return TreeShape(
        json_file="annotations/instances_{}.json", json_lists={"categories": coco_categories(settings.classes)}
    )


def _annotation(instance: Instance, segmentation: bytes, settings: Settings) -> bytes:
    x0, y0, x1, y1 = instance.bbox
    box = (x0, y0, x1 - x0, y1 - y0)
    area = instance.area if instance.mask is not None else box[2] * box[3]
    return b'"category_id":%d,"iscrowd":%d,"area":%b,"bbox":[%b],"segmentation":%b' % (
        settings.class_id(instance.label) + 1,
        CROWD in instance.attributes,
        _number(area),
        b",".join(map(_number, box)),
        segmentation,
    )


def _number(value: float) -> bytes:
    """A number as JSON; a whole one without a point."""
    return b"%d" % value if value == int(value) else orjson.dumps(round(value, 6))


def _segmentation(instance: Instance, image: LabelledImage, settings: Settings) -> tuple[bytes, Pixels]:
    """JSON of a segmentation, and what it keeps of the instance when pycocotools rasterises it; a box has none."""
    mask = instance.mask
    if mask is None:
        return b"[]", Pixels(0, 0)
    if settings.segmentation == "rle" or CROWD in instance.attributes:  # crowds are run lengths, as COCO has them
        counts = uncompressed_rle(mask, instance.window[:2], image.height, image.width)
        size = [image.height, image.width]
        packed = {"size": size, "counts": compress_rle(counts, image.height, image.width)}
        return orjson.dumps(packed), Pixels(instance.area, instance.area)
    height, width = mask.shape
    rings = instance.edge_rings
    if settings.min_iou < 1:
        regions = [Region(outer, tuple(holes)) for outer, holes in uncut_rings(instance.outline, "edge")]
        fewer = simplify_regions(regions, mask, lambda found: fill_edges(found, height, width), settings.min_iou)
        rings = fewer or rings
    placed = [(ring + instance.bbox[:2]).ravel() for ring in rings]
    text = b"[" + b",".join(orjson.dumps(ring, option=orjson.OPT_SERIALIZE_NUMPY) for ring in placed) + b"]"
    return text, Pixels(*compare_edges(rings, mask))


def _recognise(root: Path) -> bool:
    return speaks_of(root, "instances")


def _as_written(record: LabelRecord, shown: LabelledImage) -> AsWritten:
    given = [given_box(one) if not turn_of(one) else None for one in annotations_shown(record, len(shown.instances))]
    return AsWritten(
        boxes=tuple(
            (box[0], box[1], box[0] + box[2], box[1] + box[3]) if box is not None else one.bbox
            for box, one in zip(given, shown.instances, strict=True)
        )
    )


FORMAT = Format(
    name="coco",
    holds="pixels",
    encode=_encode,
    shape=_shape,
    index=index_coco,
    told_family="coco",
    label_files=("annotations/*.json",),
    rank=0,
    takes_boxes=True,
    keeps=(CROWD,),
    recognise=_recognise,
    recognise_file=_recognise,
    count=lambda image, settings: len(image.instances),
    as_written=_as_written,
    self_faults=self_faults,
    seen_by={"pycocotools": None, "cvat": None, "supervision": load_filled},
    turns_photos=False,  # torchvision opens them with a bare Pillow
)
