"""Labels that are images: class-id maps, panoptic maps, and the masks of the MVTec layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import orjson

from converters.formats.base import Encoded, Pixels, Settings, TreeShape, as_folder
from converters.formats.coco.writer import categories
from converters.formats.yolo.writer import data_yaml, image_name
from toolkit.dataset.splits import SUBSETS
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import GOOD, Instance, LabelledImage
from toolkit.imaging.images import encode_blank_map, encode_map

__all__ = ["IGNORE", "Masks", "Panoptic", "Semantic", "mvtec_place"]

IGNORE = 255
"""Value in class-id maps of pixels that training and evaluation pass over."""
_MOST_CLASSES = 254

Map = TypeVar("Map", np.uint8, np.uint32)


def _label_name(image: LabelledImage) -> str:
    """Name of an image's label file: that of the image, as PNG."""
    return image_name(image).rpartition(".")[0] + ".png"


def _paint(image: LabelledImage, values: Sequence[int], dtype: type[Map]) -> npt.NDArray[Map]:
    """Map (H, W) of one value for each instance, 0 elsewhere; where instances overlap, the later one shows."""
    raster = np.zeros((image.height, image.width), dtype)
    for instance, value in zip(image.instances, values, strict=True):
        x0, y0, x1, y1 = instance.bbox
        raster[y0:y1, x0:x1][instance.mask] = value
    return raster


def _kept(shown: npt.NDArray[Any], image: LabelledImage, values: Sequence[int]) -> Pixels | None:
    """Pixels of the instances that show the right value."""
    kept = total = 0
    for instance, value in zip(image.instances, values, strict=True):
        x0, y0, x1, y1 = instance.bbox
        kept += int(np.count_nonzero((shown[y0:y1, x0:x1] == value) & instance.mask))
        total += instance.area
    return Pixels(kept, total) if total else None


class Semantic:
    """`masks/<subset>/NAME.png` of class ids, 0 background, beside `images/<subset>/`."""

    def encode(self, image: LabelledImage, settings: Settings) -> Encoded:
        """The class-id map of an image."""
        values = [settings.class_id(instance.label) + 1 for instance in image.instances]
        ids = _paint(image, values, np.uint8)
        label = f"masks/{image.subset}/{_label_name(image)}"
        return Encoded(
            f"images/{image.subset}/{image_name(image)}",
            ((label, encode_map(ids) if values else encode_blank_map(ids.shape)),),
            objects=len(image.instances),
            fidelity=_kept(ids, image, values),
        )

    def shape(self, settings: Settings, subsets: Sequence[str]) -> TreeShape:
        """The dataset file that ultralytics' semantic task reads.

        Raises:
            ToolkitError: more classes than a byte has values.
        """
        if len(settings.classes) > _MOST_CLASSES:
            raise ToolkitError("semantic", f"holds {_MOST_CLASSES} classes at most", "use --classes binary")
        document = data_yaml(["background", *settings.classes], subsets, masks_dir="masks")
        return TreeShape(closing=(("data.yaml", document),))


class Panoptic:
    """COCO panoptic: `panoptic_<subset>/NAME.png` of segment ids in base 256 (R first), and a JSON that lists them."""

    def encode(self, image: LabelledImage, settings: Settings) -> Encoded:
        """The segment map of an image. Instances that others hide wholly cannot be shown and are reported."""
        values = list(range(1, len(image.instances) + 1))
        ids = _paint(image, values, np.uint32)
        segments, skipped = [], []
        for instance, value in zip(image.instances, values, strict=True):
            segment = _segment(ids, instance, value, settings)
            if segment is None:
                skipped.append(("hidden by another instance", instance.area))
            else:
                segments.append(segment)
        name = _label_name(image)
        described = b'"file_name":%b,"segments_info":%b' % (orjson.dumps(name), orjson.dumps(segments))
        size = b'"width":%d,"height":%d' % (image.width, image.height)
        return Encoded(
            f"images/{image.subset}/{image_name(image)}",
            ((f"panoptic_{image.subset}/{name}", _encode_ids(ids) if values else encode_blank_map((*ids.shape, 3))),),
            annotations=(described,),
            header=b'"file_name":%b,%b' % (orjson.dumps(image_name(image)), size),
            objects=len(segments),
            fidelity=_kept(ids, image, values),
            skipped=tuple(skipped),
        )

    def shape(self, settings: Settings, subsets: Sequence[str]) -> TreeShape:
        """One JSON file for each subset."""
        things = [{**category, "isthing": 1} for category in categories(settings.classes)]
        return TreeShape(json_file="annotations/panoptic_{}.json", json_lists={"categories": things})


