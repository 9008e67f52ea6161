"""Other programs open a label tree, each by its own code, and say what they see.

Run by the Python of an environment that has them: `python judges.py TOOL FORMAT TREE OUT.npz`. It imports nothing of
defectkit. What a program sees of an image is a bool mask for each object, or a box, and the class of each.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Object(NamedTuple):
    """What a program sees: a class, and a bool mask (height, width) or a box x0, y0, x1, y1."""

    label: str
    mask: Any = None
    box: tuple[float, float, float, float] | None = None


Seen = Iterator[tuple[str, list[Object]]]
"""File name of an image, and its objects."""


def subsets_of(tree: Path, pattern: str) -> list[Path]:
    return sorted(path for path in tree.glob(pattern))


def supervision_coco(tree: Path) -> Seen:
    import supervision

    for file in subsets_of(tree, "annotations/instances_*.json"):
        images = tree / "images" / file.stem.removeprefix("instances_")
        yield from of_supervision(supervision.DetectionDataset.from_coco(str(images), str(file), force_masks=True))


def supervision_yolo(tree: Path, *, masks: bool = True) -> Seen:
    import supervision

    for images in subsets_of(tree, "images/*"):
        labels = tree / "labels" / images.name
        yield from of_supervision(
            supervision.DetectionDataset.from_yolo(str(images), str(labels), str(tree / "data.yaml"), force_masks=masks)
        )


def supervision_boxes(tree: Path) -> Seen:
    return supervision_yolo(tree, masks=False)


def supervision_voc(tree: Path) -> Seen:
    import supervision

    yield from of_supervision(
        supervision.DetectionDataset.from_pascal_voc(str(tree / "JPEGImages"), str(tree / "Annotations"))
    )


def of_supervision(dataset: Any) -> Seen:
    for path, _, found in dataset:
        labels = [dataset.classes[number] for number in found.class_id]
        masks = found.mask if found.mask is not None else [None] * len(labels)
        boxes = [tuple(map(float, box)) for box in found.xyxy]
        yield Path(path).name, [Object(*one) for one in zip(labels, masks, boxes, strict=True)]


def datumaro(tree: Path, kind: str) -> Seen:
    """Any format of datumaro, which is also what CVAT imports with."""
    from datumaro.components.annotation import AnnotationType
    from datumaro.components.dataset import Dataset
    from pycocotools import mask as coco_mask

    dataset = Dataset.import_from(str(tree), kind)
    names = [label.name for label in dataset.categories()[AnnotationType.label]]
    for item in dataset:
        objects = []
        drawn = any(one.type in (AnnotationType.mask, AnnotationType.polygon) for one in item.annotations)
        for one in item.annotations:
            mask = box = None
            if one.type == AnnotationType.mask:
                mask = np.asarray(one.image, bool)
            elif one.type == AnnotationType.polygon:
                height, width = item.media.size
                mask = coco_mask.decode(coco_mask.frPyObjects([list(one.points)], height, width))[..., 0].astype(bool)
            elif one.type == AnnotationType.bbox and not drawn:
                x, y, w, h = one.get_bbox()
                box = (x, y, x + w, y + h)
            else:
                continue
            objects.append(Object(names[one.label], mask, box))
        # Beside class maps in folders of subsets it finds no images.
        path = Path(item.media.path if item.media is not None else f"{item.id}.png")
        # Where folders are classes, names of files recur: those of the folders stand before them.
        name = "__".join(path.relative_to(tree.parent).parts) if kind.startswith("mvtec") else path.name
        yield name, [one for one in objects if one.label != "background"]


def fiftyone_coco(tree: Path) -> Seen:
    from fiftyone.utils.coco import COCODetectionDatasetImporter

    for file in subsets_of(tree, "annotations/instances_*.json"):
        images = tree / "images" / file.stem.removeprefix("instances_")
        importer = COCODetectionDatasetImporter(
            data_path=str(images), labels_path=str(file), label_types="segmentations"
        )
        yield from of_fiftyone(importer)


def fiftyone_yolo(tree: Path, *, masks: bool = False) -> Seen:
    from fiftyone.utils.yolo import YOLOv5DatasetImporter

    for subset in subsets_of(tree, "images/*"):
        kind = "polylines" if masks else "detections"
        importer = YOLOv5DatasetImporter(
            dataset_dir=str(tree), yaml_path="data.yaml", split=subset.name, label_type=kind
        )
        yield from of_fiftyone(importer)


def fiftyone_polygons(tree: Path) -> Seen:
    return fiftyone_yolo(tree, masks=True)


def fiftyone_voc(tree: Path) -> Seen:
    from fiftyone.utils.voc import VOCDetectionDatasetImporter

    importer = VOCDetectionDatasetImporter(data_path=str(tree / "JPEGImages"), labels_path=str(tree / "Annotations"))
    yield from of_fiftyone(importer)


def of_fiftyone(importer: Any) -> Seen:
    """What its importer yields; a mask is that of the box, and the box a share of the image."""
    with importer:
        for path, metadata, labels in importer:
            if metadata is None:
                import cv2

                height, width = cv2.imread(path, cv2.IMREAD_UNCHANGED).shape[:2]
            else:
                width, height = metadata.width, metadata.height
            found = next(iter(labels.values()), None) if isinstance(labels, dict) else labels
            if hasattr(found, "polylines"):
                found = found.to_detections(frame_size=(width, height))
            objects = []
            for one in found.detections if found is not None else ():
                x, y, w, h = one.bounding_box
                box = (x * width, y * height, (x + w) * width, (y + h) * height)
                mask = None
                if one.mask is not None:
                    mask = np.zeros((height, width), bool)
                    left, top = round(box[0]), round(box[1])
                    crop = np.asarray(one.mask, bool)
                    mask[top : top + crop.shape[0], left : left + crop.shape[1]] = crop[: height - top, : width - left]
                objects.append(Object(one.label, mask, box))
            yield Path(path).name, objects


def labelme(tree: Path) -> Seen:
    """Shapes as LabelMe rasterises them; those of one label and group are one object."""
    from labelme.utils import shape as shapes

    for file in subsets_of(tree, "images/*/*.json"):
        told = json.loads(file.read_text())
        size = told["imageHeight"], told["imageWidth"]
        ids = {"_": 0}
        listed = []
        for one in told["shapes"]:
            if one.get("mask") is not None:
                from labelme.utils import img_b64_to_arr

                one = {**one, "mask": img_b64_to_arr(one["mask"]).astype(bool)}
            listed.append(one)
            ids.setdefault(one["label"], len(ids))
        classes, objects = shapes.shapes_to_label(size, listed, ids)
        names = {number: name for name, number in ids.items()}
        found = []
        for number in np.unique(objects[objects > 0]):
            mask = objects == number
            found.append(Object(names[int(classes[mask][0])], mask))
        yield told["imagePath"], found


def label_studio(tree: Path) -> Seen:
    from label_studio_sdk.converter.brush import decode_rle

    for file in subsets_of(tree, "tasks_*.json"):
        for task in json.loads(file.read_text()):
            found = []
            for result in task["annotations"][0]["result"]:
                value, size = result["value"], (result["original_height"], result["original_width"])
                if result["type"] == "brushlabels":
                    mask = np.reshape(decode_rle(value["rle"]), (*size, 4))[..., 3] > 0
                    found.append(Object(value["brushlabels"][0], mask))
                elif result["type"] == "rectanglelabels":
                    x, y = value["x"] / 100 * size[1], value["y"] / 100 * size[0]
                    w, h = value["width"] / 100 * size[1], value["height"] / 100 * size[0]
                    found.append(Object(value["rectanglelabels"][0], None, (x, y, x + w, y + h)))
            yield task["data"]["image"].rpartition("/")[2], found


def of_datumaro(kind: str) -> Callable[[Path], Seen]:
    return lambda tree: datumaro(tree, kind)


JUDGES: dict[tuple[str, str], Callable[[Path], Seen]] = {
    ("supervision", "coco"): supervision_coco,
    ("supervision", "yolo-segment"): supervision_yolo,
    ("supervision", "yolo-detect"): supervision_boxes,
    ("supervision", "voc"): supervision_voc,
    ("datumaro", "coco"): of_datumaro("coco"),
    ("datumaro", "panoptic"): of_datumaro("coco_panoptic"),
    ("datumaro", "semantic"): of_datumaro("common_semantic_segmentation"),
    ("datumaro", "masks"): of_datumaro("mvtec_segmentation"),
    ("datumaro", "cvat"): of_datumaro("cvat"),
    ("datumaro", "voc"): of_datumaro("voc_instance_segmentation"),
    ("fiftyone", "coco"): fiftyone_coco,
    ("fiftyone", "yolo-detect"): fiftyone_yolo,
    ("fiftyone", "yolo-segment"): fiftyone_polygons,
    ("fiftyone", "voc"): fiftyone_voc,
    ("labelme", "labelme"): labelme,
    ("label-studio", "label-studio"): label_studio,
}
"""Program and format -> what goes through a tree."""


def main() -> None:
    """Write what a program sees: for each image the classes, boxes and packed masks of its objects."""
    tool, kind, tree, out = sys.argv[1:]
    held: dict[str, Any] = {}
    index: dict[str, list[dict[str, Any]]] = {}
    for name, objects in JUDGES[tool, kind](Path(tree)):
        index[name] = []
        for one in objects:
            entry: dict[str, Any] = {"label": one.label, "box": one.box}
            if one.mask is not None:
                entry["mask"] = f"m{len(held)}"
                entry["size"] = list(one.mask.shape)
                held[entry["mask"]] = np.packbits(np.asarray(one.mask, bool))
            index[name].append(entry)
    np.savez_compressed(out, index=np.array(json.dumps(index)), **held)


if __name__ == "__main__":
    main()
