"""The MVTec layout as a label format."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import numpy as np

from converters.formats.base import (
    Encoded,
    Pixels,
    Reading,
    Settings,
    TreeShape,
    as_folder,
    check_defect_folder,
    image_name,
)
from converters.formats.format import Format
from converters.formats.label_tree import LabelRecord, LabelTree
from converters.formats.registry import read_manifest
from converters.rasterize import Rounding
from toolkit.dataset.dataset import Dataset
from toolkit.dataset.keys import file_name
from toolkit.dataset.layouts import mvtec
from toolkit.dataset.samples import GOOD, MaskFile, Sample, is_good_word
from toolkit.dataset.splits import SUBSETS
from toolkit.errors import Problem
from toolkit.geometry.instances import find_instances
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.imaging.images import encode_map, read_header
from toolkit.imaging.masks import Mask, read_mask

__all__ = ["FORMAT", "mvtec_place"]


class _Place(NamedTuple):
    """Where an image belongs in the MVTec layout."""

    category: str
    split: str
    defect: str
    stem: str


def mvtec_place(image: LabelledImage, renamed: Collection[str] = ()) -> _Place:
    """Place of an image by its key, "category/split/defect/stem"; labels of other tools get one made up.

    There, `category` is "product" and the defect the image's class; the stem is the file name of the key. The layout
    has masks for its test folder only, so defects of other folders move there, under a name of their own; so do those
    of a class in `renamed`, whose folder was another.

    Raises:
        ToolkitError: the class cannot be a folder's name, or would be read as good.
    """
    parts = image.key.split("/")
    told = not image.instances or not is_good_word(parts[-2] if len(parts) > 1 else "")
    if told and len(parts) == 4 and parts[1] in SUBSETS and all(part and part not in (".", "..") for part in parts):
        if not image.instances:
            stem = parts[3] if parts[2] == GOOD else f"{parts[2]}__{parts[3]}"  # all of its components were left out
            return _Place(parts[0], parts[1], GOOD, stem)
        if image.image_label in renamed and image.image_label != parts[2]:
            return _Place(parts[0], "test", _folder_of(image), file_name(image.key))
        return _Place(parts[0], "test", parts[2], parts[3] if parts[1] == "test" else f"{parts[1]}__{parts[3]}")
    subset = "train" if image.subset == "train" and not image.instances else "test"
    label = GOOD
    if image.instances:
        label = _folder_of(image)
    return _Place("product", subset, label, file_name("/".join(part for part in parts if part)))


def _folder_of(image: LabelledImage) -> str:
    """The folder of an image's class.

    Raises:
        ToolkitError: it cannot be a folder's name, or would be read as good.
    """
    label = as_folder(image.image_label, image.key)
    check_defect_folder(label, image.key)
    return label


def _encode(image: LabelledImage, settings: Settings) -> Encoded:
    """The mask of all instances of an image, 0 and 255; a good image has none."""
    place = mvtec_place(image, [new for _, new in settings.selection.rename])
    suffix = image_name(image).rpartition(".")[2]
    target = f"{place.category}/{place.split}/{place.defect}/{place.stem}.{suffix}"
    if not image.instances:
        return Encoded(target)
    mask = image.painted([255] * len(image.instances), np.uint8)
    union = int(np.count_nonzero(mask))
    return Encoded(
        target,
        ((f"{place.category}/ground_truth/{place.defect}/{place.stem}_mask.png", encode_map(mask)),),
        objects=len(image.instances),
        fidelity=Pixels(union, union),
    )


def _shape(settings: Settings, subsets: Sequence[str]) -> TreeShape:
    """Nothing beside the images."""
    return TreeShape()


def _map_size(path: Path) -> tuple[int, int]:
    header = read_header(path)
    return header.width, header.height


def _index(root: Path, reading: Reading) -> LabelTree:
    """Index an MVTec tree as labels. Masks without an image are kept: trees may be written without images."""
    samples: list[Sample] = []
    problems: list[Problem] = []
    folders = [root] if (root / "ground_truth").is_dir() else sorted(path for path in root.iterdir() if path.is_dir())
    for folder in folders:
        if mvtec.detect(folder):
            dataset: Dataset = mvtec.index(folder)
            known = {(sample.category, sample.defect, sample.key.rpartition("/")[2]) for sample in dataset}
            samples += (sample for sample in dataset if sample.key not in dataset.unmasked)
            problems += dataset.unmasked.values()
            problems += [p for p in dataset.layout_problems if not Path(p.file).is_relative_to(folder / "ground_truth")]
            category = folder.resolve().name
            for (defect, stem), masks in mvtec.mask_files(folder / "ground_truth").items():
                if (category, defect, stem) not in known:
                    key = f"{category}/test/{defect}/{stem}"
                    samples.append(
                        Sample(
                            key,
                            folder / "test" / defect / f"{stem}.png",
                            tuple(map(MaskFile, masks)),
                            category,
                            defect,
                            "test",
                        )
                    )
    names = sorted({sample.defect for sample in samples} - {GOOD})
    shared = dict(enumerate(names))
    records = [LabelRecord(sample, _load, None, shared, _mask_size(sample)) for sample in samples]
    return LabelTree(root, "masks", names, records, manifest=read_manifest(root), layout_problems=problems)


def _mask_size(sample: Sample) -> tuple[int, int] | None:
    return _map_size(sample.masks[0].path) if sample.masks else None


def _load(entry: LabelRecord, rounding: Rounding) -> list[Instance]:
    """Instances of an image: the 8-connected components of its mask."""
    if not entry.sample.masks:
        return []
    first, *others = (read_mask(file.path) for file in entry.sample.masks)
    union = reduce(Mask.union, others, first)
    return list(find_instances(union, entry.sample.defect).instances)


def _suspect(root: Path) -> bool:
    return mvtec.detect(root) and any(root.glob("**/ground_truth"))


def _has_images(root: Path) -> bool:
    """Whether a tree in a dataset's layout holds images, not masks alone."""
    return any(path.is_dir() and path.parent.name != "ground_truth" for path in root.glob("*/t*/*"))


FORMAT = Format(
    name="masks",
    holds="pixels",
    encode=_encode,
    shape=_shape,
    index=_index,
    label_files=("*/ground_truth/*/*.png",),
    rank=40,
    suspect=_suspect,
    is_dataset=_has_images,
    tells_classes=False,  # masks say where, their folders what
    tells_good=False,
    counts_instances=False,
    class_folders=True,
    keeps_subsets=False,
    turns_photos=False,  # anomalib opens them with a bare Pillow
)
