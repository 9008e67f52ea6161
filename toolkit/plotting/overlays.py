"""Pictures of labels: an image with its defects marked, and sheets of such images. supervision draws the marks.

Colours are those of Okabe and Ito ("Color Universal Design", 2008), which colour-blind people can tell apart; a class
keeps its colour wherever the same list of classes is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt
import supervision as sv

from toolkit.aliases import BoolArray
from toolkit.errors import ToolkitError
from toolkit.imaging.images import encode_png, read_image
from toolkit.markup import report_html

__all__ = ["class_colour", "draw_overlay", "labelled_html", "overlay_sheet", "overlay_tile"]

Picture = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]

# The two that are darkest come last: they are hard to see on dark products.
_PALETTE = ("#E69F00", "#56B4E9", "#F0E442", "#009E73", "#CC79A7", "#D55E00", "#0072B2")
_COLOURS = sv.ColorPalette.from_hex(list(_PALETTE))
_ON_COLOUR = sv.ColorPalette.from_hex(["#FFFFFF" if colour == "#0072B2" else "#000000" for colour in _PALETTE])
"""Text colour on each colour of the palette."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX  # supervision's own, so that a measured text has the size of the drawn one
_PAPER, _BAR, _INK, _FAINT_INK, _BLANK = (248, 248, 248), (232, 232, 232), (38, 36, 34), (124, 118, 112), 128
_MOST_BOXES = 40
_SIDE = 512  # pixels of a picture's longer side in a notebook


class MarkedInstance(Protocol):
    """What is drawn of an instance: see `toolkit.geometry.labels.Instance`, which this room stands under."""

    @property
    def label(self) -> str:
        """Class name."""

    @property
    def window(self) -> Box:
        """Tight half-open box in pixels."""

    @property
    def region(self) -> BoolArray:
        """The pixels inside `window`."""

    @property
    def area(self) -> int:
        """Pixels in `region`."""


class LabelledPicture(Protocol):
    """What is drawn of an image and its labels: see `toolkit.geometry.labels.LabelledImage`."""

    @property
    def key(self) -> str:
        """Unique name."""

    @property
    def path(self) -> Path | None:
        """The image file, if there is one."""

    @property
    def width(self) -> int:
        """In pixels."""

    @property
    def height(self) -> int:
        """In pixels."""

    @property
    def instances(self) -> Sequence[MarkedInstance]:
        """What the image shows."""

    @property
    def subset(self) -> str:
        """Subset, or ""."""

    @property
    def image_label(self) -> str:
        """Class of the whole image."""

    def shrunk(self, side: int) -> LabelledPicture:
        """The same labels on an image of at most `side` pixels."""


@dataclass(frozen=True, eq=False)
class _Marks:
    """Everything of one class in an image: its index, bool mask (H, W), and half-open pixel boxes, largest first."""

    index: int
    mask: BoolArray
    boxes: tuple[Box, ...]


def class_colour(index: int) -> tuple[int, int, int]:
    """Colour (R, G, B) of the class with this index, each 0 to 255; there are seven, and they repeat."""
    return _COLOURS.by_idx(index).as_rgb()


def draw_overlay(image_bgr: Picture, labelled: LabelledPicture, *, classes: Sequence[str]) -> Picture:
    """Marks the defects of an image: fill, outline, a box around each part, and one name per class.

    Args:
        image_bgr: uint8 (H, W, 3) in BGR order; it is left as it is.
        labelled: the labels of that image.
        classes: all class names; the position of a name gives its colour.

    Returns:
        uint8 (H, W, 3) in BGR order.

    Raises:
        ToolkitError: the image is not the size that the labels are for, or a label is not among `classes`.
    """
    _check_size(image_bgr, labelled)
    marks = _collect(labelled, classes)
    return _draw_names(_draw_marks(image_bgr, marks), marks, classes)


