"""Shapes -> pixels, as LabelMe itself draws them: with Pillow, through pixel centres, the outline included.

`shape_to_mask` and `shapes_to_label` of LabelMe 4.5 to 7.9 were read. Pillow cuts the fraction off each coordinate.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from converters.formats.labelme.document import Shape
from converters.rasterize import Crop
from toolkit.aliases import BoolArray
from toolkit.errors import ToolkitError
from toolkit.imaging.images import encode_map
from toolkit.imaging.limits import MOST_PIXELS
from toolkit.imaging.opening import open_with_pillow
from toolkit.imaging.png import PNG_SIGNATURE, check_png

__all__ = ["LINE_WIDTH", "decode_base64", "draw_shape", "encode_mask", "fill_polygon"]

LINE_WIDTH, _POINT_RADIUS = 10, 5
_ROUND_JOINTS = 7  # the major version from which on LabelMe rounds the joints of line strips, and corners of masks
_NOTHING: Crop = (np.zeros((0, 0), np.bool_), (0, 0))

Size = tuple[int, int]
Point = tuple[float, float]


def draw_shape(shape: Shape, size: Size, path: Path, version: int) -> Crop:
    """The pixels of a shape, as far as they lie in the image.

    Args:
        shape: with the points that it takes.
        size: width and height of the image.
        path: the file that it stands in.
        version: major version of the LabelMe that wrote it.

    Raises:
        ToolkitError: it is a mask, and what it holds is none.
    """
    if shape.kind == "mask":
        return _clipped(*_stored_mask(shape, path, version), size)
    whole = [(int(x), int(y)) for x, y in shape.points]
    top, (width, height) = 0, size
    if not (shape.kind == "linestrip" and version >= _ROUND_JOINTS) and _lies_inside(whole, shape.kind, size):
        # What lies in the image is the same on fewer rows. Columns count from the left: sums of floats are rounded.
        margin = LINE_WIDTH if shape.kind in ("line", "linestrip") else 0
        top = max(0, min(y for _, y in whole) - margin)
        width = min(width, max(x for x, _ in whole) + margin + 1)
        height = min(height, max(y for _, y in whole) + margin + 1) - top
    canvas = Image.new("L", (width, height))
    _draw(ImageDraw.Draw(canvas), shape, [(x, y - top) for x, y in shape.points] if top else shape.points, version)
    box = canvas.getbbox()
    if box is None:
        return _NOTHING
    return np.array(canvas.crop(box), np.bool_), (box[0], box[1] + top)


def _lies_inside(points: Sequence[tuple[int, int]], kind: str, size: Size) -> bool:
    """Whether a shape that is as large as its points is drawn without being cut off."""
    if kind in ("circle", "point"):
        return False
    return all(0 <= x < size[0] and 0 <= y < size[1] for x, y in points)


def _draw(draw: ImageDraw.ImageDraw, shape: Shape, points: Sequence[Point], version: int) -> None:
    if shape.kind in ("polygon", "oriented_rectangle"):
        draw.polygon(points, outline=1, fill=1)
    elif shape.kind == "rectangle":
        (x0, y0), (x1, y1) = points
        draw.rectangle(((min(x0, x1), min(y0, y1)), (max(x0, x1), max(y0, y1))), outline=1, fill=1)
    elif shape.kind == "line":
        draw.line(points, fill=1, width=LINE_WIDTH)
    elif shape.kind == "linestrip":
        draw.line(points, fill=1, width=LINE_WIDTH, joint="curve" if version >= _ROUND_JOINTS else None)
    else:
        x, y = points[0]
        radius = math.dist(*points) if shape.kind == "circle" else _POINT_RADIUS
        draw.ellipse(((x - radius, y - radius), (x + radius, y + radius)), outline=1, fill=1)


def fill_polygon(points: Sequence[Point], size: Size) -> BoolArray:
    """What LabelMe makes of a polygon of at least three points: bool (height, width) of an image of `size`."""
    canvas = Image.new("L", size)
    ImageDraw.Draw(canvas).polygon(points, outline=1, fill=1)
    return np.array(canvas, np.bool_)


def _stored_mask(shape: Shape, path: Path, version: int) -> tuple[BoolArray, tuple[int, int]]:
    """The pixels of a mask and the place of the first of them; its corners are its first and last pixel.

    Raises:
        ToolkitError: it holds no PNG of one channel, or one that is smaller than its corners say.
    """
    mask = _decoded_mask(shape, path)
    corners = np.array(shape.points, np.float64)
    whole = bool((corners == np.trunc(corners)).all())
    spans = _spans(np.trunc(corners))
    if whole or (version < _ROUND_JOINTS and spans == mask.shape):
        height, width = spans
        if height > mask.shape[0] or width > mask.shape[1] or min(spans) < 1:
            there = f"{mask.shape[1]} x {mask.shape[0]}"
            problem = f"is a mask of {there} pixels whose corners, first and last pixel, span {width} x {height}"
            raise ToolkitError(f"{path}: shapes[{shape.number}]", problem, "correct its points")
        return mask[:height, :width], (int(corners[0, 0]), int(corners[0, 1]))
    x, y = np.rint(corners[0]).astype(int).tolist()  # the extent that is stored counts, not that of moved corners
    return mask, (x, y)


def _spans(corners: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[int, int]:
    """Height and width between two corners, both included."""
    width, height = (corners[1] - corners[0] + 1).astype(int).tolist()
    return height, width


def _decoded_mask(shape: Shape, path: Path) -> BoolArray:
    place = Path(f"{path}: shapes[{shape.number}]")
    data = decode_base64(shape.mask, place, "its mask")
    if not data.startswith(PNG_SIGNATURE):
        raise ToolkitError(place, "its mask is no PNG", "draw it again, or remove it")
    try:
        check_png(place, data)
        with open_with_pillow(place, data) as image:
            _check_mask(place, image)
            pixels = np.array(image)
    except ToolkitError as error:
        found = error.problems[0]
        raise ToolkitError(place, f"its mask: {found.problem}", "draw it again, or remove it") from error
    return pixels.astype(np.bool_)


def _check_mask(place: Path, image: Image.Image) -> None:
    if len(image.getbands()) != 1:
        raise ToolkitError(place, f"has {len(image.getbands())} channels, not one", "draw it again")
    if image.width * image.height > MOST_PIXELS:
        raise ToolkitError(place, f"is {image.width} x {image.height} pixels", "draw it again")


def decode_base64(text: str, place: str | Path, what: str) -> bytes:
    """The bytes that a text stands for.

    Raises:
        ToolkitError: it is no base64.
    """
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ToolkitError(place, f"{what} is no base64", "draw it again, or remove it") from error


def encode_mask(mask: BoolArray) -> str:
    """A mask as LabelMe has it: a PNG of 0 and 1 in base64."""
    return base64.b64encode(encode_map(mask.view(np.uint8))).decode("ascii")


def _clipped(mask: BoolArray, offset: tuple[int, int], size: Size) -> Crop:
    """What of a mask lies in the image."""
    x, y = offset
    left, top = max(0, -x), max(0, -y)
    inside = mask[top : max(top, size[1] - y), left : max(left, size[0] - x)]
    return (inside, (x + left, y + top)) if inside.any() else _NOTHING
