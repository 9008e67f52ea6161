"""Tiles of an image: where they lie, what their keys are, and what of its labels lies in each."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from toolkit.aliases import JsonObject
from toolkit.dataset.samples import GOOD, class_of_image
from toolkit.errors import ToolkitError
from toolkit.geometry.instances import crop_to_bbox
from toolkit.geometry.labels import Instance, LabelledImage, Window

__all__ = [
    "Cut",
    "Tiles",
    "cut_labels",
    "image_of_tile",
    "is_cut",
    "plan_tiles",
    "tile_key",
    "tile_windows",
    "window_in",
]

_LEAST, _MOST = 32, 1 << 15
_MOST_OVERLAP = 0.9
_KEY = re.compile(r"(.+)@x(0|[1-9][0-9]*)y(0|[1-9][0-9]*)", re.DOTALL)


@dataclass(frozen=True)
class Tiles:
    """How images are cut.

    Attributes:
        side: width and height of a tile in pixels; that of the image where this is less.
        overlap: share of a side that neighbours have in common at least.
        background: of each train image at most so many tiles that show no object are written; None for all.
    """

    side: int
    overlap: float = 0.2
    background: int | None = None

    def check(self) -> None:
        """Refuse numbers that mean nothing.

        Raises:
            ToolkitError: one is out of range.
        """
        if not _LEAST <= self.side <= _MOST:
            raise ToolkitError("--tiles", f"{self.side} is no side of a tile", f"give {_LEAST} to {_MOST} pixels")
        if not 0 <= self.overlap <= _MOST_OVERLAP:
            problem = f"{self.overlap:g} is no share of a tile that its neighbours have too"
            raise ToolkitError("--overlap", problem, f"give a number from 0 to {_MOST_OVERLAP}")
        if self.background is not None and self.background < 0:
            raise ToolkitError("--tiles-background", f"{self.background} is no number of tiles", "give 0 or more")

    @property
    def shared(self) -> int:
        """Pixels that neighbours have in common at least."""
        return int(self.side * self.overlap + 0.5)

    def described(self) -> JsonObject:
        """As it stands in a manifest."""
        told: JsonObject = {"side": self.side, "overlap": self.overlap}
        return told if self.background is None else {**told, "background": self.background}


def tile_key(key: str, window: Window) -> str:
    """Key of the tile of an image that begins at a window's corner: "screw/test/dent/000@x512y0"."""
    return f"{key}@x{window[0]}y{window[1]}"


def image_of_tile(key: str) -> tuple[str, tuple[int, int]] | None:
    """Key of the image that a tile is of, and its corner (x, y); None where a key is that of no tile."""
    found = _KEY.fullmatch(key)
    return None if found is None else (found[1], (int(found[2]), int(found[3])))


@lru_cache(maxsize=64)
def tile_windows(width: int, height: int, tiles: Tiles) -> tuple[Window, ...]:
    """The tiles of an image, row by row: together they cover each pixel, and none leaves the image.

    The last of a row or column is shifted inward, so that all have one size.
    """
    rows, columns = _spans(height, tiles), _spans(width, tiles)
    return tuple((x0, y0, x1, y1) for y0, y1 in rows for x0, x1 in columns)


def _spans(length: int, tiles: Tiles) -> list[tuple[int, int]]:
    if length <= tiles.side:
        return [(0, length)]
    step, last = tiles.side - tiles.shared, length - tiles.side
    return [(start, start + tiles.side) for start in (*range(0, last, step), last)]


def window_in(key: str, width: int, height: int, tiles: Tiles) -> Window | None:
    """The window of the tile of this key in its image; None where that has no such tile."""
    found = image_of_tile(key)
    windows = tile_windows(width, height, tiles)
    return None if found is None else next((one for one in windows if one[:2] == found[1]), None)


def is_cut(window: Window, width: int, height: int) -> bool:
    """Whether a tile is a part of its image, and not all of it."""
    return window != (0, 0, width, height)


@dataclass(frozen=True, eq=False)
class Cut:
    """What of an image's labels lies in a tile.

    Attributes:
        window: where the tile lies in its image.
        image: the tile, its instances in its own coordinates.
        whole: numbers of the image's instances that lie in it entirely.
        partial: numbers of those of which it holds a part.
        slivers: of how many boxes it holds less than half a pixel, which is not written.
    """

    window: Window
    image: LabelledImage
    whole: tuple[int, ...]
    partial: tuple[int, ...]
    slivers: int


