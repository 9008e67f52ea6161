"""YOLO classification trees: a folder for each class, the images in them, and a table of the same."""

from __future__ import annotations

from collections.abc import Sequence

from converters.formats.base import Encoded, Pixels, Settings, TreeShape, as_folder
from converters.formats.yolo.writer import image_name, quoted
from toolkit.geometry.labels import LabelledImage

__all__ = ["YoloClassify"]


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
