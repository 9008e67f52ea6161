"""What the kinds of YOLO tree share: one text file an image, a data.yaml, and a table of sizes without images."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from converters.formats.base import Encoded, Pixels, Settings, TreeShape, image_name
from converters.formats.yolo.data_yaml import data_yaml
from toolkit.geometry.labels import LabelledImage

__all__ = ["csv_line", "encoded_rows", "yolo_shape"]

_SIZES = ("images.csv", "name,subset,width,height")


def encoded_rows(
    image: LabelledImage, lines: Sequence[str], settings: Settings, fidelity: Pixels | None, bridges: int = 0
) -> Encoded:
    """The text file of an image, and its line in the table of sizes."""
    name = image_name(image)
    text = ("\n".join(lines) + "\n").encode() if lines else b""
    row = b""
    if settings.images == "none":
        row = csv_line(name, image.subset, image.width, image.height)
    label = f"labels/{image.subset}/{name.rpartition('.')[0]}.txt"
    return Encoded(
        f"images/{image.subset}/{name}",
        ((label, text),),
        row=row,
        objects=len(lines),
        fidelity=fidelity if lines else None,
        bridges=bridges,
    )


def yolo_shape(settings: Settings, subsets: Sequence[str]) -> TreeShape:
    """A data.yaml; and, in trees without images, their sizes, which normalised coordinates do not tell."""
    table = _SIZES if settings.images == "none" else None
    return TreeShape(table=table, closing=(("data.yaml", data_yaml(settings.classes, subsets)),))


def csv_line(*cells: str | int) -> bytes:
    """A line of CSV without its end."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)  # with these two, both are quoted within a cell
    return text.getvalue().removesuffix("\r\n").encode()
