"""Squares of images: where crops lie that have a class, training crops, tiles to predict, and what they say together.

A crop has the class of its image if it holds at least half of what a crop of its size can hold of one defect; it is
good if it holds none of any; what is in between is not used. Where crops are turned afterwards, a defect counts as far
as it lies in the square that stays in view.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from converters.formats.base import Settings
from converters.sources import Member, Source
from finetune.classification.config import Pool, TilesConfig
from finetune.classification.views.framing import frame, tile_windows
from finetune.engine.datasets import ImageDataset, SizedDataset, Transform
from finetune.engine.devices import mixed_seed
from finetune.engine.splits import ImageRecord
from toolkit.dataset.samples import GOOD
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import Instance, LabelledImage, Window
from toolkit.imaging.images import read_header, read_image

__all__ = ["CropDataset", "CropPlaces", "TileDataset", "crop_places", "find_crop_places", "pool_tiles"]

_STEPS = 8  # places of a crop in its own side
_HELD = 0.5  # share of what a crop can hold of a defect from which on it shows it
_MOST_KEPT = 1 << 30  # bytes of decoded images that are kept in memory
Places = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class CropPlaces:
    """Where in an image crops lie that have a class.

    Attributes:
        side: of the crops, in pixels.
        defects: for each defect int32 (N, 2), the left upper corners (x, y) of crops that show it.
        free: int32 (N, 2), those of crops that show nothing of any.
    """

    side: int
    defects: tuple[Places, ...]
    free: Places


def crop_places(image: LabelledImage, side: int, rotation: float = 0.0) -> CropPlaces:
    """Where crops of an image lie that have a class.

    Args:
        image: with its defects.
        side: of the crops in pixels; the shorter side of an image that is smaller.
        rotation: by which they are turned afterwards at most, in degrees.
    """
    side = min(side, image.width, image.height)
    angle = math.radians(min(rotation, 45.0))
    margin = math.ceil(side * (1 - 1 / (math.cos(angle) + math.sin(angle))) / 2)
    columns, rows = (_grid(length - side, max(1, side // _STEPS)) for length in (image.width, image.height))
    touched = np.zeros((len(rows), len(columns)), np.bool_)
    defects = []
    for instance in image.instances:
        held = _pixels_held(instance, columns, rows, side)
        touched |= held > 0
        inner = _pixels_held(instance, columns + margin, rows + margin, side - 2 * margin)
        held = inner if inner.any() else held  # of a defect in the corner of an image all that there is
        defects.append(_corners(held >= max(1.0, _HELD * held.max()), columns, rows))
    return CropPlaces(side, tuple(places for places in defects if len(places)), _corners(~touched, columns, rows))


def find_crop_places(
    examples: Sequence[ImageRecord], side: int, source: Source | None, rotation: float = 0.0
) -> dict[str, CropPlaces]:
    """Of each image with a defect, by its key, where its crops may lie; every label is read, once.

    Args:
        examples: the images.
        side, rotation: as for `crop_places`.
        source: of their labels.

    Raises:
        ToolkitError: labels cannot be read, or do not say where the defect of an image is.
    """
    members: Mapping[str, Member] = {} if source is None else {one.sample.key: one for one in source.members}
    found = {}
    for example in examples:
        if example.label == GOOD:
            continue
        member = members.get(example.key)
        told = () if member is None else member.read(Settings(classes=())).image
        places = crop_places(told, side, rotation) if isinstance(told, LabelledImage) else None
        if places is None or not places.defects:
            raise ToolkitError(
                example.image,
                "has no mask or box that says where its defect is, and crops are labelled by it",
                "use --set tiles.side=0, or name data with masks or boxes",
            )
        found[example.key] = places
    return found


class CropDataset(ImageDataset):
    """Crops with the index of their class, some of each image; items as those of `ImageDataset`.

    Where a crop lies depends on the seed, the epoch and its number alone.
    """

    def __init__(
        self,
        examples: Sequence[ImageRecord],
        classes: Sequence[str],
        size: int,
        transform: Transform,
        *,
        tiles: TilesConfig,
        places: Mapping[str, CropPlaces],
        seed: int = 0,
        background: bool = True,
        fixed: bool = False,
        depth: int | None = None,
    ) -> None:
        """Decide of each crop what it is to show.

        Args:
            examples, classes, size, transform, seed, depth: as for `ImageDataset`.
            tiles: side and number of crops, and the share that shows no defect.
            places: of each image with a defect, by its key.
            background: whether crops of such an image may be good ones, where good is a class.
            fixed: draw the same crops in each epoch.
        """
        super().__init__(examples, classes, size, transform, seed=seed, depth=depth)
        self._places, self._side, self._fixed = places, tiles.side, fixed
        free = round(tiles.per_image * tiles.background) if background and GOOD in classes else 0
        self.items = [
            (index, number >= free or example.label == GOOD or not len(places[example.key].free))
            for index, example in enumerate(self.examples)
            for number in range(tiles.per_image)
        ]
        self.labels = [self.labels[index] if own else classes.index(GOOD) for index, own in self.items]
        self._pictures: dict[int, npt.NDArray[np.uint8]] = {}
        self._room = _MOST_KEPT

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, place: int | tuple[int, int]) -> dict[str, Any]:
        epoch, number = place if isinstance(place, tuple) else (0, place)
        index, own = self.items[number]
        picture = self._picture(index)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(mixed_seed(self._seed, 0 if self._fixed else epoch, number))
            x0, y0, x1, y1 = self._window(self.examples[index], own, picture.shape)
            view = frame(picture[y0:y1, x0:x1], (self._size, self._size))
            image = self._transform(torch.from_numpy(view).permute(2, 0, 1).contiguous())
        return {"image": image, "label": self.labels[number], "index": number}

    def _window(self, example: ImageRecord, own: bool, shape: tuple[int, ...]) -> Window:
        """A crop that shows what it is to show, drawn at random."""
        side = min(self._side, *shape[:2])
        if example.label == GOOD:
            y, x = (int(torch.randint(length - side + 1, ())) for length in shape[:2])
            return x, y, x + side, y + side
        places = self._places[example.key]
        drawn = places.defects[int(torch.randint(len(places.defects), ()))] if own else places.free
        x, y = drawn[int(torch.randint(len(drawn), ()))].tolist()
        return x, y, x + places.side, y + places.side

    def _picture(self, index: int) -> npt.NDArray[np.uint8]:
        if index in self._pictures:
            return self._pictures[index]
        picture = read_image(self.examples[index].image, self._depth)
        if picture.nbytes <= self._room:
            self._pictures[index] = picture
            self._room -= picture.nbytes
        return picture


class TileDataset(SizedDataset):
    """All tiles of images, in order. Items: {"image": float32 (3, size, size), "index": int, the tile's number}."""

    def __init__(
        self, paths: Sequence[Path], tiles: TilesConfig, size: int, transform: Transform, *, depth: int | None = None
    ) -> None:
        """Look up the sizes of the images.

        Raises:
            ToolkitError: one cannot be read.
        """
        self.paths, self._size, self._transform, self._depth = list(paths), size, transform, depth
        self.items: list[tuple[int, Window]] = []
        for index, path in enumerate(self.paths):
            header = read_header(path)
            self.items += [(index, one) for one in tile_windows(header.width, header.height, tiles.side, tiles.overlap)]
        self._last: tuple[int, npt.NDArray[np.uint8]] | None = None

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, place: int | tuple[int, int]) -> dict[str, Any]:
        number = place[1] if isinstance(place, tuple) else place
        index, (x0, y0, x1, y1) = self.items[number]
        if self._last is None or self._last[0] != index:
            self._last = index, read_image(self.paths[index], self._depth)
        view = frame(self._last[1][y0:y1, x0:x1], (self._size, self._size))
        return {"image": self._transform(torch.from_numpy(view).permute(2, 0, 1).contiguous()), "index": number}


