"""A label format as a stranger would add it: Pascal VOC boxes, one XML file an image, corners inclusive from 1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from converters.formats.base import AsWritten, Encoded, Pixels, Reading, Settings, TreeShape, image_name
from converters.formats.format import Format
from converters.formats.label_tree import FoundImage, LabelRecord, LabelTree, make_records
from converters.formats.registry import read_manifest
from converters.rasterize import Rounding
from toolkit.geometry.labels import Instance, LabelledImage

__all__ = ["FORMAT"]

Object = tuple[str, tuple[int, int, int, int]]


def _encode(image: LabelledImage, settings: Settings) -> Encoded:
    root = ElementTree.Element("annotation")
    size = ElementTree.SubElement(root, "size")
    for name, value in (("width", image.width), ("height", image.height)):
        ElementTree.SubElement(size, name).text = str(value)
    for instance in image.instances:
        x0, y0, x1, y1 = instance.bbox
        one = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(one, "name").text = instance.label
        box = ElementTree.SubElement(one, "bndbox")
        for name, side in zip(("xmin", "ymin", "xmax", "ymax"), (x0 + 1, y0 + 1, x1, y1), strict=True):
            ElementTree.SubElement(box, name).text = str(side)
    stem = image_name(image).rpartition(".")[0]
    return Encoded(
        f"images/{image.subset}/{image_name(image)}",
        ((f"Annotations/{image.subset}/{stem}.xml", ElementTree.tostring(root)),),
        objects=len(image.instances),
        fidelity=Pixels(1, 1) if image.instances else None,
    )


def _shape(settings: Settings, subsets: Sequence[str]) -> TreeShape:
    return TreeShape()


def _objects(file: Path) -> list[Object]:
    found: list[Object] = []
    for one in ElementTree.parse(file).iter("object"):
        x0, y0, x1, y1 = (int(one.findtext(f"bndbox/{name}", "")) for name in ("xmin", "ymin", "xmax", "ymax"))
        found.append((one.findtext("name", ""), (x0 - 1, y0 - 1, x1, y1)))
    return found


def _index(root: Path, reading: Reading) -> LabelTree:
    manifest = read_manifest(root)
    found = []
    for file in sorted(root.glob("Annotations/*/*.xml")):
        subset, tree = file.parent.name, ElementTree.parse(file)
        image = next((root / "images" / subset).glob(f"{file.stem}.*"), root / "images" / subset / f"{file.stem}.png")
        size = (int(tree.findtext("size/width", "")), int(tree.findtext("size/height", "")))
        classes = tuple(name for name, _ in _objects(file))
        found.append(FoundImage(subset, file.stem, image, str(file), classes, size))
    names = sorted({name for one in found for name in one.classes})
    records = make_records(found, _load, dict(enumerate(names)), ours=manifest is not None, kind="boxes")
    return LabelTree(root, FORMAT.name, names, records, manifest=manifest)


def _load(record: LabelRecord, rounding: Rounding) -> list[Instance]:
    found = []
    for name, (x0, y0, x1, y1) in _objects(Path(record.payload)):
        found.append(Instance(name, (x0, y0, x1, y1), np.ones((y1 - y0, x1 - x0), np.bool_), (y1 - y0) * (x1 - x0)))
    return found


def _as_written(record: LabelRecord, shown: LabelledImage) -> AsWritten:
    return AsWritten(boxes=tuple(box for _, box in _objects(Path(record.payload))))


FORMAT = Format(
    name="toy-voc",
    holds="boxes",
    encode=_encode,
    shape=_shape,
    index=_index,
    label_files=("Annotations/*/*.xml",),
    rank=65,
    recognise=lambda root: any(root.glob("Annotations/*/*.xml")),
    as_written=_as_written,
)
