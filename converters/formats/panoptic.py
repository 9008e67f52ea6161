"""COCO panoptic: `panoptic_<subset>/NAME.png` of segment ids in base 256 (R first), and a JSON that lists them.

Readers differ in where they look for the maps: detectron2 beside `annotations/`, where they stand unless told;
datumaro, CVAT and mmdetection's own configurations in `annotations/panoptic_<subset>/`, as COCO's archives unpack.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import orjson

from converters.formats.base import Encoded, Reading, Settings, TreeShape, image_name
from converters.formats.coco.annotations import CROWD, crowds_note, is_crowd
from converters.formats.coco.categories import coco_categories, read_categories
from converters.formats.coco.document import check_members, image_id, shown, whole_number
from converters.formats.coco.files import read_coco_files, speaks_of
from converters.formats.coco.images import TreeImages
from converters.formats.coco.reader import images_note, nothing_marked
from converters.formats.format import Format
from converters.formats.image_files import ImageFinder, plain_name
from converters.formats.label_tree import FoundImage, LabelRecord, LabelTree, make_records
from converters.formats.painting import boxes_of_ids, label_name, pixels_kept
from converters.formats.registry import read_manifest
from converters.rasterize import Rounding
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import Instance, LabelledImage, paint, window_of
from toolkit.imaging.images import encode_blank_map, read_image
from toolkit.imaging.opening import read_file
from toolkit.imaging.orientation import UPRIGHT, orientation_of
from toolkit.imaging.png import Packed, encode_rgb_png, is_rgb_png, read_packed_png

__all__ = ["FORMAT"]


def _encode(image: LabelledImage, settings: Settings) -> Encoded:
    """The segment map of an image. Instances that others hide wholly cannot be shown and are reported."""
    values = list(range(1, len(image.instances) + 1))
    ids = image.painted(values, np.uint32)
    fidelity, covered = pixels_kept(ids, image, values)
    segments, skipped = [], []
    for instance, value in zip(image.instances, values, strict=True):
        segment = _segment(ids, instance, value, settings)
        if segment is None:
            skipped.append(("hidden by another instance", instance.area))
        else:
            segments.append(segment)
    name, folder = label_name(image), "annotations/" if settings.panoptic_layout == "coco" else ""
    png = _encode_ids(ids) if values else encode_blank_map((*ids.shape, 3))
    described = b'"file_name":%b,"segments_info":%b' % (orjson.dumps(name), orjson.dumps(segments))
    size = b'"width":%d,"height":%d' % (image.width, image.height)
    return Encoded(
        f"images/{image.subset}/{image_name(image)}",
        ((f"{folder}panoptic_{image.subset}/{name}", png),),
        annotations=(described,),
        header=b'"file_name":%b,%b' % (orjson.dumps(image_name(image)), size),
        objects=len(segments),
        fidelity=fidelity,
        covered=covered,
        skipped=tuple(skipped),
    )


def _shape(settings: Settings, subsets: Sequence[str]) -> TreeShape:
    """One JSON file for each subset."""
    things = [{**category, "isthing": 1} for category in coco_categories(settings.classes)]
    return TreeShape(json_file="annotations/panoptic_{}.json", json_lists={"categories": things}, numbered=False)


def _encode_ids(ids: npt.NDArray[np.uint32]) -> bytes:
    """Segment ids as colours, R + 256 G + 256^2 B (https://cocodataset.org/#format-results, panoptic)."""
    rgba = ids.astype("<u4", copy=False).view(np.uint8).reshape(*ids.shape, 4)
    return encode_rgb_png(np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), np.uint8))


def _segment(
    ids: npt.NDArray[np.uint32], instance: Instance, value: int, settings: Settings
) -> dict[str, object] | None:
    """The record of a segment as far as it shows; None if nothing of it does."""
    x0, y0, x1, y1 = instance.window
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
        CROWD: int(CROWD in instance.attributes),
    }


_PANOPTIC: JsonObject = {"file_name": str, "segments_info": list}


def _index(root: Path, reading: Reading) -> LabelTree:
    """Index a COCO panoptic tree, or one annotation file of one."""
    files = read_coco_files(root, "panoptic")
    manifest, ours = read_manifest(root), read_manifest(files.home) is not None
    segments = {path: _segments(path, document) for path, document in files.documents}
    every = [one for listed in segments.values() for _, _, told in listed for one in told]
    used = Counter(one["category_id"] for one in every)
    categories = read_categories(files.documents, used, ours=ours)
    places = {path: [files.home / path.stem, path.parent / path.stem] for path in segments}
    images = TreeImages(ImageFinder(files.home, [place for both in places.values() for place in both]), ours)
    found: list[FoundImage] = []
    for path, document in files.documents:
        known = images.listed(path, document)
        listed = {image_id(path, "an image", record["id"]) for record in document["images"]}
        for number, name, told in segments[path]:
            if number not in listed:
                raise ToolkitError(path, f"names image {shown(number)}, which is not listed", "correct it")
            if number not in known:
                continue  # a problem of the tree
            image, maps = known[number], [place / name for place in places[path]]
            png = next((place for place in maps if place.is_file()), maps[0])
            classes = tuple(categories.names.get(one["category_id"], "") for one in told)
            found.append(FoundImage(image.subset, image.stem, image.path, (str(png), told), classes, image.size))
    names = categories.names
    return LabelTree(
        root,
        "panoptic",
        [names[number] for number in sorted(names)],
        make_records(found, _load, names, ours=ours),
        manifest=manifest,
        layout_problems=[*images.problems, *(nothing_marked(root, files) if not ours else ())],
        notes=[*files.notes, *categories.notes, *(() if ours else (*images_note(images), *crowds_note(every)))],
    )


