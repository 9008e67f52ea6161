"""What other tools write for a folder of masks, and what the readers of those labels make of it.

Each function of `WRITERS` takes masks by name and returns, for each, the pixels that the consumer ends up with.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import supervision as sv
from pycocotools import mask as coco_mask
from supervision.dataset.formats.coco import detections_to_coco_annotations
from supervision.dataset.formats.yolo import detections_to_yolo_annotations

# Set before the import: ultralytics otherwise looks for a network.
os.environ |= {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0", "YOLO_VERBOSE": "False"}
os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp())

from ultralytics.data.converter import convert_segment_masks_to_yolo_seg
from ultralytics.data.utils import polygon2mask

__all__ = [
    "WRITERS",
    "Masks",
    "fill_coco",
    "fill_yolo",
    "pycocotools_annotations",
    "supervision_coco_annotations",
    "supervision_yolo_lines",
    "write_ultralytics",
]

BoolArray = npt.NDArray[np.bool_]
Masks = Mapping[str, BoolArray]


def fill_yolo(text: str, height: int, width: int) -> BoolArray:
    """Fill the rows of a label file with ultralytics' own `polygon2mask`."""
    filled = np.zeros((height, width), np.bool_)
    rows = [line.split() for line in text.splitlines()]
    if any(len(row) == 5 for row in rows):
        return filled  # ultralytics drops the whole image
    for row in rows:
        points = np.array(row[1:], np.float32).reshape(-1, 2) * np.array([width, height], np.float32)
        filled |= polygon2mask((height, width), [points.reshape(-1)]).astype(bool)
    return filled


def fill_coco(segmentations: list[object], height: int, width: int) -> BoolArray:
    """Rasterise polygons or run lengths with pycocotools."""
    filled = np.zeros((height, width), np.bool_)
    for segmentation in segmentations:
        objects = coco_mask.frPyObjects(segmentation, height, width)
        objects = coco_mask.merge(objects) if isinstance(objects, list) else objects
        filled |= coco_mask.decode(objects).astype(bool)
    return filled


def write_ultralytics(masks_dir: Path, out: Path) -> None:
    """Ultralytics' converter; it wants class ids from 1 in the masks and finds nothing in 0 and 255."""
    convert_segment_masks_to_yolo_seg(str(masks_dir), str(out), classes=1)


def ultralytics_to_polygon2mask(masks: Masks) -> dict[str, BoolArray]:
    """Ultralytics' converter, read by ultralytics."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "masks"), Path(folder, "out")
        source.mkdir()
        for name, mask in masks.items():
            cv2.imwrite(str(source / f"{name}.png"), mask.astype(np.uint8))
        write_ultralytics(source, out)
        return {name: fill_yolo((out / f"{name}.txt").read_text(), *mask.shape) for name, mask in masks.items()}


def _detections(mask: BoolArray) -> sv.Detections:
    """One detection for each 8-connected component, as supervision holds them."""
    count, components = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    stack = np.stack([components == number for number in range(1, count)])
    return sv.Detections(xyxy=sv.mask_to_xyxy(stack), mask=stack, class_id=np.zeros(count - 1, int))


def supervision_yolo_lines(mask: BoolArray) -> list[str]:
    """YOLO rows by supervision, with all their vertices; none for a mask that it refuses (holes without a seam)."""
    try:
        return detections_to_yolo_annotations(_detections(mask), mask.shape, approximation_percentage=0.0)
    except ValueError:
        return []


def supervision_coco_annotations(mask: BoolArray) -> list[dict[str, Any]]:
    """COCO annotations by supervision, with all their vertices; none for a mask that it refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of parts that it leaves out
        try:
            annotations, _ = detections_to_coco_annotations(_detections(mask), 1, 1, approximation_percentage=0.0)
        except ValueError:
            return []
    return [dict(annotation) for annotation in annotations]


def pycocotools_annotations(mask: BoolArray) -> list[dict[str, Any]]:
    """COCO run lengths of each 8-connected component, by pycocotools."""
    count, components = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    found = []
    for number in range(1, count):
        packed = coco_mask.encode(np.asfortranarray(components == number, np.uint8))
        area, box = int(coco_mask.area(packed)), coco_mask.toBbox(packed).tolist()
        segmentation = {"size": packed["size"], "counts": packed["counts"].decode("ascii")}
        found.append({"area": area, "bbox": box, "iscrowd": 0, "segmentation": segmentation})
    return found


def supervision_to_polygon2mask(masks: Masks) -> dict[str, BoolArray]:
    """Supervision's YOLO rows, read by ultralytics."""
    return {name: fill_yolo("\n".join(supervision_yolo_lines(mask)), *mask.shape) for name, mask in masks.items()}


def supervision_to_pycocotools(masks: Masks) -> dict[str, BoolArray]:
    """Supervision's COCO annotations, read by pycocotools."""
    filled = {}
    for name, mask in masks.items():
        annotations = supervision_coco_annotations(mask)
        filled[name] = fill_coco([a["segmentation"] for a in annotations if a["segmentation"]], *mask.shape)
    return filled


def contours_to_pycocotools(masks: Masks) -> dict[str, BoolArray]:
    """`cv2.findContours` as COCO polygons, as most scripts write them, read by pycocotools."""
    filled = {}
    for name, mask in masks.items():
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        polygons = [contour.ravel().tolist() for contour in contours if len(contour) >= 3]
        filled[name] = fill_coco([[polygon] for polygon in polygons], *mask.shape)
    return filled


WRITERS: dict[str, Callable[[Masks], dict[str, BoolArray]]] = {
    "ultralytics converter -> polygon2mask": ultralytics_to_polygon2mask,
    "supervision -> polygon2mask": supervision_to_polygon2mask,
    "supervision -> pycocotools": supervision_to_pycocotools,
    "cv2.findContours -> pycocotools": contours_to_pycocotools,
}
