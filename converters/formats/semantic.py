"""Class-id maps: `masks/<subset>/NAME.png`, 0 background, 255 ignored, beside `images/<subset>/`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import orjson

from converters.formats.base import Encoded, Settings, TreeShape, image_name
from converters.formats.class_maps import index_class_maps
from converters.formats.format import Format
from converters.formats.map_values import IGNORE
from converters.formats.painting import label_name, pixels_kept
from converters.formats.yolo.data_yaml import data_yaml, find_data_yaml, read_data_yaml
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import LabelledImage
from toolkit.imaging.images import encode_blank_map, encode_map

__all__ = ["FORMAT", "IGNORE"]


_META = "dataset_meta.json"
_MOST_CLASSES = 254


def _encode(image: LabelledImage, settings: Settings) -> Encoded:
    """The class-id map of an image."""
    values = [settings.class_id(instance.label) + 1 for instance in image.instances]
    ids = image.painted(values, np.uint8)
    fidelity, covered = pixels_kept(ids, image, values)
    label = f"masks/{image.subset}/{label_name(image)}"
    return Encoded(
        f"images/{image.subset}/{image_name(image)}",
        ((label, encode_map(ids) if values else encode_blank_map(ids.shape)),),
        objects=len(image.instances),
        fidelity=fidelity,
        covered=covered,
    )


def _shape(settings: Settings, subsets: Sequence[str]) -> TreeShape:
    """The dataset file that ultralytics' semantic task reads, and datumaro's.

    Raises:
        ToolkitError: more classes than a byte has values.
    """
    if len(settings.classes) > _MOST_CLASSES:
        problem = f"holds {_MOST_CLASSES} classes at most, and there are {len(settings.classes)}"
        raise ToolkitError("semantic", problem, "use --to coco, which holds any number of them, or --classes binary")
    document = data_yaml(["background", *settings.classes], subsets, masks_dir="masks")
    return TreeShape(closing=(("data.yaml", document), (_META, _dataset_meta(settings.classes))))


def _dataset_meta(classes: Sequence[str]) -> bytes:
    """What datumaro's common_semantic_segmentation asks for: the value of each class. It takes equal names for one."""
    words = ("background", "unlabelled", *(f"background {number}" for number in range(len(classes))))
    nothing = next(word for word in words if word not in classes)
    labels = {str(value): name for value, name in enumerate([nothing, *classes])}
    return orjson.dumps({"label_map": labels, "background_label": "0"}, option=orjson.OPT_INDENT_2) + b"\n"


def _recognise(root: Path) -> bool:
    path = find_data_yaml(root)
    return path is not None and "masks_dir" in read_data_yaml(path)


FORMAT = Format(
    name="semantic",
    holds="pixels",
    encode=_encode,
    shape=_shape,
    index=index_class_maps,
    label_files=("masks/*/*.png",),
    rank=30,
    recognise=_recognise,
    seen_by={"ultralytics": None},
    counts_instances=False,  # a map keeps classes, and its reader takes components for instances
)
