"""YOLO classification trees: a folder for each class, the images in them, and a table of the same."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from converters.formats.base import Encoded, Pixels, Settings, TreeShape, as_folder, image_name, quoted
from converters.formats.label_tree import (
    Entry,
    FoundImage,
    LabelTree,
    make_entries,
    read_manifest,
    subset_of_name,
    walk_files,
)
from converters.rasterize import Rounding
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.imaging.images import is_image

__all__ = ["YoloClassify", "index_classify", "load_nothing"]


class YoloClassify:
    """`<subset>/<class>/NAME.png`. `labels.csv` says the same, and is all there is in a tree without images."""

    def encode(self, image: LabelledImage, settings: Settings) -> Encoded:
        """The place of an image: its class is its folder."""
        name, label = image_name(image), as_folder(image.image_label, image.key)
        row = f"{quoted(name)},{image.subset},{quoted(label)},{image.width},{image.height}".encode()
        return Encoded(f"{image.subset}/{label}/{name}", row=row, objects=1, fidelity=Pixels(1, 1))

    def shape(self, settings: Settings, subsets: Sequence[str]) -> TreeShape:
        """The table."""
        return TreeShape(table=("labels.csv", "name,subset,class,width,height"), table_is_label=True)


def index_classify(root: Path) -> LabelTree:
    """Index a tree of <subset>/<class>/ folders of images, or of a table alone."""
    manifest = read_manifest(root)
    table = root / "labels.csv"
    found = []
    if manifest and table.is_file():
        with open(table, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                image = root / row["subset"] / row["class"] / row["name"]
                stem = row["name"].rpartition(".")[0]
                size = (int(row["width"]), int(row["height"]))
                found.append(FoundImage(row["subset"], stem, image, None, (row["class"],), size))
    else:
        for folder in sorted(path for path in root.glob("*/*") if path.is_dir()):
            subset = subset_of_name(folder.parent.name)
            images = [path for path in walk_files(folder) if is_image(path.name)] if subset else []
            found += [
                FoundImage(str(subset), f"{folder.name}/{image.stem}", image, None, (folder.name,)) for image in images
            ]
    names = manifest["classes"] if manifest else sorted({name for one in found for name in one.classes} - {"good"})
    entries = make_entries(found, load_nothing, dict(enumerate(names)), ours=manifest is not None)
    return LabelTree(
        root, "yolo-classify", names, entries, notes=["a classification tree says nothing of where defects are"]
    )


def load_nothing(entry: Entry, rounding: Rounding) -> list[Instance]:
    """Images of a classification tree carry a class, and no instances."""
    return []
