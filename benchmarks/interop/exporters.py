"""Other programs read a COCO tree of ours, with exact run lengths, and write it in formats of their own.

Run by the Python of an environment that has them: `python exporters.py TOOL FORMAT COCO_TREE OUT`. It imports nothing
of defectkit. Each OUT is what a user of that program hands over.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def supervision_dataset(tree: Path) -> Any:
    import supervision

    (file,) = tree.glob("annotations/instances_*.json")
    images = tree / "images" / file.stem.removeprefix("instances_")
    return supervision.DetectionDataset.from_coco(str(images), str(file), force_masks=True)


def supervision_coco(tree: Path, out: Path) -> None:
    supervision_dataset(tree).as_coco(str(out / "images"), str(out / "annotations.json"))


def supervision_yolo(tree: Path, out: Path) -> None:
    supervision_dataset(tree).as_yolo(str(out / "images"), str(out / "labels"), str(out / "data.yaml"))


def supervision_voc(tree: Path, out: Path) -> None:
    supervision_dataset(tree).as_pascal_voc(str(out / "JPEGImages"), str(out / "Annotations"))


def of_datumaro(kind: str) -> Callable[[Path, Path], None]:
    def export(tree: Path, out: Path) -> None:
        from datumaro.components.dataset import Dataset

        Dataset.import_from(str(tree), "coco").export(str(out), kind, save_media=True)

    return export


def of_fiftyone(exporter: Callable[[Path, Path], Any]) -> Callable[[Path, Path], None]:
    """What one of its exporters writes, sample by sample, without its database."""

    def export(tree: Path, out: Path) -> None:
        from fiftyone.utils.coco import COCODetectionDatasetImporter

        (file,) = tree.glob("annotations/instances_*.json")
        images = tree / "images" / file.stem.removeprefix("instances_")
        importer = COCODetectionDatasetImporter(
            data_path=str(images), labels_path=str(file), label_types="segmentations"
        )
        with importer, exporter(tree, out) as to:
            for path, metadata, labels in importer:
                found = next(iter(labels.values()), None) if isinstance(labels, dict) else labels
                to.export_sample(path, found, metadata=metadata)

    return export


def names_of(tree: Path) -> list[str]:
    import json

    (file,) = tree.glob("annotations/instances_*.json")
    return [one["name"] for one in json.loads(file.read_text())["categories"]]


def fiftyone_coco(tree: Path, out: Path) -> Any:
    from fiftyone.utils.coco import COCODetectionDatasetExporter

    return COCODetectionDatasetExporter(export_dir=str(out), classes=names_of(tree))


def fiftyone_yolo(tree: Path, out: Path) -> Any:
    from fiftyone.utils.yolo import YOLOv5DatasetExporter

    return YOLOv5DatasetExporter(export_dir=str(out), split="train", classes=names_of(tree))


def fiftyone_voc(tree: Path, out: Path) -> Any:
    from fiftyone.utils.voc import VOCDetectionDatasetExporter

    return VOCDetectionDatasetExporter(export_dir=str(out))


def fiftyone_cvat(tree: Path, out: Path) -> Any:
    from fiftyone.utils.cvat import CVATImageDatasetExporter

    return CVATImageDatasetExporter(export_dir=str(out))


def ultralytics_yolo(tree: Path, out: Path) -> None:
    """`convert_coco`, as its own page has it, and the images and names that a user puts beside."""
    import yaml
    from ultralytics.data.converter import convert_coco

    out.rmdir()  # else it takes another
    convert_coco(labels_dir=str(tree / "annotations"), save_dir=str(out), use_segments=True, cls91to80=False)
    (labels,) = (path for path in (out / "labels").iterdir() if path.is_dir())
    (images,) = (tree / "images").iterdir()
    shutil.copytree(images, out / "images" / labels.name, dirs_exist_ok=True)
    told = {"train": f"images/{labels.name}", "val": f"images/{labels.name}", "names": dict(enumerate(names_of(tree)))}
    (out / "data.yaml").write_text(yaml.safe_dump(told))


def label_studio(tree: Path, out: Path, *, flat: bool = False) -> None:
    """A project of which each mask is a brush that its converter packs, and the export of it by the same converter."""
    import json
    from urllib.parse import quote

    from label_studio_sdk.converter import Converter
    from label_studio_sdk.converter.brush import mask2rle
    from pycocotools import mask as coco_mask

    (file,) = tree.glob("annotations/instances_*.json")
    told = json.loads(file.read_text())
    names = {one["id"]: one["name"] for one in told["categories"]}
    results: dict[int, list[dict[str, Any]]] = {one["id"]: [] for one in told["images"]}
    for one in told["annotations"]:
        mask = coco_mask.decode(one["segmentation"])
        size = {"original_width": mask.shape[1], "original_height": mask.shape[0], "image_rotation": 0}
        value = {"format": "rle", "rle": mask2rle(mask * 255), "brushlabels": [names[one["category_id"]]]}
        tags = {"id": str(one["id"]), "from_name": "brush", "to_name": "image", "type": "brushlabels"}
        results[one["image_id"]].append({**size, **tags, "value": value})
    shown = {one["id"]: f"/data/upload/1/0123abcd-{quote(one['file_name'])}" for one in told["images"]}
    tasks = [
        {"id": number, "data": {"image": shown[number]}, "annotations": [{"id": number, "result": found}]}
        for number, found in results.items()
    ]
    shutil.copytree(tree / "images" / file.stem.removeprefix("instances_"), out / "images")
    (out / "tasks.json").write_text(json.dumps(tasks))
    labels = "".join(f'<Label value="{name}"/>' for name in names.values())
    control = f'<BrushLabels name="brush" toName="image">{labels}</BrushLabels>'
    config = f'<View><Image name="image" value="$image"/>{control}</View>'
    if flat:
        Converter(config, project_dir=".").convert_to_json_min(str(out / "tasks.json"), str(out), is_dir=False)
        (out / "tasks.json").unlink()


def label_studio_min(tree: Path, out: Path) -> None:
    label_studio(tree, out, flat=True)


EXPORTERS: dict[tuple[str, str], Callable[[Path, Path], None]] = {
    ("supervision", "coco"): supervision_coco,
    ("supervision", "yolo"): supervision_yolo,
    ("supervision", "voc"): supervision_voc,
    ("datumaro", "coco"): of_datumaro("coco_instances"),
    ("datumaro", "yolo"): of_datumaro("yolo"),
    ("datumaro", "yolo_ultralytics"): of_datumaro("yolo_ultralytics"),
    ("datumaro", "voc"): of_datumaro("voc"),
    ("datumaro", "cvat"): of_datumaro("cvat"),
    ("datumaro", "datumaro"): of_datumaro("datumaro"),
    ("fiftyone", "coco"): of_fiftyone(fiftyone_coco),
    ("fiftyone", "yolo"): of_fiftyone(fiftyone_yolo),
    ("fiftyone", "voc"): of_fiftyone(fiftyone_voc),
    ("fiftyone", "cvat"): of_fiftyone(fiftyone_cvat),
    ("ultralytics", "yolo"): ultralytics_yolo,
    ("label-studio", "json"): label_studio,
    ("label-studio", "json_min"): label_studio_min,
}
"""Program and format -> what writes a tree."""


if __name__ == "__main__":
    tool, kind, tree, out = sys.argv[1:]
    Path(out).mkdir(parents=True, exist_ok=True)
    EXPORTERS[tool, kind](Path(tree), Path(out))