_Segments = tuple[int | str, str, list[JsonObject]]  # id of the image, name of its map, and what is in that


def _segments(path: Path, document: JsonObject) -> list[_Segments]:
    """The annotations of a file, ids as whole numbers.

    Raises:
        ToolkitError: one lacks something, or two are of one image.
    """
    check_members(path, "annotations", document["annotations"], _PANOPTIC)
    found: list[_Segments] = []
    seen: set[int | str] = set()
    for place, annotation in enumerate(document["annotations"]):
        number = image_id(path, f"annotations[{place}]", annotation.get("image_id"))
        if number in seen:
            raise ToolkitError(path, f"two annotations are of image {shown(number)}", "keep one of them")
        seen.add(number)
        part = f"segments of {annotation['file_name']}"
        check_members(path, part, annotation["segments_info"], {})
        told = [_numbered(path, f"{part}[{at}]", one) for at, one in enumerate(annotation["segments_info"])]
        name = plain_name(annotation["file_name"])
        if not name:
            raise ToolkitError(path, f"annotations[{place}] has no usable 'file_name'", "correct or remove it")
        found.append((number, name, told))
    return found


def _numbered(path: Path, place: str, segment: JsonObject) -> JsonObject:
    """A segment, its id and its category as whole numbers."""
    numbers = {member: whole_number(segment.get(member)) for member in ("id", "category_id")}
    for member, number in numbers.items():
        if number is None:
            problem = f"{place} has no usable {member!r}: it is {shown(segment.get(member))}"
            raise ToolkitError(path, problem, "give it a whole number")
    return {**segment, **numbers}


def _load(entry: LabelRecord, rounding: Rounding) -> list[Instance]:
    """Instances of an image: the segments listed, by their ids in the map."""
    png, segments = entry.payload
    width, height, left, top, ids = _read_ids(Path(png))
    if (width, height) != entry.image_size():
        raise ToolkitError(png, "is not of the size of its image", "write it again")
    boxes = boxes_of_ids(ids)
    found = []
    for segment in segments:
        label, box = entry.names.get(segment["category_id"], ""), boxes.get(segment["id"])
        if box is None or not label:
            raise ToolkitError(
                png, f"segment {segment['id']} is not in the map, or of unknown category", "write it again"
            )
        x0, y0, x1, y1 = box
        shows = ids[y0:y1, x0:x1] == segment["id"]
        placed = (x0 + left, y0 + top, x1 + left, y1 + top)
        told = {CROWD: "1"} if is_crowd(segment) else {}
        found.append(Instance(label, placed, shows, int(np.count_nonzero(shows)), told))
    if np.count_nonzero(ids) != sum(instance.area for instance in found):
        raise ToolkitError(png, "holds segments that are not listed", "write it again")
    return found


def _read_ids(png: Path) -> Packed:
    """The segment ids in a map: its width and height, x and y of the crop that holds them, and the crop.

    Raises:
        ToolkitError: it cannot be read.
    """
    data = read_file(png)
    if is_rgb_png(data) and orientation_of(data) == UPRIGHT and (found := read_packed_png(png, data)) is not None:
        return found
    pixels = read_image(png)
    blue, green, red = np.moveaxis(pixels.astype(np.uint32), 2, 0)
    return pixels.shape[1], pixels.shape[0], 0, 0, red | (green << 8) | (blue << 16)


def _recognise(root: Path) -> bool:
    return speaks_of(root, "panoptic")


def _count(image: LabelledImage, settings: Settings) -> int:
    """Instances of which something shows."""
    every = image.instances
    if len(every) < 2:
        return len(every)
    owners = paint(every, range(1, len(every) + 1), window_of(every), np.uint32)
    if np.count_nonzero(owners) == sum(one.area for one in every):
        return len(every)
    return len(np.unique(owners[owners > 0]))


FORMAT = Format(
    name="panoptic",
    holds="pixels",
    encode=_encode,
    shape=_shape,
    index=_index,
    told_family="coco",
    label_files=("annotations/*.json", "panoptic_*/*.png", "annotations/panoptic_*/*.png"),
    rank=10,
    recognise=_recognise,
    recognise_file=_recognise,
    count=_count,
    keeps=(CROWD,),
)
