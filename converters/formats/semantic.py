"""Reading labels that are images: class-id maps, and the masks of the MVTec layout."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from converters.formats.base import FormatName
from converters.formats.label_tree import Entry, FoundImage, LabelTree, make_entries, read_manifest
from converters.formats.panoptic import IGNORE
from converters.formats.yolo.reader import find_data_yaml, image_folders, read_data_yaml
from converters.rasterize import Rounding
from toolkit.dataset.layouts import mvtec
from toolkit.dataset.samples import Dataset, Sample
from toolkit.errors import Problem, ToolkitError
from toolkit.geometry.instances import find_instances
from toolkit.geometry.labels import GOOD, Instance
from toolkit.imaging.images import Mask, is_image, read_class_ids, read_header, read_mask

__all__ = ["index_masks", "index_semantic"]


def index_semantic(root: Path) -> LabelTree:
    """Index a tree of images/ and class-id maps in masks/ (or what `masks_dir` says)."""
    path = find_data_yaml(root)
    if path is None:
        raise ToolkitError(root, "has no data.yaml", "name the folder that holds it")
    document = read_data_yaml(path)
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
    entries = make_entries(found, load_semantic, names, ours=read_manifest(root) is not None)
    return LabelTree(root, "semantic", [names[n] for n in sorted(names)], entries, layout_problems=problems)


def _beside(root: Path, folder: Path, part: str) -> Path:
    """The folder of images that belongs to a folder of maps."""
    parts = [("images" if piece == part else piece) for piece in folder.relative_to(root.resolve()).parts]
    return root.joinpath(*parts)


def _present(ids: npt.NDArray[np.uint8]) -> list[int]:
    """The classes in a map, in the order of their ids."""
    counts = cv2.calcHist([ids], [0], None, [256], [0, 256]).ravel()
    return [number for number in np.flatnonzero(counts).tolist() if number not in (0, IGNORE)]


def _map_size(path: Path) -> tuple[int, int]:
    header = read_header(path)
    return header.width, header.height


def load_semantic(entry: Entry, rounding: Rounding) -> list[Instance]:
    """Instances of an image: the 8-connected components of each class."""
    ids = read_class_ids(Path(entry.payload))
    found: list[Instance] = []
    for number in _present(ids):
        if number not in entry.names:
            raise ToolkitError(entry.payload, f"holds class {number}, which data.yaml does not name", "correct it")
        marked = Mask.of((ids == number).view(np.uint8), ids.shape[1], ids.shape[0])
        found += find_instances(marked, entry.names[number]).instances
    return found


def index_masks(root: Path) -> LabelTree:
    """Index an MVTec tree as labels. Masks without an image are kept: trees may be written without images."""
    samples: list[Sample] = []
    problems: list[Problem] = []
    folders = [root] if (root / "ground_truth").is_dir() else sorted(path for path in root.iterdir() if path.is_dir())
    for folder in folders:
        if mvtec.detect(folder):
            dataset: Dataset = mvtec.index(folder)
            known = {(sample.category, sample.defect, sample.key.rpartition("/")[2]) for sample in dataset}
            samples += dataset
            problems += [p for p in dataset.layout_problems if not Path(p.file).is_relative_to(folder / "ground_truth")]
            category = folder.resolve().name
            for (defect, stem), masks in mvtec.mask_files(folder / "ground_truth").items():
                if (category, defect, stem) not in known:
                    key = f"{category}/test/{defect}/{stem}"
                    samples.append(
                        Sample(key, folder / "test" / defect / f"{stem}.png", masks, category, defect, "test")
                    )
    names = sorted({sample.defect for sample in samples} - {GOOD})
    shared = dict(enumerate(names))
    entries = [Entry(sample, load_masks, None, shared, _mask_size(sample)) for sample in samples]
    kind: FormatName = "masks"
    return LabelTree(root, kind, names, entries, layout_problems=problems)


def _mask_size(sample: Sample) -> tuple[int, int] | None:
    return _map_size(sample.masks[0]) if sample.masks else None


def load_masks(entry: Entry, rounding: Rounding) -> list[Instance]:
    """Instances of an image: the 8-connected components of its mask."""
    if not entry.sample.masks:
        return []
    union = read_mask(entry.sample.masks[0])
    for path in entry.sample.masks[1:]:
        union = Mask.of(union.pixels() | read_mask(path).pixels(), union.width, union.height)
    return list(find_instances(union, entry.sample.defect).instances)
