"""Tiles: what is asked for, the photos that are cut, what is counted, and an image of a source as one of its tiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.formats.base import Labelled, Settings
from converters.formats.registry import find_format
from converters.merging import parts_of
from converters.protocols import Member, Source
from converters.writing.conversion import Rendered
from converters.writing.selection import Selected
from toolkit.dataset.samples import Sample
from toolkit.errors import Problem, ToolkitError
from toolkit.geometry.labels import LabelledImage, Window
from toolkit.geometry.tiles import Cut, Tiles, cut_labels, is_cut, window_in
from toolkit.imaging.copies import upright_pixels
from toolkit.imaging.images import encode_png

__all__ = [
    "NO_TILE",
    "TileMember",
    "as_tiles",
    "check_tiled",
    "cut_photos",
    "head_of",
    "left_out_of_tile",
    "tile_pixels",
    "tiles_note",
]

NO_TILE = "none of its tiles shows an object, and --tiles-background leaves such out"
_SLIVER = "less than half a pixel of its box lies in this tile"


def as_tiles(told: int | Tiles | None, images: str) -> Tiles | None:
    """How images are to be cut, by the side of a tile or in full; None where they are not.

    Raises:
        ToolkitError: the numbers mean nothing, or there are to be no images.
    """
    tiles = Tiles(told) if isinstance(told, int) else told
    if tiles is None:
        return None
    tiles.check()
    if images == "none":
        raise ToolkitError("--images", "none leaves the labels of tiles without the tiles", "leave it out")
    return tiles


def check_tiled(formats: Sequence[str], source: Source) -> None:
    """Refuse formats and sources of which a tile would say what nobody knows.

    Raises:
        ToolkitError: a format names a class for the whole image, or a source has no labels that can be cut.
    """
    for name in formats:
        if find_format(name).holds == "classes":
            problem = f"cuts images, and {name} names a class for a whole one: a sliver at an edge would name a tile"
            raise ToolkitError("--tiles", problem, f"leave {name} out, or write it without --tiles")
    for part in parts_of(source):
        if part.holds in ("classes", "oriented boxes"):
            told = "classes of whole images" if part.holds == "classes" else "oriented boxes, of which a part is none"
            raise ToolkitError(part.root, f"its labels are {told}: they cannot be cut", "leave out --tiles")


def tile_pixels(pixels: npt.NDArray[Any], window: Window) -> npt.NDArray[Any]:
    """The part of an image (H, W, ...) in a window."""
    x0, y0, x1, y1 = window
    return np.ascontiguousarray(pixels[y0:y1, x0:x1])


def cut_photos(image: LabelledImage, cuts: Sequence[Cut]) -> list[bytes]:
    """The tiles of a photo, each a PNG; b"" for one that is the whole image, whose file stays as it is.

    Raises:
        ToolkitError: its file is not there, cannot be read, or is of another size than its labels.
    """
    if image.path is None or not image.path.is_file():
        raise ToolkitError(image.path or image.key, "there is no image file to cut into tiles", "put it there")
    windows = [cut.window for cut in cuts]
    if not any(is_cut(window, image.width, image.height) for window in windows):
        return [b""] * len(cuts)
    pixels = upright_pixels(image.path)
    if pixels.shape[:2] != (image.height, image.width):
        problem = f"is {pixels.shape[1]} x {pixels.shape[0]} pixels, its labels are for {image.width} x {image.height}"
        raise ToolkitError(image.path, problem, "put the right image there")
    return [encode_png(tile_pixels(pixels, window)) for window in windows]


def head_of(sample: Sample, subset: str, selected: Selected, cuts: Sequence[Cut], lacks: tuple[int, int]) -> Rendered:
    """What is said of an image whose tiles follow: what of it is left out, and what is counted of it.

    `lacks`: tiles that show no object, and those that show one that is not asked for, which are not written.
    """
    labelled = selected.labelled
    whole = {number for cut in cuts for number in cut.whole}
    uncut = len(cuts) == 1 and not is_cut(cuts[0].window, labelled.image.width, labelled.image.height)
    counts = {
        "images": 1,
        "uncut": int(uncut),
        "left_out": lacks[0],
        "not_asked_for": lacks[1],
        "found": len(labelled.image.instances),
        "whole": len(whole),
    }
    return Rendered(
        sample,
        subset,
        (),
        (),
        len(labelled.too_small) + len(selected.left_out) + len(labelled.image.left_out),
        labelled.too_small,
        turned=labelled.turned,
        inverted=labelled.inverted,
        both_ways=labelled.both_ways,
        left_out=labelled.image.left_out,
        not_asked_for=selected.left_out,
        excluded="" if cuts else NO_TILE,
        tiled={f"tiles.{name}": count for name, count in counts.items()},
    )


def left_out_of_tile(cut: Cut) -> tuple[tuple[str, int], ...]:
    """Why parts of an image's boxes are not written in a tile, and their areas."""
    return ((_SLIVER, 0),) * cut.slivers


def tiles_note(manifests: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What to know of tiles: how many there are, and of how many parts no tile shows the whole."""
    told = next((one["tiles"] for one in manifests.values() if one.get("tiles")), None)
    if told is None:
        return
    parts = told["parts"]
    yield f"{told['images']} image(s) became {told['tiles']} tiles, {told['background']} of them without an object"
    if told["left_out"]:
        yield f"{told['left_out']} tile(s) without an object are left out, as --tiles-background says"
    if told.get("not_asked_for"):
        yield f"{told['not_asked_for']} tile(s) are left out, and no background: none of their objects is asked for"
    if parts["cut"]:
        yield f"{parts['cut']} of {parts['found']} object(s) are whole in no tile: their parts are labelled in several"


@dataclass(frozen=True, slots=True)
class TileMember:
    """An image of a source as one of its tiles: it can be read as any other image."""

    member: Member
    window: Window
    sample: Sample

    @classmethod
    def of(cls, member: Member, key: str, size: tuple[int, int], tiles: Tiles | None) -> TileMember | None:
        """The tile of this key; None where an image of `size` (width, height) has none such."""
        window = None if tiles is None else window_in(key, *size, tiles)
        return None if window is None else cls(member, window, replace(member.sample, key=key))

    @property
    def missing(self) -> Problem | None:
        """As of the image."""
        return self.member.missing

    def read(self, settings: Settings, subset: str = "") -> Labelled:
        """The tile and its instances.

        Raises:
            ToolkitError: as of the image.
        """
        labelled = self.member.read(settings, subset)
        return replace(labelled, image=cut_labels(labelled.image, self.window).image)

    def inspect(self, settings: Settings) -> tuple[Problem, ...]:
        """As of the image."""
        return self.member.inspect(settings)

    def label_digest(self) -> str:
        """As of the image."""
        return self.member.label_digest()

    def marked(self) -> npt.NDArray[np.bool_] | None:
        """What is marked in the tile.

        Raises:
            ToolkitError: as of the image.
        """
        marked = self.member.marked()
        return None if marked is None else tile_pixels(marked, self.window)
