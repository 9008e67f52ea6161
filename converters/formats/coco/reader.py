"""Reading COCO trees, ours and other tools': instances with polygons, run lengths, crowds or boxes alone; panoptic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from posixpath import splitext
from typing import Any

import numpy as np
import orjson

from converters.formats.label_tree import FoundImage, LabelRecord, LabelTree, make_records, subset_of_name
from converters.formats.registry import read_manifest
from converters.rasterize import Rounding, fill_edges, paint_rle
from toolkit.aliases import JsonObject
from toolkit.dataset.samples import LabelKind
from toolkit.errors import ToolkitError
from toolkit.geometry.instances import crop_to_bbox
from toolkit.geometry.labels import Instance

__all__ = ["find_coco_files", "index_coco", "read_coco_file"]


def find_coco_files(root: Path) -> list[Path]:
    """Annotation files of a COCO tree: annotations/*.json, <subset>/_annotations.coco.json, or *.json in the root."""
    for pattern in ("annotations/*.json", "*/_annotations.coco.json", "*.json"):
        files = [path for path in sorted(root.glob(pattern)) if path.name != "manifest.json" and _is_coco(path)]
        if files:
            return files
    return []


def _is_coco(path: Path) -> bool:
    """Whether a JSON file speaks of images, by its first and last bytes: these files may be large."""
    with open(path, "rb") as file:
        head = file.read(1 << 16)
        file.seek(max(0, path.stat().st_size - (1 << 16)))
        seen = head + file.read()
    return b'"images"' in seen and (b'"annotations"' in seen or b'"categories"' in seen)


def read_coco_file(path: Path) -> JsonObject:
    """A COCO annotation file.

    Raises:
        ToolkitError: it is not JSON, lacks one of images, annotations and categories, or something in those.
    """
    try:
        document: JsonObject = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ToolkitError(path, "is not readable JSON", f"replace it ({error})") from error
    for part in ("images", "annotations", "categories"):
        if not isinstance(document, dict) or not isinstance(document.get(part), list):
            raise ToolkitError(path, f"has no list of {part}", "name a COCO annotation file")
        check_members(path, part, document[part], _MEMBERS[part])
    return document


_MEMBERS: dict[str, JsonObject] = {
    "images": {"id": int | str, "file_name": str, "width": int | float, "height": int | float},
    "annotations": {"image_id": int | str},
    "categories": {"id": int, "name": str | int},
}


def check_members(path: Path, part: str, records: Sequence[Any], members: JsonObject) -> None:
    """Raise where a record of a COCO file lacks what is needed."""
    for number, record in enumerate(records):
        for name, kind in members.items():
            if not isinstance(record, dict) or not isinstance(record.get(name), kind):
                raise ToolkitError(path, f"{part}[{number}] has no usable {name!r}", "correct or remove it")


def add_categories(path: Path, document: JsonObject, names: dict[int, str]) -> None:
    """Take over the categories of one of several annotation files, which must agree."""
    for category in document["categories"]:
        number, name = category["id"], str(category["name"])
        if names.setdefault(number, name) != name:
            raise ToolkitError(
                path, f"calls category {number} {name!r}, another file {names[number]!r}", "make them agree"
            )


def subset_of_file(path: Path) -> str:
    """Subset that an annotation file speaks of, by its name or its folder's; train if neither tells."""
    words = [*path.stem.replace("-", "_").split("_")[::-1], path.parent.name]
    return next((subset for word in words if (subset := subset_of_name(word)) is not None), "train")


def find_image(root: Path, annotations: Path, subset: str, name: str) -> Path:
    """Where an image lies, or where it would: trees put images in various places."""
    dated = f"{subset}2017"
    folders = [root / "images" / subset, annotations.parent, root / subset, root / "images", root]
    folders += [root / dated, root / "images" / dated]
    return next((folder / name for folder in folders if (folder / name).is_file()), root / "images" / subset / name)


def index_coco(root: Path) -> LabelTree:
    """Index a COCO instances tree. Its annotation files are held in memory."""
    manifest = read_manifest(root)
    found: list[FoundImage] = []
    names: dict[int, str] = {}
    for path in find_coco_files(root):
        document = read_coco_file(path)
        subset = subset_of_file(path)
        add_categories(path, document, names)
        of_image: dict[Any, list[JsonObject]] = defaultdict(list)
        for annotation in document["annotations"]:
            of_image[annotation.get("image_id")].append(annotation)
        known = {record.get("id") for record in document["images"]}
        for lost in of_image.keys() - known:
            raise ToolkitError(path, f"annotations name image {lost}, which is not listed", "correct the file")
        for record in document["images"]:
            annotations = of_image.get(record["id"], [])
            image = find_image(root, path, subset, record["file_name"])
            payload = (str(path), annotations)
            classes = tuple(names.get(annotation.get("category_id", -1), "") for annotation in annotations)
            size = (int(record["width"]), int(record["height"]))
            found.append(FoundImage(subset, splitext(record["file_name"])[0], image, payload, classes, size))
    drawn = any(one.get("segmentation") for image in found for one in image.payload[1])
    kind: LabelKind = "masks" if drawn else "boxes"
    records = make_records(found, load_coco, names, ours=manifest is not None, kind=kind)
    return LabelTree(root, "coco", [names[number] for number in sorted(names)], records, manifest=manifest)


def load_coco(entry: LabelRecord, rounding: Rounding) -> list[Instance]:
    """Instances of an image, as pycocotools rasterises them. Crowds are instances too: tools mark holes so."""
    path, annotations = entry.payload
    return [_instance(annotation, entry, path) for annotation in annotations]


def _instance(annotation: JsonObject, entry: LabelRecord, path: str) -> Instance:
    place = f"{path}: annotation {annotation.get('id')} of {entry.sample.image.name}"
    label = entry.names.get(annotation.get("category_id", -1))
    if label is None:
        raise ToolkitError(place, f"has an unknown category {annotation.get('category_id')}", "correct it")
    try:
        found = _pixels(annotation, entry, label)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ToolkitError(place, f"has a malformed segmentation ({error})", "correct or remove it") from error
    if found is None:
        raise ToolkitError(place, "covers no pixel of the image", "remove it")
    return found


def _pixels(annotation: JsonObject, entry: LabelRecord, label: str) -> Instance | None:
    width, height = entry.image_size()
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        return crop_to_bbox(paint_rle(segmentation, height, width), label)
    if segmentation:
        return _polygons(segmentation, (width, height), label)
    x, y, w, h = (float(number) for number in annotation["bbox"])
    return Instance.of_box(label, (x, y, x + w, y + h), (width, height))


def _polygons(segmentation: Sequence[Sequence[float]], size: tuple[int, int], label: str) -> Instance | None:
    width, height = size
    rings = [np.asarray(ring, np.float64).reshape(-1, 2) for ring in segmentation]
    if any(len(ring) < 3 for ring in rings):
        raise ValueError("a polygon of fewer than three points")
    points = np.concatenate(rings)
    inside = (points >= 0).all() and (points <= size).all()
    if not inside or (points != np.rint(points)).any():
        return crop_to_bbox(fill_edges(rings, height, width), label)
    # Whole numbers can be moved without changing how they round: only their own box need be rasterised.
    low = points.min(axis=0).astype(int)
    span = points.max(axis=0).astype(int) - low
    filled = fill_edges([ring - low for ring in rings], max(1, int(span[1])), max(1, int(span[0])))
    return crop_to_bbox(filled, label, (int(low[0]), int(low[1])))
