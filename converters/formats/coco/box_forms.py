"""Boxes that other tools wrote in another form than COCO's x, y, width, height, as far as their images tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from converters.formats.coco.annotations import given_box
from converters.formats.coco.document import shown
from converters.formats.coco.images import ListedImage
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError
from toolkit.imaging.images import read_header

__all__ = ["check_boxes"]

_SLACK = 1.0  # pixels by which sound boxes leave their images
_FAR = 0.05  # share of a side by which they do not
_SHARE = 0.25  # of boxes that leave, where boxes are corners: three quarters, if objects lie anywhere
_SEVERAL = 3
_COMPARED = 500

Annotations = Mapping[int | str, Sequence[JsonObject]]
Boxes = npt.NDArray[np.float64]


def check_boxes(path: Path, images: Mapping[int | str, ListedImage], of_image: Annotations) -> None:
    """Raise where the boxes of a file that have no segmentation are corners, or shares of their images.

    Corners are what alone explains boxes that leave their images: all that do lie inside as x1, y1, x2, y2. Where
    others of the file have polygons, these tell too. Boxes whose form nothing tells are taken as COCO says.

    Args:
        path: the file.
        images: id -> image.
        of_image: id -> its annotations.

    Raises:
        ToolkitError: they are not x, y, width and height in pixels.
    """
    _check_polygons(path, images, of_image)
    alone, owners = [], []
    for number, image in images.items():
        for annotation in of_image.get(number, ()):
            box = None if annotation.get("segmentation") else given_box(annotation)
            if box is not None and len(box) == 4:
                alone.append(box)
                owners.append((annotation, image))
    if not alone:
        return
    boxes = np.array(alone, np.float64)
    if _are_shares(boxes):
        example = shown(owners[0][0]["bbox"])
        problem = f"its boxes are shares of their images, not pixels: none is larger than 1, such as {example}"
        raise ToolkitError(path, problem, "multiply x and width by the image's width, y and height by its height")
    wrong = _as_polygons_tell(images, of_image)
    wrong = _as_images_tell(boxes, [image for _, image in owners]) if wrong is None else wrong
    if wrong:
        remedy = "take x from each third number and y from each fourth; if they are widths and heights, cut the boxes"
        raise ToolkitError(
            path, f"its boxes look like corners x1, y1, x2, y2: {wrong}", f"{remedy} at the border of their images"
        )


def _check_polygons(path: Path, images: Mapping[int | str, ListedImage], of_image: Annotations) -> None:
    """Raise where all polygons of a file are shares of their images, which would mark nothing.

    Raises:
        ToolkitError: they are.
    """
    ends = (_ends(one.get("segmentation")) for number in images for one in of_image.get(number, ()))
    known = np.array([one for one in islice(ends, _COMPARED) if one is not None], np.float64).reshape(-1, 4)
    if len(known) and (known >= 0).all() and (known <= 1.001).all() and (known != np.rint(known)).any():
        problem = "its polygons are shares of their images, not pixels: no coordinate is larger than 1"
        raise ToolkitError(path, problem, "multiply each x by the image's width, and each y by its height")


def _are_shares(boxes: Boxes) -> bool:
    """Whether all boxes lie within one pixel, and not on whole numbers."""
    inside = (boxes >= 0).all() and (boxes[:, :2] + boxes[:, 2:] <= 1.001).all()
    return bool(inside and (boxes != np.rint(boxes)).any())


def _as_images_tell(boxes: Boxes, images: Sequence[ListedImage]) -> str:
    """Why boxes are corners, by the images that they leave; "" where they may be x, y, width, height."""
    x, y, third, fourth = boxes.T
    ordered = (x >= 0) & (y >= 0) & (third >= x) & (fourth >= y)
    if not ordered.any():
        return ""
    sizes = np.array([_size(image, bool(one)) for image, one in zip(images, ordered, strict=True)], np.float64)
    beyond = boxes[:, :2] + boxes[:, 2:] - sizes
    leaving = (beyond > _SLACK).any(axis=1)
    inside = ordered & (boxes[:, 2:] <= sizes + _SLACK).all(axis=1)
    far = (beyond > _FAR * sizes).any(axis=1)
    count = int(leaving.sum())
    if not far.any() or not inside[leaving].all() or count < _SHARE * len(boxes):
        return ""
    if not inside.all() and count < _SEVERAL:
        return ""
    return f"{count} of {len(boxes)} would leave their images, and lie inside as corners"


def _size(image: ListedImage, wanted: bool) -> tuple[float, float]:
    """Width and height; without end where they are not known, or not wanted."""
    if image.size is not None:
        return image.size
    try:
        header = read_header(image.path) if wanted else None
    except ToolkitError:  # which is said where the image is read
        header = None
    return (header.width, header.height) if header is not None else (np.inf, np.inf)


def _as_polygons_tell(images: Mapping[int | str, ListedImage], of_image: Annotations) -> str | None:
    """Why boxes are corners, by those that have polygons; "" where these are sound, None where there are none."""
    pairs = (
        (box, ends)
        for number in images
        for annotation in of_image.get(number, ())
        if (box := given_box(annotation)) and (ends := _ends(annotation.get("segmentation"))) is not None
    )
    corners = sound = 0
    for box, (x0, y0, x1, y1) in islice(pairs, _COMPARED):
        as_corners = max(abs(a - b) for a, b in zip(box, (x0, y0, x1, y1), strict=True)) <= _SLACK
        as_told = max(abs(a - b) for a, b in zip(box, (x0, y0, x1 - x0, y1 - y0), strict=True)) <= _SLACK
        corners += as_corners and not as_told
        sound += as_told and not as_corners
    if not corners and not sound:
        return None
    return f"{corners} of those with polygons are the corners of these" if corners > sound else ""


def _ends(segmentation: object) -> tuple[float, float, float, float] | None:
    """The box x0, y0, x1, y1 of polygons; None for what is none."""
    if not isinstance(segmentation, list) or not segmentation or not all(isinstance(one, list) for one in segmentation):
        return None
    values = [value for ring in segmentation if len(ring) % 2 == 0 for value in ring]
    if len(values) < 2 or not all(isinstance(value, int | float) for value in values):
        return None
    return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
