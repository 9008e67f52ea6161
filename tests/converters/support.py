"""Datasets made from given masks, labels held in memory, and readers of label files that share no code with ours."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from converters import write_labels
from toolkit import Dataset, load_dataset
from toolkit.dataset.samples import GOOD
from toolkit.geometry.instances import find_instances
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.imaging.masks import Mask

__all__ = [
    "Bools",
    "boxes_of",
    "class_map",
    "coco_document",
    "coco_masks",
    "fill",
    "fill_rows",
    "in_canvas",
    "iou",
    "label_mask",
    "label_rows",
    "make_dataset",
    "parts_of",
    "relabel",
    "save_png",
    "tree_copy",
    "write_masks",
]

Bools = npt.NDArray[np.bool_]
Masks = Mapping[str, Sequence[Bools] | Mapping[str, Bools]]


def save_png(path: Path, pixels: npt.NDArray[Any]) -> Path:
    """Write an image; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(path.suffix.lower(), pixels.astype(np.uint8))
    assert done
    path.write_bytes(data.tobytes())
    return path


def make_dataset(root: Path, masks: Masks, good: int = 2, category: str = "part") -> Dataset:
    """An MVTec product whose defects are the given masks: class -> masks, or class -> name -> mask."""
    home, size, number = root / category, (16, 16), 0
    for defect, given in masks.items():
        named = given if isinstance(given, Mapping) else {f"{place:03}": mask for place, mask in enumerate(given)}
        for name, mask in named.items():
            size, number = mask.shape, number + 1
            save_png(home / "test" / defect / f"{name}.png", _picture(mask.shape, number))
            save_png(home / "ground_truth" / defect / f"{name}_mask.png", mask * 255)
    for place in range(good):
        for subset in ("train", "test"):
            number += 1
            save_png(home / subset / GOOD / f"{place:03}.png", _picture(size, number))
    return load_dataset(root)


def _picture(size: tuple[int, ...], number: int) -> npt.NDArray[np.integer[Any]]:
    """Noise that no other number gives, so that no two images are duplicates."""
    return np.random.default_rng(number).integers(0, 256, size)


def label_mask(name: str, mask: Bools, label: str = "defect", path: Path | None = None) -> LabelledImage:
    """A labelled image of subset train: an instance for each 8-connected component of the mask."""
    height, width = mask.shape
    found = find_instances(Mask.of(mask.view(np.uint8), width, height), label).instances
    return LabelledImage(name, path, width, height, found, "train", label if found else GOOD)


def relabel(image: LabelledImage, labels: Iterable[str]) -> LabelledImage:
    """The image with other class names on its instances."""
    renamed = tuple(Instance(n, i.bbox, i.mask, i.area) for i, n in zip(image.instances, labels, strict=True))
    label = renamed[0].label if renamed else GOOD
    return LabelledImage(image.key, image.path, image.width, image.height, renamed, image.subset, label)


def write_masks(out: Path, masks: Mapping[str, Bools], formats: Sequence[str]) -> Path:
    """Write masks that are in memory as labels of one class, "defect", without images; the folder of the trees."""
    images = [label_mask(name, mask) for name, mask in masks.items()]
    write_labels(images, out, formats, classes=["defect"], image_mode="none")
    return out


def in_canvas(mask: Bools, size: int, corner: int) -> Bools:
    """The mask in the top left (0), top right, bottom left or bottom right (3) corner of a square of `size`."""
    canvas = np.zeros((size, size), np.bool_)
    height, width = mask.shape
    y, x = (size - height) * (corner // 2), (size - width) * (corner % 2)
    canvas[y : y + height, x : x + width] = mask
    return canvas


def parts_of(mask: Bools) -> int:
    """Number of 8-connected parts."""
    return cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] - 1


def boxes_of(mask: Bools) -> list[tuple[int, int, int, int]]:
    """Half-open boxes x0, y0, x1, y1 of the 8-connected parts, sorted; found pixel by pixel."""
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    found = []
    for number in range(1, count):
        rows, columns = np.nonzero(parts == number)
        found.append((int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1))
    return sorted(found)


def label_rows(path: Path) -> list[tuple[int, npt.NDArray[np.float32]]]:
    """Class and coordinates of each row of a YOLO label file."""
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    return [(int(row[0]), np.array(row[1:], np.float32)) for row in rows]


def fill(polygons: Iterable[npt.NDArray[np.float32]], size: tuple[int, ...], *, rounding: bool) -> Bools:
    """Fill normalised polygons (K, 2) as YOLO trainers do: coordinates truncated or rounded, then `fillPoly`."""
    canvas = np.zeros(size, np.uint8)
    for polygon in polygons:
        points = polygon * np.array(size[::-1], np.float32)
        cv2.fillPoly(canvas, [(np.rint(points) if rounding else points).astype(np.int32)], (1,))
    return canvas > 0


def fill_rows(path: Path, size: tuple[int, ...], *, rounding: bool) -> Bools:
    """Fill the polygons of a YOLO label file."""
    return fill((values.reshape(-1, 2) for _, values in label_rows(path)), size, rounding=rounding)


def coco_document(tree: Path, subset: str = "train") -> dict[str, Any]:
    """The annotation file of a COCO tree."""
    document: dict[str, Any] = json.loads((tree / "annotations" / f"instances_{subset}.json").read_text("utf-8"))
    return document


def coco_masks(document: Mapping[str, Any]) -> dict[str, list[Bools]]:
    """File name without ending -> the mask of each annotation, as pycocotools rasterises it."""
    found: dict[str, list[Bools]] = {}
    for record in document["images"]:
        size = record["height"], record["width"]
        found[Path(record["file_name"]).stem] = [
            _decode(annotation["segmentation"], *size)
            for annotation in document["annotations"]
            if annotation["image_id"] == record["id"]
        ]
    return found


def _decode(segmentation: Any, height: int, width: int) -> Bools:
    objects = coco_mask.frPyObjects(segmentation, height, width) if isinstance(segmentation, list) else segmentation
    merged = coco_mask.merge(objects) if isinstance(objects, list) else objects
    return np.asarray(coco_mask.decode(merged), np.bool_)


def class_map(image: LabelledImage, classes: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Class numbers from 1, 0 elsewhere: (H, W)."""
    painted = np.zeros((image.height, image.width), np.uint8)
    for instance in image.instances:
        x0, y0, x1, y1 = instance.window
        painted[y0:y1, x0:x1][instance.region] = classes.index(instance.label) + 1
    return painted


def iou(one: Bools, other: Bools) -> float:
    """Intersection over union."""
    return float((one & other).sum() / (one | other).sum())


def tree_copy(tree: Path, place: Path) -> Path:
    """A copy of a tree that a test may damage, in a folder of its own."""
    return Path(shutil.copytree(tree, place / tree.name, symlinks=True))