def cut_labels(image: LabelledImage, window: Window, near: Iterable[int] | None = None) -> Cut:
    """The labels of a tile: of each instance the pixels, or the part of the box, in its window.

    An instance stays one, also where its part in the tile falls into several. The class of the tile is that of what it
    shows. Its file is a PNG, unless the tile is the whole image.

    Args:
        image: what is cut.
        window: where.
        near: numbers of the instances that may reach into the tile, in their order; None for all.
    """
    pieces, whole, partial, slivers = list[Instance](), list[int](), list[int](), 0
    for number in range(len(image.instances)) if near is None else near:
        one = image.instances[number]
        piece = _piece(one, window)
        if piece is not None:
            pieces.append(piece)
            (whole if _lies_in(one, window) else partial).append(number)
        elif one.mask is None and _touches(one, window):
            slivers += 1
    labels = {one.label for one in pieces}
    label = image.image_label if not labels or image.image_label in labels else class_of_image(labels)
    good = image.image_label if image.kind == "good" else GOOD
    path = image.path
    if path is not None and is_cut(window, image.width, image.height):
        path = Path(f"{path}.png")
    tile = replace(
        image,
        key=tile_key(image.key, window),
        path=path,
        width=window[2] - window[0],
        height=window[3] - window[1],
        instances=tuple(pieces),
        image_label=label if labels else good,
        kind=image.kind if labels else "good",
        left_out=(),
    )
    return Cut(window, tile, tuple(whole), tuple(partial), slivers)


def _lies_in(one: Instance, window: Window) -> bool:
    x0, y0, x1, y1 = one.bbox
    return x0 >= window[0] and y0 >= window[1] and x1 <= window[2] and y1 <= window[3]


def _touches(one: Instance, window: Window) -> bool:
    x0, y0, x1, y1 = one.bbox
    return x0 < window[2] and x1 > window[0] and y0 < window[3] and y1 > window[1]


def _piece(one: Instance, window: Window) -> Instance | None:
    """The part of an instance that lies in a tile, in its coordinates; None where no pixel of it does."""
    left, top, right, bottom = window
    x0, y0, x1, y1 = one.window
    a0, b0, a1, b1 = max(x0, left), max(y0, top), min(x1, right), min(y1, bottom)
    if a0 >= a1 or b0 >= b1:
        return None
    if one.mask is None:
        moved = (one.bbox[0] - left, one.bbox[1] - top, one.bbox[2] - left, one.bbox[3] - top)
        return Instance.of_box(one.label, moved, (right - left, bottom - top), one.attributes)
    if (a0, b0, a1, b1) == (x0, y0, x1, y1):
        return replace(one, bbox=(x0 - left, y0 - top, x1 - left, y1 - top))
    piece = crop_to_bbox(np.ascontiguousarray(one.mask[b0 - y0 : b1 - y0, a0 - x0 : a1 - x0]), one.label, (a0, b0))
    if piece is None:
        return None
    px0, py0, px1, py1 = piece.window
    return replace(piece, bbox=(px0 - left, py0 - top, px1 - left, py1 - top), attributes=one.attributes)


def plan_tiles(image: LabelledImage, tiles: Tiles, every: LabelledImage | None = None) -> tuple[list[Cut], int, int]:
    """The tiles of an image that are written, row by row.

    With them how many that show no object are left out, since no more are wanted; and how many are that show an object
    of `every`, which has those too that are not asked for, and none of `image`: they are no background.

    Where a train image is to have some of these only, they are those whose keys have the lowest SHA-256: the same
    whatever else there is.
    """
    boxes = np.array([one.window for one in image.instances], np.int64).reshape(-1, 4)
    cuts = []
    for window in tile_windows(image.width, image.height, tiles):
        x0, y0, x1, y1 = window
        # A pixel beyond, since boxes that are no whole pixels may reach as far.
        near = (boxes[:, 0] <= x1) & (boxes[:, 1] <= y1) & (boxes[:, 2] >= x0) & (boxes[:, 3] >= y0)
        cuts.append(cut_labels(image, window, np.flatnonzero(near).tolist()))
    shown = cuts
    if every is not None:
        shown = [cut for cut in cuts if cut.image.instances or not cut_labels(every, cut.window).image.instances]
    empty = [cut.image.key for cut in shown if not cut.image.instances]
    others = len(cuts) - len(shown)
    if tiles.background is None or image.subset != "train" or len(empty) <= tiles.background:
        return shown, 0, others
    drawn = {*sorted(empty, key=lambda key: hashlib.sha256(key.encode()).digest())[: tiles.background]}
    return [one for one in shown if one.image.instances or one.image.key in drawn], len(empty) - len(drawn), others