def pool_tiles(chances: npt.NDArray[np.float64], pool: Pool, good: int | None) -> npt.NDArray[np.float64]:
    """Probabilities of an image from those of its tiles.

    Args:
        chances: float64 (T, K), of each tile; rows sum to 1.
        pool: "max" takes the tile that is least likely good, or the surest where no class is good; "mean" the mean of
            all; "both" the mean of these two.
        good: index of the class of good images; None where there is none.

    Returns:
        float64 (K,), which sums to 1.
    """
    told = chances.max(axis=1) if good is None else -chances[:, good]
    rules: dict[str, Callable[[], npt.NDArray[np.float64]]] = {
        "max": lambda: chances[int(told.argmax())],
        "mean": lambda: chances.mean(axis=0),
        "both": lambda: (chances[int(told.argmax())] + chances.mean(axis=0)) / 2,
    }
    return rules[pool]()


def _grid(last: int, step: int) -> npt.NDArray[np.int64]:
    """0, step, ..., and `last`."""
    return np.unique(np.append(np.arange(0, last + 1, step), last))


def _pixels_held(
    instance: Instance, columns: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], side: int
) -> npt.NDArray[np.float64]:
    """How many pixels of a defect lie in the crop at each place: (rows, columns)."""
    x0, y0, x1, y1 = instance.window
    sums = cv2.integral(instance.region.astype(np.uint8))
    left, right = (np.clip(columns + more - x0, 0, x1 - x0) for more in (0, side))
    top, bottom = (np.clip(rows + more - y0, 0, y1 - y0) for more in (0, side))
    held: npt.NDArray[np.float64] = (
        sums[np.ix_(bottom, right)] - sums[np.ix_(top, right)] - sums[np.ix_(bottom, left)] + sums[np.ix_(top, left)]
    ).astype(np.float64)
    return held


def _corners(kept: npt.NDArray[np.bool_], columns: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> Places:
    y, x = np.nonzero(kept)
    return np.stack([columns[x], rows[y]], axis=1).astype(np.int32)
