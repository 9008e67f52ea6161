"""What SAM learns from: images with instances, their masks at low resolution, and prompts.

Prompts depend on the seed, the epoch and the image alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from segment_anything.utils.transforms import ResizeLongestSide
from torch.utils.data import Dataset
from torchvision.transforms import v2

from converters.formats.base import Settings
from converters.sources import SourceLike, open_source
from finetune.engine.devices import mixed_seed
from finetune.engine.splits import ImageRecord, ImageRecords
from finetune.sam.config import SamConfig
from finetune.sam.embeddings import EmbeddingCache, entry_name, read_padded
from finetune.sam.prompts import deepest_pixel, jittered_box, point_inside
from toolkit.errors import BadInputError, ToolkitError
from toolkit.geometry.dihedral import turned_labels
from toolkit.geometry.instances import parse_grouping
from toolkit.geometry.labels import Instance, LabelledImage

__all__ = [
    "MOST_KEPT",
    "PromptedImages",
    "Task",
    "TrainValSplit",
    "choose_images",
    "low_resolution",
    "read_instances",
    "scaled_size",
]

Bools = npt.NDArray[np.bool_]
MOST_KEPT = 2 << 30
"""Bytes of embeddings that are kept in memory."""


@dataclass(frozen=True, eq=False)
class TrainValSplit:
    """Images: to train on, to choose the best epoch by, and to test on.

    Attributes:
        train, val, test: labelled images; those of train and val all show instances.
        how: where `val` comes from, in words.
        notes: what was left out of them.
    """

    train: list[LabelledImage]
    val: list[LabelledImage]
    test: list[LabelledImage]
    how: str
    notes: tuple[str, ...] = ()


def read_instances(
    examples: Sequence[ImageRecord], data: SourceLike, *, instances: str = "components", min_area: int = 0
) -> list[LabelledImage]:
    """The labels of images, in their order, with their files and subsets. Objects with a box and no mask are left out.

    Args:
        examples: of `data`.
        data: dataset root, category folder or label tree.
        instances: which components of a mask make an instance; a label tree's own stand as they are.
        min_area: instances of fewer pixels are left out.

    Raises:
        ToolkitError: labels are faulty, or say nothing of pixels.
    """
    return [_masked(image) for image in _read_labels(examples, data, instances, min_area)]


def _masked(image: LabelledImage) -> LabelledImage:
    return replace(image, instances=tuple(one for one in image.instances if one.mask is not None))


def _read_labels(
    examples: Sequence[ImageRecord], data: SourceLike, instances: str, min_area: int
) -> list[LabelledImage]:
    """As `read_instances`, with all objects."""
    source = open_source(data)
    if source.holds != "pixels":
        remedy = "name a tree of masks or polygons, or the dataset"
        raise ToolkitError(source.root, f"holds {source.holds} without masks", remedy)
    settings = Settings(tuple(source.classes()), grouping=parse_grouping(instances), min_area=max(1, min_area))
    members = {member.sample.key: member for member in source.members}
    unmasked = [member.missing for example in examples if (member := members[example.key]).missing is not None]
    if unmasked:
        raise BadInputError([problem for problem in unmasked if problem is not None])
    labels = ((example, members[example.key].read(settings).image) for example in examples)
    return [replace(image, path=example.image, subset=example.subset) for example, image in labels]


def choose_images(examples: ImageRecords, data: Path, config: SamConfig) -> TrainValSplit:
    """Images of each subset. What the best epoch is chosen by is never a test image.

    Raises:
        ToolkitError: as `read_instances`, or there are none to train on, or too few to hold some out.
    """
    source = examples.source or data
    labelled = _read_labels(examples.examples, source, config.instances, config.min_area)
    images = [_masked(image) for image in labelled]
    boxes = sum(len(image.instances) for image in labelled) - sum(len(image.instances) for image in images)
    notes = (f"{boxes} object(s) with a box and no mask are left out",) if boxes else ()
    shown = [image for image in images if image.instances]
    train, val = ([one for one in shown if one.subset == name] for name in ("train", "val"))
    if not shown:
        raise ToolkitError(examples.root, "holds no instance: there is nothing to segment", "name data with masks")
    how = "the val subset"
    if train and not val:
        if len(train) < 2:
            raise ToolkitError(
                examples.root, "has one training image with instances, and none in val", "add images to train or val"
            )
        held = _held_out(train, config.hold_out, config.seed)
        train, val = [one for one in train if one.key not in held], [one for one in train if one.key in held]
        how = f"{len(val)} images of train, held out"
    if not train:
        raise ToolkitError(examples.root, "has no training image with instances", "use --set split.strategy=stratified")
    return TrainValSplit(train, val, [one for one in images if one.subset == "test"], how, notes)


def _held_out(images: Sequence[LabelledImage], share: float, seed: int) -> set[str]:
    """Keys of a share of the images, at least one, spread over the classes."""
    order = np.random.default_rng((seed, zlib.crc32(b"sam"))).permutation(len(images))
    by_class: dict[str, list[str]] = {}
    for index in order:
        by_class.setdefault(images[index].image_label, []).append(images[index].key)
    # Turn by turn, one of each class.
    longest = max(len(keys) for keys in by_class.values())
    turns = [keys[place] for place in range(longest) for _, keys in sorted(by_class.items()) if place < len(keys)]
    return set(turns[: min(max(1, round(share * len(images))), len(images) - 1)])


def scaled_size(height: int, width: int, image_size: int) -> tuple[int, int]:
    """Height and width of an image whose longer side is scaled to `image_size`, as Meta rounds them."""
    found: tuple[int, int] = ResizeLongestSide.get_preprocess_shape(height, width, image_size)
    return found


def low_resolution(mask: Bools, image_size: int) -> Bools:
    """A mask on the grid of the logits: bool (L, L), L = image_size / 4, padded like the image.

    As many cells as the mask has area, those it covers most, and all that are covered as much as the last of them: no
    thin line and no speck vanishes, as they do where a cell has to be covered by half.
    """
    height, width = scaled_size(mask.shape[0], mask.shape[1], image_size)
    side = image_size // 4
    covered = np.zeros((image_size, image_size), np.float32)
    method = cv2.INTER_AREA if height < mask.shape[0] else cv2.INTER_LINEAR
    covered[:height, :width] = cv2.resize(mask.astype(np.float32), (width, height), interpolation=method)
    cells = covered.reshape(side, 4, side, 4).mean(axis=(1, 3))
    number = min(max(1, round(float(cells.sum()))), cells.size)
    least = np.partition(cells.ravel(), -number)[-number]
    found: Bools = cells >= max(least, np.finfo(np.float32).tiny)
    return found


@dataclass(frozen=True)
class Task:
    """How images are asked about.

    Attributes:
        image_size: pixels along the longer side of a scaled image.
        prompts: instances in an item.
        box_share, jitter: as in `SamConfig`.
        seed: of what is random.
        exact: no chance: all instances one after the other, each by its box and by its deepest point.
        views: how many mirrored and turned views of an image there are, one of which is drawn; not where `exact`.
        colour: part by which brightness, contrast and saturation change at most, of images that are not embedded yet;
            not where `exact`.
        depth: bits of the range by which deep images are scaled; None for that of each.
    """

    image_size: int
    prompts: int
    box_share: float = 0.5
    jitter: float = 0.1
    seed: int = 0
    exact: bool = False
    views: int = 1
    colour: float = 0.0
    depth: int | None = None


class PromptedImages(Dataset[dict[str, Any]]):
    """Images with P prompts each, asked for by (epoch, index), as `finetune.engine.datasets.EpochSampler` does.

    Items: {"embedding": float16 (C, h, w), or without a cache "image" uint8 (3, S, S); "size": int64 (2,), height and
    width of the scaled image; "truth": bool (P, L, L); "boxed": bool (P,); "boxes": float32 (P, 4) and "points"
    float32 (P, 2), in pixels of the scaled image; "asked": bool (P,), False where a prompt only fills the item;
    "index": int}.
    """

    def __init__(
        self,
        images: Sequence[LabelledImage],
        task: Task,
        digests: Mapping[Path, str],
        cache: EmbeddingCache | None,
        most_kept: int = MOST_KEPT,
    ) -> None:
        """Take images with instances, and where their embeddings are, by the SHA-256 of their files.

        Each process that reads keeps as many as `most_kept` bytes hold.
        """
        self.images, self._task, self._digests, self._cache = list(images), task, digests, cache
        self._most_kept = most_kept
        # An image has an item; where all instances are asked about, as many as that takes.
        self._items = [
            (place, first)
            for place, image in enumerate(self.images)
            for first in range(0, len(image.instances) if task.exact else 1, task.prompts)
        ]
        self._low: dict[tuple[int, int, int], npt.NDArray[np.uint8]] = {}
        self._kept: dict[str, torch.Tensor] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, place: int | tuple[int, int]) -> dict[str, Any]:
        epoch, index = place if isinstance(place, tuple) else (0, place)
        number, first = self._items[index]
        task = self._task
        rng = np.random.default_rng(mixed_seed(task.seed, epoch, number))
        # Where there is one view alone, none is drawn: the prompts are then those of always.
        view = int(rng.integers(task.views)) if task.views > 1 and not task.exact else 0
        image = turned_labels(self.images[number], view)
        chosen, asked = self._choose(len(image.instances), first, rng)
        prompts = [self._prompt(image, image.instances[one], rng) for one in chosen]
        boxed = np.array([one[0] for one in prompts])
        if task.exact:
            boxed = np.array([True] * len(chosen) + [False] * len(chosen))
            chosen, asked, prompts = chosen * 2, asked * 2, prompts * 2
        height, width = scaled_size(image.height, image.width, task.image_size)
        factor = np.array([width / image.width, height / image.height], np.float64)
        item = {
            "size": torch.tensor([height, width]),
            "truth": torch.from_numpy(np.stack([self._truth(image, number, view, one) for one in chosen])),
            "boxed": torch.from_numpy(boxed),
            "boxes": torch.from_numpy(np.stack([one[1] * np.tile(factor, 2) for one in prompts])).float(),
            "points": torch.from_numpy(np.stack([one[2] * factor for one in prompts])).float(),
            "asked": torch.tensor(asked),
            "index": index,
        }
        return item | self._picture(number, view, mixed_seed(task.seed, epoch, number, 1))

    def _choose(self, count: int, first: int, rng: np.random.Generator) -> tuple[list[int], list[bool]]:
        """Which instances an item is about, and which of these only fill it."""
        number = self._task.prompts
        if self._task.exact:
            there = min(number, count - first)
            chosen = [first + min(place, there - 1) for place in range(number)]
            return chosen, [place < there for place in range(number)]
        # Each once before any a second time.
        order = np.concatenate([rng.permutation(count) for _ in range(-(-number // count))])[:number]
        return [int(one) for one in order], [True] * number

    def _prompt(
        self, image: LabelledImage, instance: Instance, rng: np.random.Generator
    ) -> tuple[bool, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Whether it is a box, the box, and the point, in pixels of the image."""
        task = self._task
        if task.exact:
            x, y = deepest_pixel(instance.region)
            point = np.array([x + instance.window[0], y + instance.window[1]], np.float64)
            return True, np.array(instance.bbox, np.float64), point
        boxed = bool(rng.random() < task.box_share)
        box = jittered_box(instance, image.width, image.height, task.jitter, rng)
        return boxed, box, point_inside(instance, rng)

    def _truth(self, image: LabelledImage, number: int, view: int, which: int) -> Bools:
        """The mask of an instance on the grid of the logits; bits are kept of it."""
        side, place = self._task.image_size // 4, (number, view, which)
        if place not in self._low:
            mask = image.instances[which].whole(image.width, image.height)
            self._low[place] = np.packbits(low_resolution(mask, self._task.image_size))
        bits = np.unpackbits(self._low[place], count=side * side)
        return bits.reshape(side, side).astype(np.bool_)

    def _picture(self, number: int, view: int, seed: int) -> dict[str, Any]:
        """The embedding of a view of an image, or the view itself where there is no cache."""
        path = self.images[number].path
        if path is None:
            raise ToolkitError(self.images[number].key, "has no image file", "convert with --images hardlink")
        if self._cache is None:
            image = read_padded(path, self._task.image_size, self._task.depth, view=view)["image"]
            return {"image": self._recoloured(image, seed) if self._task.colour and not self._task.exact else image}
        name = entry_name(self._digests[path], view)
        if name not in self._kept:
            found = self._cache.read(name)
            if self._bytes + found.nbytes > self._most_kept:
                return {"embedding": found}
            self._kept[name] = found
            self._bytes += found.nbytes
        return {"embedding": self._kept[name]}

    def _recoloured(self, image: torch.Tensor, seed: int) -> torch.Tensor:
        """An image in other colours, as the light of another day would show it."""
        part = self._task.colour
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            changed: torch.Tensor = v2.ColorJitter(brightness=part, contrast=part, saturation=part)(image)
        return changed
