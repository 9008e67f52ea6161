"""Indexing COCO trees of instances, ours and other tools', or one file of them."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from converters.formats.base import Reading
from converters.formats.coco.annotations import crowds_note, load_coco, turn_of
from converters.formats.coco.box_forms import check_boxes
from converters.formats.coco.categories import read_categories
from converters.formats.coco.document import image_id, image_places, shown, whole_number
from converters.formats.coco.files import CocoFiles, read_coco_files
from converters.formats.coco.images import TreeImages
from converters.formats.coco.slices import AnnotationsOf, Part, Slices
from converters.formats.image_files import ImageFinder
from converters.formats.label_tree import FoundImage, LabelTree, make_records, packed_images
from converters.formats.registry import read_manifest
from toolkit.aliases import JsonObject
from toolkit.dataset.samples import LabelKind
from toolkit.errors import Problem, ToolkitError
from toolkit.packed import Folders, Plain

__all__ = ["images_note", "index_coco", "nothing_marked"]


def index_coco(root: Path, reading: Reading) -> LabelTree:
    """Index a COCO instances tree, or one annotation file. Of large annotation files each image is read by itself.

    Raises:
        ToolkitError: a file is damaged or contradicts itself; FILE and what it lists twice or not at all are named.
    """
    files = read_coco_files(root, "instances")
    manifest, ours = read_manifest(root), read_manifest(files.home) is not None
    used = Counter(map(_category, _every_annotation(files)))  # gone through, and not kept: there may be millions
    categories = read_categories(files.documents, used, ours=ours)
    crowds = [] if ours else crowds_note(_every_annotation(files))
    images = TreeImages(ImageFinder(files.home), ours)
    folders = Folders()
    payloads = Plain(partial(_packed, folders), partial(_unpacked, folders))
    found = packed_images(payloads)
    for path, document in files.documents:
        places = image_places(path, document)
        of_image = _by_image(path, document, places)
        listed = images.listed(path, document, places)
        if not ours:
            check_boxes(path, listed, of_image)
        for number, image in listed.items():
            annotations = of_image[number]
            classes = tuple(categories.names.get(_category(one), "") for one in annotations)
            payload = (str(path), annotations)
            found.append(FoundImage(image.subset, image.stem, image.path, payload, classes, image.size))
    drawn = any(one.get("segmentation") or turn_of(one) for image in found for one in image.payload[1])
    kind: LabelKind = "masks" if drawn else "boxes"
    names = categories.names
    return LabelTree(
        root,
        "coco",
        [names[number] for number in sorted(names)],
        make_records(found, load_coco, names, ours=ours, kind=kind, payloads=payloads),
        manifest=manifest,
        layout_problems=[*images.problems, *(nothing_marked(root, files) if not ours else ())],
        notes=[*files.notes, *categories.notes, *(() if ours else images_note(images)), *crowds],
    )


def _every_annotation(files: CocoFiles) -> Iterator[JsonObject]:
    return (one for _, document in files.documents for one in document["annotations"])


def _category(annotation: JsonObject) -> int:
    """Id of an annotation's category; -1 where it has none, which is said when it is read."""
    number = whole_number(annotation.get("category_id"))
    return -1 if number is None else number


_Told = tuple[tuple[int, str], tuple[int, ...]]


def _packed(folders: Folders, payload: tuple[str, Sequence[JsonObject]]) -> _Told | None:
    """Annotations of a large file as their places in it; None of those in memory."""
    annotations = payload[1]
    return (folders.told(annotations.path), annotations.spans) if isinstance(annotations, Part) else None


def _unpacked(folders: Folders, told: _Told) -> tuple[str, Part]:
    path = folders.path(told[0])
    return str(path), Part(path, told[1])


def _by_image(
    path: Path, document: JsonObject, places: Mapping[int | str, int]
) -> Mapping[int | str, Sequence[JsonObject]]:
    """Id of each image -> its annotations.

    Raises:
        ToolkitError: an annotation is of an image that is not listed.
    """
    owners = array("q")
    annotations: Sequence[JsonObject] = document["annotations"]
    for place, annotation in enumerate(annotations):
        number = image_id(path, f"annotations[{place}]", annotation.get("image_id"))
        if number not in places:
            problem = f"annotations name image {shown(annotation['image_id'])}, which is not listed"
            raise ToolkitError(path, problem, "correct the file")
        owners.append(places[number])
    if isinstance(annotations, Slices):
        return AnnotationsOf(places, annotations, np.frombuffer(owners, np.int64))
    found: dict[int | str, list[JsonObject]] = {number: [] for number in places}
    order = {place: number for number, place in places.items()}
    for owner, annotation in zip(owners, annotations, strict=True):
        found[order[owner]].append(annotation)
    return found


def nothing_marked(root: Path, files: CocoFiles) -> list[Problem]:
    """A problem where no image of a tree has an annotation: nothing found is never nothing there."""
    documents = [document for _, document in files.documents]
    if any(document["annotations"] for document in documents) or not any(one["images"] for one in documents):
        return []
    return [Problem(str(root), "no image has an annotation", "name the annotation files that belong to the images")]


def images_note(images: TreeImages) -> list[str]:
    """What to say where labels are read without their images, and of images that no annotation file lists."""
    notes = []
    if images.lost:
        where = f"no image was found below {images.finder.root}"
        notes.append(f"{where}: the labels of {images.lost} images are read without them")
    unlisted = images.unlisted()
    if unlisted:
        shown = ", ".join(unlisted[:3]) + (", ..." if len(unlisted) > 3 else "")
        notes.append(f"{len(unlisted)} image(s) that no annotation file lists are not read: {shown}")
    return notes