def _encode_ids(ids: npt.NDArray[np.uint32]) -> bytes:
    """Segment ids as colours, R + 256 G + 256^2 B (https://cocodataset.org/#format-results, panoptic)."""
    rgba = ids.astype("<u4", copy=False).view(np.uint8).reshape(*ids.shape, 4)
    return encode_map(np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGR), np.uint8))


def _segment(
    ids: npt.NDArray[np.uint32], instance: Instance, value: int, settings: Settings
) -> dict[str, object] | None:
    """The record of a segment as far as it shows; None if nothing of it does."""
    x0, y0, x1, y1 = instance.bbox
    shows = ids[y0:y1, x0:x1] == value
    rows, columns = np.flatnonzero(shows.any(axis=1)), np.flatnonzero(shows.any(axis=0))
    if not len(rows):
        return None
    box = [x0 + columns[0], y0 + rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
    return {
        "id": value,
        "category_id": settings.class_id(instance.label) + 1,
        "area": int(np.count_nonzero(shows)),
        "bbox": [int(number) for number in box],
        "iscrowd": 0,
    }


class _Place(NamedTuple):
    """Where an image belongs in the MVTec layout."""

    category: str
    split: str
    defect: str
    stem: str


def mvtec_place(image: LabelledImage) -> _Place:
    """Place of an image by its key, "category/split/defect/stem"; labels of other tools get one made up.

    There, `category` is "product" and the defect the image's class; the key's parts are joined to a stem. The layout
    has masks for its test folder only, so defects of other folders move there, under a name of their own.

    Raises:
        ToolkitError: the class cannot be a folder's name.
    """
    parts = image.key.split("/")
    if len(parts) == 4 and parts[1] in SUBSETS and all(part and part not in (".", "..") for part in parts):
        if not image.instances:
            stem = parts[3] if parts[2] == GOOD else f"{parts[2]}__{parts[3]}"  # all of its components were left out
            return _Place(parts[0], parts[1], GOOD, stem)
        return _Place(parts[0], "test", parts[2], parts[3] if parts[1] == "test" else f"{parts[1]}__{parts[3]}")
    subset = "train" if image.subset == "train" and not image.instances else "test"
    label = as_folder(image.image_label, image.key) if image.instances else GOOD
    return _Place("product", subset, label, "__".join(part for part in parts if part))


class Masks:
    """The MVTec tree: `CATEGORY/test/DEFECT/NAME.png` and `CATEGORY/ground_truth/DEFECT/NAME_mask.png`."""

    def encode(self, image: LabelledImage, settings: Settings) -> Encoded:
        """The mask of all instances of an image, 0 and 255; a good image has none."""
        place = mvtec_place(image)
        suffix = image_name(image).rpartition(".")[2]
        target = f"{place.category}/{place.split}/{place.defect}/{place.stem}.{suffix}"
        if not image.instances:
            return Encoded(target)
        mask = _paint(image, [255] * len(image.instances), np.uint8)
        union = int(np.count_nonzero(mask))
        return Encoded(
            target,
            ((f"{place.category}/ground_truth/{place.defect}/{place.stem}_mask.png", encode_map(mask)),),
            objects=len(image.instances),
            fidelity=Pixels(union, union),
        )

    def shape(self, settings: Settings, subsets: Sequence[str]) -> TreeShape:
        """Nothing beside the images."""
        return TreeShape()
