"""YOLO labels: boxes, polygons and oriented boxes, one text file an image.

Polygons go through pixel centres, as their reader fills them (see `converters.rasterize`). Coordinates are those of the
pixel's corner plus a quarter, so that truncating and rounding give the same pixel. The training loader of ultralytics
puts further points on the straight lines between vertices before it truncates. On rows, columns and falling diagonals
these land on the pixels of the line; on a rising diagonal step they cross a row and a column at different places, and
touch a third pixel, unless both crossings lie half-way: there the offset is just under a half.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from converters.formats.base import Encoded, Pixels, Settings, TreeShape, image_name, quoted
from converters.formats.yolo.data_yaml import data_yaml
from converters.formats.yolo.oriented_boxes import contains_instance, oriented_corners
from converters.formats.yolo.polygons import decimals, pixel_rings, polygon_row
from converters.rasterize import fill_pixels
from toolkit.geometry.labels import Instance, LabelledImage

__all__ = ["YoloDetect", "YoloObb", "YoloSegment"]

_SIZES = ("images.csv", "name,subset,width,height")


def _encoded(
    image: LabelledImage, lines: Sequence[str], settings: Settings, fidelity: Pixels | None, bridges: int = 0
) -> Encoded:
    name = image_name(image)
    text = ("\n".join(lines) + "\n").encode() if lines else b""
    row = b""
    if settings.images == "none":
        row = f"{quoted(name)},{image.subset},{image.width},{image.height}".encode()
    label = f"labels/{image.subset}/{name.rpartition('.')[0]}.txt"
    return Encoded(
        f"images/{image.subset}/{name}",
        ((label, text),),
        row=row,
        objects=len(lines),
        fidelity=fidelity if lines else None,
        bridges=bridges,
    )


class _Yolo:
    """What the three kinds of YOLO tree share."""

    def shape(self, settings: Settings, subsets: Sequence[str]) -> TreeShape:
        """A data.yaml; and, in trees without images, their sizes, which normalised coordinates do not tell."""
        table = _SIZES if settings.images == "none" else None
        return TreeShape(table=table, closing=(("data.yaml", data_yaml(settings.classes, subsets)),))


class YoloDetect(_Yolo):
    """Rows of class, centre and size of the tight box, as shares of the image's width and height."""

    def encode(self, image: LabelledImage, settings: Settings) -> Encoded:
        """The tight half-open box of each instance. Equal boxes of one class are told apart in the last decimal."""
        lines: list[str] = []
        seen: set[str] = set()
        digits = decimals(image)
        right = 0
        for instance in image.instances:
            x0, y0, x1, y1 = instance.bbox
            centre = f"{(x0 + x1) / 2 / image.width:.{digits}f} {(y0 + y1) / 2 / image.height:.{digits}f}"
            width = (x1 - x0) / image.width
            step = 0
            while True:  # ultralytics drops a row that stands twice
                shown = f"{width - step * 10**-digits:.{digits}f} {(y1 - y0) / image.height:.{digits}f}"
                line = f"{settings.class_id(instance.label)} {centre} {shown}"
                if line not in seen:
                    break
                step += 1
            seen.add(line)
            lines.append(line)
            right += _box_is_right(line, instance, image)
        return _encoded(image, lines, settings, Pixels(right, len(lines)))


def _box_is_right(line: str, instance: Instance, image: LabelledImage) -> bool:
    """Whether a row gives the tight box to a hundredth of a pixel."""
    cx, cy, w, h = (float(value) for value in line.split()[1:])
    sides = ((cx - w / 2) * image.width, (cy - h / 2) * image.height)
    far = ((cx + w / 2) * image.width, (cy + h / 2) * image.height)
    return all(abs(a - b) <= 0.01 for a, b in zip((*sides, *far), instance.bbox, strict=True))


class YoloObb(_Yolo):
    """Rows of class and the four corners of the smallest rectangle, at any angle, around the pixel squares."""

    def encode(self, image: LabelledImage, settings: Settings) -> Encoded:
        """The smallest rectangle of each instance, widened by a few millionths so that rounding cuts nothing off."""
        digits = decimals(image)
        lines = []
        right = 0
        for instance in image.instances:
            corners = oriented_corners(instance, image, digits)
            shown = " ".join(f"{value:.{digits}f}" for value in (corners / (image.width, image.height)).ravel())
            lines.append(f"{settings.class_id(instance.label)} {shown}")
            written = np.array(shown.split(), np.float64).reshape(4, 2) * (image.width, image.height)
            right += contains_instance(written, instance)
        return _encoded(image, lines, settings, Pixels(right, len(lines)))


class YoloSegment(_Yolo):
    """Rows of class and polygon; one row for each part of an instance that does not touch the others."""

    def encode(self, image: LabelledImage, settings: Settings) -> Encoded:
        """Rows that fill to the instance's pixels, and the pixels that they do fill."""
        lines: list[str] = []
        intersection = union = bridges = 0
        for instance in image.instances:
            label = f"{settings.class_id(instance.label)} "
            rings, added = pixel_rings(instance, settings)
            rows = [polygon_row(ring, instance, image) for ring in rings]
            lines += [label + text for text, _ in rows]
            filled = fill_pixels([read_back for _, read_back in rows], *instance.mask.shape)
            both = int(np.count_nonzero(filled & instance.mask))
            intersection += both
            union += int(np.count_nonzero(filled)) + instance.area - both
            bridges += added
        return _encoded(image, lines, settings, Pixels(intersection, union), bridges)
