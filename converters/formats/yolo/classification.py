"""YOLO classification trees: `<subset>/<class>/NAME.png`, and a table of the same."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from converters.formats.base import Encoded, Pixels, Settings, TreeShape, as_folder, csv_line, image_name
from converters.formats.format import Format
from converters.formats.label_tree import (
    FoundImage,
    LabelRecord,
    LabelTree,
    make_records,
    subset_of_name,
    walk_files,
)
from converters.formats.registry import read_manifest
from converters.formats.yolo.placement import where_they_stand
from converters.rasterize import Rounding
from toolkit.errors import Problem
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.imaging.images import is_image

__all__ = ["FORMAT"]


def _encode(image: LabelledImage, settings: Settings) -> Encoded:
    """The place of an image: its class is its folder."""
    name, label = image_name(image), as_folder(image.image_label, image.key)
    row = csv_line(name, image.subset, label, image.width, image.height)
    return Encoded(f"{image.subset}/{label}/{name}", row=row, objects=1, fidelity=Pixels(1, 1))


def _shape(settings: Settings, subsets: Sequence[str]) -> TreeShape:
    """The table, which is all there is in a tree without images."""
    return TreeShape(table=("labels.csv", "name,subset,class,width,height"), table_is_label=True)


def _suspect(root: Path) -> bool:
    """Whether there are images in folders of classes, within folders of subsets."""
    images = (path for pattern in ("train/*/*", "val/*/*", "test/*/*") for path in root.glob(pattern))
    first = next((path for path in images if is_image(path.name)), None)
    return first is not None and first.parent.name not in ("images", "labels")


def _index(root: Path) -> LabelTree:
    """Index a tree of <subset>/<class>/ folders of images, or of a table alone."""
    manifest = read_manifest(root)
    table = root / "labels.csv"
    found = []
    problems: list[Problem] = []
    if manifest and table.is_file():
        with open(table, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                image = root / row["subset"] / row["class"] / row["name"]
                stem = row["name"].rpartition(".")[0]
                size = (int(row["width"]), int(row["height"]))
                found.append(FoundImage(row["subset"], stem, image, None, (row["class"],), size))
        if manifest["options"]["images"] != "none":
            found, problems = where_they_stand(root, found)
    else:
        for folder in sorted(path for path in root.glob("*/*") if path.is_dir()):
            subset = subset_of_name(folder.parent.name)
            images = [path for path in walk_files(folder) if is_image(path.name)] if subset else []
            found += [
                FoundImage(str(subset), f"{folder.name}/{image.stem}", image, None, (folder.name,)) for image in images
            ]
    names = manifest["classes"] if manifest else sorted({name for one in found for name in one.classes} - {"good"})
    records = make_records(found, _load_nothing, dict(enumerate(names)), ours=manifest is not None, kind="class")
    return LabelTree(
        root,
        "yolo-classify",
        names,
        records,
        manifest=manifest,
        layout_problems=problems,
        notes=["a classification tree says nothing of where defects are"],
    )


def _load_nothing(entry: LabelRecord, rounding: Rounding) -> list[Instance]:
    """Images of a classification tree carry a class, and no instances."""
    return []


FORMAT = Format(
    name="yolo-classify",
    holds="classes",
    encode=_encode,
    shape=_shape,
    index=_index,
    label_files=("labels.csv",),
    rank=70,
    suspect=_suspect,
)
