"""Supervisely's geometries -> pixels, as its SDK draws them: rounded, through pixel centres, with OpenCV."""

from __future__ import annotations

import base64
import binascii
import zlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from converters.formats.coco.document import shown
from converters.formats.foreign.values import coordinate, members, pairs
from converters.formats.supervisely.document import Thing
from converters.rasterize import Crop
from toolkit.aliases import BoolArray, JsonObject
from toolkit.errors import ToolkitError
from toolkit.geometry.instances import crop_to_bbox
from toolkit.geometry.labels import Instance
from toolkit.imaging.opening import open_with_pillow
from toolkit.imaging.png import PNG_SIGNATURE, check_png

__all__ = ["instance_of"]

_NOTHING: Crop = (np.zeros((0, 0), np.bool_), (0, 0))
_REMEDY = "draw it again, or remove it"
_MOST_BYTES, _SPARE_BYTES = 1 << 28, 1 << 16  # of a PNG once unpacked, at most and beside its pixels
_SPARE_PIXELS, _MOST_PIXELS = (
    1 << 24,
    1 << 28,
)  # of a mask whatever its image, and at most: it is decoded in four channels

Size = tuple[int, int]
Ring = npt.NDArray[np.int32]


def instance_of(thing: Thing, size: Size) -> Instance | None:
    """The object in an image of `size` (width, height); None where it marks none of its pixels. A rectangle is a box.

    Raises:
        ToolkitError: its geometry is malformed.
    """
    if thing.kind == "rectangle":
        points = _ring(thing.place, _points(thing).get("exterior"))
        if len(points) != 2:
            raise ToolkitError(thing.place, f"is a rectangle of {len(points)} points, and takes 2", _REMEDY)
        (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        return Instance.of_box(thing.label, (left, top, right + 1, bottom + 1), size, thing.attributes)
    mask, offset = _bitmap(thing, size) if thing.kind == "bitmap" else _polygons(thing, size)
    found = crop_to_bbox(mask, thing.label, offset)
    return Instance(found.label, found.bbox, found.mask, found.area, thing.attributes) if found is not None else None


def _points(thing: Thing) -> JsonObject:
    return members(thing.place, thing.told.get("points"), "its points")


def _ring(place: str, given: object) -> Ring:
    """Points as whole pixels, (K, 2), rounded as Python rounds."""
    return np.rint(pairs(place, given)).astype(np.int32)


def _polygons(thing: Thing, size: Size) -> Crop:
    """The pixels of a polygon, or of the parts of one, holes cut out.

    Raises:
        ToolkitError: a point is none.
    """
    parts = thing.told.get("parts") if thing.kind == "multipolygon" else [_points(thing)]
    if not isinstance(parts, list):
        raise ToolkitError(thing.place, f"has the parts {shown(parts)}, no list", _REMEDY)
    rings = []
    for part in (members(thing.place, one, "a part of it") for one in parts):
        holes = part.get("interior") or []
        if not isinstance(holes, list):
            raise ToolkitError(thing.place, f"has the interior {shown(holes)}, no list", _REMEDY)
        exterior, interior = _ring(thing.place, part.get("exterior")), [_ring(thing.place, hole) for hole in holes]
        if any(len(hole) < 3 for hole in interior):
            raise ToolkitError(thing.place, "has a hole of fewer than three points", _REMEDY)
        if len(exterior) >= 3:
            rings.append((exterior, interior))
    return _drawn(rings, size) if rings else _NOTHING


def _drawn(polygons: list[tuple[Ring, list[Ring]]], size: Size) -> Crop:
    """What OpenCV fills of polygons and their holes, all holes of one at once."""
    points = np.concatenate([ring for exterior, holes in polygons for ring in (exterior, *holes)])
    low, high = points.min(axis=0), points.max(axis=0) + 1
    if (low < 0).any() or (high > size).any():  # what is cut off by the border OpenCV may draw otherwise
        low, high = np.zeros(2, np.int32), np.array(size)
    width, height = (high - low).tolist()
    canvas = np.zeros((height, width), np.bool_)
    for exterior, holes in polygons:
        one = np.zeros((height, width), np.uint8)
        cv2.fillPoly(one, [exterior - low.astype(np.int32)], (1,))
        if holes:
            cv2.fillPoly(one, [hole - low.astype(np.int32) for hole in holes], (0,))
        canvas |= one.view(np.bool_)
    return canvas, (int(low[0]), int(low[1]))


def _bitmap(thing: Thing, size: Size) -> Crop:
    """The pixels of a bitmap, as far as they lie in the image.

    Raises:
        ToolkitError: it is damaged, or too large.
    """
    told = members(thing.place, thing.told.get("bitmap"), "its bitmap")
    origin = told.get("origin")
    if not isinstance(origin, list) or len(origin) != 2:
        raise ToolkitError(thing.place, f"has the origin {shown(origin)}, which is not [x, y]", _REMEDY)
    x, y = (round(coordinate(thing.place, "origin", value)) for value in origin)
    mask = _unpacked(thing.place, told.get("data"), size)
    left, top = max(0, -x), max(0, -y)
    inside = mask[top : max(top, size[1] - y), left : max(left, size[0] - x)]
    return inside, (x + left, y + top)


def _unpacked(place: str, data: object, size: Size) -> BoolArray:
    """A mask: base64 of zlib of a PNG, whose alpha counts where it has one.

    Raises:
        ToolkitError: it is none of these, or larger than its image gives reason for.
    """
    if not isinstance(data, str):
        raise ToolkitError(place, f"its bitmap has the data {shown(data)}, no text", _REMEDY)
    pixels = size[0] * size[1]
    most = min(_MOST_BYTES, 4 * pixels + _SPARE_BYTES)
    try:
        packed = base64.b64decode("".join(data.split()), validate=True)
        unpacking = zlib.decompressobj()
        png = unpacking.decompress(packed, most)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise ToolkitError(place, "its bitmap is no zlib in base64", _REMEDY) from error
    if not unpacking.eof:
        what = "unpacks to more than its image can need" if len(png) >= most else "is cut short"
        raise ToolkitError(place, f"its bitmap {what}", _REMEDY)
    if not png.startswith(PNG_SIGNATURE):
        raise ToolkitError(place, "its bitmap is no PNG", _REMEDY)
    try:
        check_png(Path(place), png)
        with open_with_pillow(Path(place), png) as image:
            width, height = image.size
    except ToolkitError as error:
        raise ToolkitError(place, f"its bitmap: {error.problems[0].problem}", _REMEDY) from error
    if width * height > min(max(_SPARE_PIXELS, pixels), _MOST_PIXELS):
        raise ToolkitError(
            place, f"its bitmap is {width} x {height} pixels, and its image {size[0]} x {size[1]}", _REMEDY
        )
    return _decoded(place, png)


def _decoded(place: str, png: bytes) -> BoolArray:
    """What the SDK makes of a PNG: its alpha, or its only channel, where it is not 0.

    Raises:
        ToolkitError: it has three channels, of which the SDK makes nothing.
    """
    try:
        image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        image = None
    if image is None:
        raise ToolkitError(place, "its bitmap cannot be decoded", _REMEDY)
    if image.ndim == 3 and image.shape[2] != 4:
        raise ToolkitError(place, f"its bitmap has {image.shape[2]} channels and no transparency", _REMEDY)
    return np.asarray(image[:, :, 3] if image.ndim == 3 else image, np.bool_)
