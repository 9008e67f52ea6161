"""Class-id maps: `masks/<subset>/NAME.png`, 0 background, 255 ignored, beside `images/<subset>/`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from converters.formats.base import Encoded, Settings, TreeShape, image_name
from converters.formats.format import Format
from converters.formats.label_tree import FoundImage, LabelRecord, LabelTree, make_records
from converters.formats.painting import label_name, pixels_kept
from converters.formats.registry import read_manifest
from converters.formats.yolo.data_yaml import data_yaml, find_data_yaml, image_folders, read_data_yaml
from converters.rasterize import Rounding
from toolkit.errors import Problem, ToolkitError
from toolkit.geometry.instances import find_instances
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.imaging.images import encode_blank_map, encode_map, is_image
from toolkit.imaging.masks import Mask, read_class_ids

__all__ = ["FORMAT", "IGNORE"]


def _index(root: Path) -> LabelTree:
    """Index a tree of images/ and class-id maps in masks/ (or what `masks_dir` says)."""
    path = find_data_yaml(root)
    if path is None:
        raise ToolkitError(root, "has no data.yaml", "name the folder that holds it")
    document = read_data_yaml(path)
    manifest = read_manifest(root)
    part = str(document.get("masks_dir", "masks"))
    names = {number: name for number, name in document["names"].items() if number > 0}
    found: list[FoundImage] = []
    problems: list[Problem] = []
    for subset, folder in image_folders(root, document, part) or image_folders(root, document):
        maps = Path(*[part if piece == "images" else piece for piece in folder.parts])
        images = {path.stem: path for path in sorted(_beside(root, folder, part).glob("*")) if is_image(path.name)}
        labels = {path.stem: path for path in sorted(maps.glob("*")) if is_image(path.name)}
        for stem, label in labels.items():
            image = images.get(stem, root / "images" / subset / f"{stem}.png")
            ids = read_class_ids(label)
            classes = tuple(names[number] for number in _present(ids) if number in names)
            found.append(FoundImage(subset, stem, image, str(label), classes, (ids.shape[1], ids.shape[0])))
        remedy = "write its map, or remove the image"
        problems += [
            Problem(str(images[stem]), "an image without a class map", remedy)
            for stem in sorted(images.keys() - labels)
        ]
    records = make_records(found, load_semantic, names, ours=manifest is not None)
    return LabelTree(
        root, "semantic", [names[n] for n in sorted(names)], records, manifest=manifest, layout_problems=problems
    )


def _beside(root: Path, folder: Path, part: str) -> Path:
    """The folder of images that belongs to a folder of maps."""
    parts = [("images" if piece == part else piece) for piece in folder.resolve().relative_to(root.resolve()).parts]
    return root.joinpath(*parts)


def _present(ids: npt.NDArray[np.uint8]) -> list[int]:
    """The classes in a map, in the order of their ids."""
    counts = cv2.calcHist([ids], [0], None, [256], [0, 256]).ravel()
    return [number for number in np.flatnonzero(counts).tolist() if number not in (0, IGNORE)]


def load_semantic(entry: LabelRecord, rounding: Rounding) -> list[Instance]:
    """Instances of an image: the 8-connected components of each class."""
    ids = read_class_ids(Path(entry.payload))
    found: list[Instance] = []
    for number in _present(ids):
        if number not in entry.names:
            raise ToolkitError(entry.payload, f"holds class {number}, which data.yaml does not name", "correct it")
        marked = Mask.of((ids == number).view(np.uint8), ids.shape[1], ids.shape[0])
        found += find_instances(marked, entry.names[number]).instances
    return found


IGNORE = 255
"""Value in class-id maps of pixels that training and evaluation pass over."""


_MOST_CLASSES = 254


def _encode(image: LabelledImage, settings: Settings) -> Encoded:
    """The class-id map of an image."""
    values = [settings.class_id(instance.label) + 1 for instance in image.instances]
    ids = image.painted(values, np.uint8)
    label = f"masks/{image.subset}/{label_name(image)}"
    return Encoded(
        f"images/{image.subset}/{image_name(image)}",
        ((label, encode_map(ids) if values else encode_blank_map(ids.shape)),),
        objects=len(image.instances),
        fidelity=pixels_kept(ids, image, values),
    )


def _shape(settings: Settings, subsets: Sequence[str]) -> TreeShape:
    """The dataset file that ultralytics' semantic task reads.

    Raises:
        ToolkitError: more classes than a byte has values.
    """
    if len(settings.classes) > _MOST_CLASSES:
        raise ToolkitError("semantic", f"holds {_MOST_CLASSES} classes at most", "use --classes binary")
    document = data_yaml(["background", *settings.classes], subsets, masks_dir="masks")
    return TreeShape(closing=(("data.yaml", document),))


def _recognise(root: Path) -> bool:
    path = find_data_yaml(root)
    return path is not None and "masks_dir" in read_data_yaml(path)


FORMAT = Format(
    name="semantic",
    holds="pixels",
    encode=_encode,
    shape=_shape,
    index=_index,
    label_files=("masks/*/*.png",),
    rank=30,
    recognise=_recognise,
    counts_instances=False,  # a map keeps classes, and its reader takes components for instances
)
