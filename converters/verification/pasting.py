"""Tiles put back in their places: whether together they are the image that they were cut from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from converters.formats.base import Holds
from converters.formats.format import Format
from converters.formats.label_tree import LabelRecord, LabelTree
from converters.protocols import Member
from converters.verification.comparison import drawn_as_masks, masked
from converters.verification.photos import Photo, check_photo
from converters.writing.tiling import tile_pixels
from toolkit.dataset.samples import ClassScheme
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import LabelledImage, Window, paint
from toolkit.geometry.tiles import Tiles, cut_labels, image_of_tile, is_cut, tile_windows, window_in
from toolkit.imaging.copies import upright_pixels

__all__ = ["Pasted", "TilePhotos", "missing_tiles", "paste_back", "tile_faults"]

_SHOWN = 3


class Pasted(NamedTuple):
    """What tiles put together are against the image's own masks: IoU, pixels that they lack, and have too many."""

    iou: float
    lost: int
    gained: int


def paste_back(
    records: Sequence[LabelRecord], truth: LabelledImage, tiles: Tiles, found: Format, holds: Holds
) -> Pasted | None:
    """Put what readers make of the tiles of an image where they were cut, and compare it with the image's masks.

    Tiles that are not there count as empty. Where tiles overlap each of them must be right. Of several readings the
    worst counts.

    Args:
        records: the tiles that a tree has of the image.
        truth: what its masks mark.
        tiles: how it was cut.
        found, holds: the format of the tree, and what its labels consist of.

    Returns:
        None where there are no pixels to compare.

    Raises:
        ToolkitError: a label cannot be read.
    """
    if holds != "pixels":
        return None
    scheme: ClassScheme = "defect" if found.tells_classes else "binary"
    rectangles = drawn_as_masks(found, truth) > 0
    truth = truth if rectangles else masked(truth)
    ids: dict[str, int] = {}
    canvas = _painted(truth, ids)
    lost, gained = canvas > 0, np.zeros(canvas.shape, np.bool_)
    wrong = np.zeros(canvas.shape, np.bool_)
    for record in records:
        window = window_in(record.sample.key, truth.width, truth.height, tiles)
        if window is None:
            continue  # which the comparison of the tile has said
        place = np.s_[window[1] : window[3], window[0] : window[2]]
        lost[place] = False  # from here on `wrong` tells what is lost there
        for reading in record.readings(scheme, found.roundings, sized=False):
            shown = _painted(reading if rectangles else masked(reading), ids)
            if shown.shape != canvas[place].shape:
                continue
            wrong[place] |= (shown != canvas[place]) & (canvas[place] > 0)
            gained[place] |= (shown > 0) & (canvas[place] == 0)
    lost |= wrong
    total, missed, more = (int(np.count_nonzero(one)) for one in (canvas, lost, gained))
    return Pasted((total - missed) / (total + more), missed, more) if total + more else None


def _painted(image: LabelledImage, ids: dict[str, int]) -> npt.NDArray[np.uint16]:
    """A map of the classes of an image (height, width), numbered from 1 as they come."""
    numbers = [ids.setdefault(one.label, len(ids) + 1) for one in image.instances]
    return paint(image.instances, numbers, (0, 0, image.width, image.height), np.uint16)


def missing_tiles(records: Sequence[LabelRecord], truth: LabelledImage, tiles: Tiles, *, selected: bool) -> list[str]:
    """What is wrong with the tiles that a tree has of an image: some are not there, or are none of it.

    Where tiles without an object may be left out, those that show one may not. Some objects alone were asked for where
    it is `selected`: then tiles that show others are no background.
    """
    key = truth.key
    windows = tile_windows(truth.width, truth.height, tiles)
    there = [window_in(record.sample.key, truth.width, truth.height, tiles) for record in records]
    strange = [one.sample.key for one, window in zip(records, there, strict=True) if window is None]
    cuts = [cut_labels(truth, window).image for window in windows if window not in there]
    lacks = [cut.key for cut in cuts if cut.instances or (tiles.background is None and not selected)]
    found = [f"{one}: is no tile of its image of {truth.width} x {truth.height} pixels" for one in strange]
    if lacks:
        shown = ", ".join(lacks[:_SHOWN]) + (", ..." if len(lacks) > _SHOWN else "")
        found.append(f"{key}: {len(lacks)} of its {len(windows)} tiles are missing: {shown}")
    return found


def tile_faults(tree: LabelTree) -> list[str]:
    """What is wrong with what a manifest says of tiles, by itself and against the tree."""
    manifest = tree.manifest or {}
    told = manifest.get("tiles")
    if told is None:
        return [f"{tree.root / 'manifest.json'}: says how images were cut, and counts no tiles"]
    path, parts, subsets = tree.root / "manifest.json", told["parts"], manifest["subsets"].values()
    keys = tree.records.keys()
    strange = [key for key in keys if image_of_tile(key) is None]
    faults = []
    if strange:
        faults.append(f"{tree.root}: {len(strange)} image(s) are not named as tiles: {', '.join(strange[:_SHOWN])}")
    sums = {name: sum(counts[name] for counts in subsets) for name in ("images", "background", "instances")}
    if parts["found"] != parts["whole"] + parts["cut"]:
        faults.append(f"{path}: parts found are not those that are whole in a tile and those that are cut")
    for name, said in (("images", told["tiles"]), ("background", told["background"]), ("instances", parts["written"])):
        if said != sums[name]:
            faults.append(f"{path}: says {said} of its tiles' {name}, and {sums[name]} of its subsets'")
    return faults


class TilePhotos:
    """Holds the tiles of a photo against it; it is read once."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._pixels: npt.NDArray[Any] | None = None

    def check(self, record: LabelRecord, window: Window, size: tuple[int, int]) -> Photo:
        """What was found of the file of a tile.

        Args:
            record: the tile.
            window: where it lies in its image.
            size: width and height of that.
        """
        if not is_cut(window, *size):
            return check_photo(record, self._member)
        path, source = record.sample.image, self._member.sample.image
        if not path.name or not path.is_file():
            return Photo(path, True, False)
        if not source.is_file():
            return check_photo(record, None)
        try:
            return Photo(path, False, True, self._fault(path, source, window))
        except ToolkitError as error:
            return Photo(path, False, True, error.with_flags)

    def _fault(self, path: Path, source: Path, window: Window) -> str:
        """How the file of a tile differs from its part of the photo; "" if it does not.

        Raises:
            ToolkitError: it cannot be read.
        """
        if self._pixels is None:
            self._pixels = upright_pixels(source)
        wanted, there = tile_pixels(self._pixels, window), upright_pixels(path)
        if there.dtype == wanted.dtype and np.array_equal(there, wanted):
            return ""
        return f"{path}: is not the part of its source at x {window[0]}, y {window[1]}: other pixels than {source}"