def overlay_sheet(
    images: Sequence[LabelledPicture], *, classes: Sequence[str], columns: int = 4, tile: int = 256
) -> Picture:
    """A contact sheet: each image with its defects marked, and its class and key below.

    Args:
        images: what to show, row by row. An image without a file is shown as a grey area with its marks.
        classes: all class names; the position of a name gives its colour.
        columns: tiles in a row.
        tile: side of the square that each image is fitted into, in pixels.

    Returns:
        uint8 (H, W, 3) in BGR order.

    Raises:
        ToolkitError: there is nothing to show, `columns` or `tile` is too small, a file cannot be read or is not the
            size that its labels are for, or a label is not among `classes`.
    """
    if not images:
        raise ToolkitError("overlay sheet", "no image to show", "choose a dataset or a subset that has images")
    if columns < 1 or tile < 32:
        raise ToolkitError("overlay sheet", f"{columns} columns of {tile} pixels", "use 1 column and 32 pixels or more")
    columns = min(columns, len(images))
    margin, caption = max(8, tile // 16), 34
    rows = math.ceil(len(images) / columns)
    step_x, step_y = tile + margin, tile + caption + margin
    sheet = np.full((rows * step_y + margin, columns * step_x + margin, 3), _PAPER, dtype=np.uint8)
    for place, labelled in enumerate(images):
        y, x = margin + place // columns * step_y, margin + place % columns * step_x
        sheet[y : y + tile, x : x + tile] = overlay_tile(labelled, classes, tile)
        _write_caption(sheet[y + tile : y + tile + caption, x : x + tile], labelled, classes)
    return sheet


def _collect(labelled: LabelledPicture, classes: Sequence[str]) -> list[_Marks]:
    """The instances of an image by class, in the order of `classes`; one mask a class, as parts may be thousands."""
    unknown = sorted({instance.label for instance in labelled.instances} - set(classes))
    if unknown:
        raise ToolkitError(labelled.key, f"class {unknown[0]!r} is not in the list of classes", "add it to the list")
    found = []
    for index, name in enumerate(classes):
        instances = [instance for instance in labelled.instances if instance.label == name]
        if instances:
            mask = np.zeros((labelled.height, labelled.width), dtype=np.bool_)
            for instance in instances:
                x0, y0, x1, y1 = instance.window
                mask[y0:y1, x0:x1] |= instance.region
            ordered = sorted(instances, key=lambda instance: (-instance.area, instance.window))
            found.append(_Marks(index, mask, tuple(instance.window for instance in ordered)))
    return found


def _draw_marks(image_bgr: Picture, marks: Sequence[_Marks]) -> Picture:
    """A copy of the image with fill, outline and boxes."""
    scene = image_bgr.copy()
    if not marks:
        return scene
    height, width = scene.shape[:2]
    line = max(1, min(height, width) // 700)
    areas = sv.Detections(
        xyxy=np.tile(np.array([[0, 0, width, height]], dtype=np.float32), (len(marks), 1)),
        mask=np.stack([mark.mask for mark in marks]),
        class_id=np.array([mark.index for mark in marks]),
    )
    scene = sv.MaskAnnotator(_COLOURS, opacity=0.4).annotate(scene, areas)
    scene = sv.PolygonAnnotator(_COLOURS, thickness=line).annotate(scene, areas)
    framed = [(frame, mark.index) for mark in marks for frame in _frames(mark.boxes, width, height, 1 + line)]
    boxes = sv.Detections(
        xyxy=np.array([frame for frame, _ in framed], dtype=np.float32),
        class_id=np.array([index for _, index in framed]),
    )
    return sv.BoxAnnotator(_COLOURS, thickness=line).annotate(scene, boxes)


def _frames(boxes: Sequence[Box], width: int, height: int, away: int) -> list[Box]:
    """Corners (both inclusive) of frames `away` pixels outside the boxes, as far as the image goes.

    A frame inside another one would add clutter and no place to look at, so it is left out.
    """
    frames: list[Box] = []
    for x0, y0, x1, y1 in boxes[:_MOST_BOXES]:
        frame = (max(0, x0 - away), max(0, y0 - away), min(width, x1 + away) - 1, min(height, y1 + away) - 1)
        if not any(a <= frame[0] and b <= frame[1] and c >= frame[2] and d >= frame[3] for a, b, c, d in frames):
            frames.append(frame)
    return frames


def _draw_names(scene: Picture, marks: Sequence[_Marks], classes: Sequence[str]) -> Picture:
    """Writes each class's name once, near its largest part and, where there is room, beside every mask."""
    height, width = scene.shape[:2]
    padding = 3
    scale = 0.38 if min(height, width) < 512 else 0.5 * max(1.0, min(height, width) / 1024)
    taken = np.logical_or.reduce([mark.mask for mark in marks]) if marks else np.zeros((height, width), np.bool_)
    for mark in marks:
        name = _shorten(classes[mark.index], width - 2 * padding - 2, scale)
        (text_width, text_height), _ = cv2.getTextSize(name, _FONT, scale, 1)
        x, y = _free_place(taken, mark.boxes[0], text_width + 2 * padding, text_height + 2 * padding)
        spot = np.array([[x, y, x + text_width + 2 * padding, y + text_height + 2 * padding]], dtype=np.float32)
        taken[y : int(spot[0, 3]) + 1, x : int(spot[0, 2]) + 1] = True
        writer = sv.LabelAnnotator(
            _COLOURS,
            text_color=_ON_COLOUR,
            text_scale=scale,
            text_padding=padding,
            text_position=sv.Position.CENTER,
        )
        scene = writer.annotate(scene, sv.Detections(xyxy=spot, class_id=np.array([mark.index])), labels=[name])
    return scene


def _free_place(taken: BoolArray, box: Box, width: int, height: int) -> tuple[int, int]:
    """Top left corner (x, y) of a `width` x `height` label near `box` that covers as little of `taken` as possible."""
    x0, y0, x1, y1 = box
    gap = 4
    right, bottom = max(0, taken.shape[1] - width - 1), max(0, taken.shape[0] - height - 1)
    wanted = [
        *((x, y) for y in (y0 - height - gap, y1 + gap) for x in (x0 - 2, x1 - width + 2)),
        *((x, y) for x in (x0 - width - gap, x1 + gap) for y in (y0, y1 - height)),
        *((x, y) for y in (0, bottom) for x in (0, right)),
    ]
    places = [(min(max(x, 0), right), min(max(y, 0), bottom)) for x, y in wanted]
    return min(
        places, key=lambda place: int(taken[place[1] : place[1] + height + 1, place[0] : place[0] + width + 1].sum())
    )


def _shorten(text: str, width: int, scale: float, *, keep_end: bool = False) -> str:
    """`text`, or its beginning (or end) and an ellipsis, so that it is at most `width` pixels wide."""
    if _text_width(text, scale) <= width:
        return text
    for kept in range(len(text) - 1, 0, -1):
        shorter = "..." + text[-kept:] if keep_end else text[:kept] + "..."
        if _text_width(shorter, scale) <= width:
            return shorter
    return ""


def _text_width(text: str, scale: float) -> int:
    """Width of a line of text in pixels."""
    return cv2.getTextSize(text, _FONT, scale, 1)[0][0]


def overlay_tile(labelled: LabelledPicture, classes: Sequence[str], tile: int) -> Picture:
    """An image with its marks, fitted into a square: uint8 (tile, tile, 3) in BGR order.

    The marks are drawn after scaling: drawn before, a thin outline would fade with the image.

    Raises:
        ToolkitError: as `overlay_sheet`.
    """
    image = np.full((labelled.height, labelled.width, 3), _BLANK, dtype=np.uint8)
    if labelled.path is not None:
        image = read_image(labelled.path)
        _check_size(image, labelled)
    factor = tile / max(labelled.width, labelled.height)
    width, height = (max(1, round(side * factor)) for side in (labelled.width, labelled.height))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    scaled = np.asarray(cv2.resize(image, (width, height), interpolation=method), dtype=np.uint8)
    marks = [_resize(mark, width, height) for mark in _collect(labelled, classes)]
    scene = _draw_marks(scaled, marks)
    if len(marks) > 1:  # one class alone is named below the image
        scene = _draw_names(scene, marks, classes)
    square = np.full((tile, tile, 3), _BAR, dtype=np.uint8)
    top, left = (tile - height) // 2, (tile - width) // 2
    square[top : top + height, left : left + width] = scene
    return square


def _resize(mark: _Marks, width: int, height: int) -> _Marks:
    """The marks on an image of another size; a part that is smaller than a pixel there keeps a pixel."""
    old_height, old_width = mark.mask.shape
    cover = cv2.resize(mark.mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    x, y = width / old_width, height / old_height
    boxes = tuple(
        (math.floor(x0 * x), math.floor(y0 * y), math.ceil(x1 * x), math.ceil(y1 * y)) for x0, y0, x1, y1 in mark.boxes
    )
    return _Marks(mark.index, cover > 0, boxes)


def _check_size(image: Picture, labelled: LabelledPicture) -> None:
    """Raises ToolkitError where an image is not of the size that its labels are for."""
    if image.shape != (labelled.height, labelled.width, 3):
        height, width = image.shape[:2]
        problem = f"is {width}x{height} pixels, but its labels are for {labelled.width}x{labelled.height}"
        raise ToolkitError(labelled.path or labelled.key, problem, "label the image again, or restore the old one")


def _write_caption(strip: Picture, labelled: LabelledPicture, classes: Sequence[str]) -> None:
    """Writes the classes in an image, with their colours, and its key into the strip below its tile, in place."""
    found = [index for index, name in enumerate(classes) if any(name == part.label for part in labelled.instances)]
    x = 0
    for index in found:
        cv2.rectangle(strip, (x, 6), (x + 8, 14), _COLOURS.by_idx(index).as_bgr(), cv2.FILLED)
        x += 12
    names = ", ".join(classes[index] for index in found) or labelled.image_label
    width = strip.shape[1]
    _write(strip, _shorten(names, width - x, 0.42), (x + 2 * bool(x), 15), 0.42, _INK)
    _write(strip, _shorten(labelled.key, width, 0.36, keep_end=True), (0, 29), 0.36, _FAINT_INK)


def _write(picture: Picture, text: str, origin: tuple[int, int], scale: float, colour: tuple[int, int, int]) -> None:
    """One line of text from its baseline's left end, in place."""
    cv2.putText(picture, text, origin, _FONT, scale, colour, 1, cv2.LINE_AA)


def labelled_html(labelled: LabelledPicture) -> str:
    """An image with its defects marked, at most 512 pixels wide and high, and how much each class covers."""
    classes = sorted({instance.label for instance in labelled.instances})
    size = labelled.width * labelled.height
    rows = []
    for name in classes:
        areas = [instance.area for instance in labelled.instances if instance.label == name]
        rows.append([name, len(areas), sum(areas), f"{sum(areas) / size:.2%}"])
    picture, problems = _overlay_png(labelled, classes)
    subset = f", {labelled.subset}" if labelled.subset else ""
    return report_html(
        labelled.key,
        f"{labelled.width} x {labelled.height} pixels{subset}, {labelled.image_label}",
        ["class", "instances", "pixels", "of the image"],
        rows,
        lists={"Problems": problems},
        picture=picture,
    )


def _overlay_png(labelled: LabelledPicture, classes: Sequence[str]) -> tuple[bytes, tuple[str, ...]]:
    """The picture as PNG, and why it is a grey area if there should be an image in it."""
    small = labelled.shrunk(_SIDE)
    image: npt.NDArray[np.uint8] = np.full((small.height, small.width, 3), _BLANK, np.uint8)
    problems: tuple[str, ...] = ()
    if labelled.path is not None:
        try:
            whole = read_image(labelled.path)
            if whole.shape[:2] == (labelled.height, labelled.width):
                image = np.asarray(cv2.resize(whole, (small.width, small.height), interpolation=cv2.INTER_AREA))
            else:
                height, width = whole.shape[:2]
                problems = (f"{labelled.path}: is {width} x {height} pixels, its labels are for another size",)
        except ToolkitError as error:
            problems = (str(error),)
    return encode_png(draw_overlay(image, small, classes=classes)), problems
