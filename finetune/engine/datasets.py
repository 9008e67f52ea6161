"""Images to learn from: a dataset or label tree and a split -> torch datasets, repeatable to the bit.

What is random about an image (its augmentation) depends on the seed, the epoch and the image alone, so neither the
number of reading processes nor an interruption changes what a learner sees.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict
from torch.utils.data import DataLoader, Dataset, Sampler

from converters.formats.registry import open_source
from toolkit.dataset.samples import Dataset as SampleIndex
from toolkit.dataset.samples import Sample
from toolkit.dataset.splits import SUBSETS, read_split, split_dataset
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import GOOD
from toolkit.imaging.images import read_image

__all__ = [
    "EpochSampler",
    "Example",
    "ExampleSet",
    "ImageDataset",
    "SplitConfig",
    "mixed_seed",
    "open_examples",
    "read_rgb",
    "repeatable_loader",
]

_MOST_CACHED = 2 << 30  # bytes of decoded images that are kept in memory
Transform = Callable[[torch.Tensor], torch.Tensor]


class SplitConfig(BaseModel):
    """Which images are train, val and test.

    Attributes:
        file: a split CSV; the other keys are then unused.
        strategy: as in `split_dataset`; "auto" keeps the data's own subsets where each class can be learnt from them,
            and else draws a stratified split, since MVTec's train folder holds only good images.
        val, test: of a "stratified" draw, shares of the images, .1 and .2 where null; "kfold" takes `val` alone, 0.
        per_class, test_per_class: of "uniform", images of each class, and how many of them are test.
        folds, fold: of "kfold", their number, and which of them is test, from 0.
        seed: of the draw.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Path | None = None
    strategy: Literal["auto", "native", "stratified", "uniform", "kfold"] = "auto"
    val: float | None = None
    test: float | None = None
    per_class: int = 10
    test_per_class: int = 2
    folds: int = 5
    fold: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Example:
    """An image to learn from.

    Attributes:
        key: its unique name.
        image: its file.
        label: its class, "good" if it shows no defect.
        category: its product.
        subset: "train", "val" or "test".
    """

    key: str
    image: Path
    label: str
    category: str
    subset: str


@dataclass(frozen=True, eq=False)
class ExampleSet:
    """The images of a dataset or a label tree, each with its class and subset.

    Attributes:
        root: where they are.
        examples: sorted by key.
        classes: names, "good" first; the position is the class's index.
        notes: what a user should know of the split.
    """

    root: Path
    examples: tuple[Example, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def subset(self, name: str) -> list[Example]:
        """The examples of one subset, sorted by key."""
        return [example for example in self.examples if example.subset == name]

    @property
    def subsets(self) -> dict[str, str]:
        """Key -> subset."""
        return {example.key: example.subset for example in self.examples}

    def counts(self, name: str) -> list[int]:
        """Images of each class in a subset, in the order of `classes`."""
        found = Counter(example.label for example in self.subset(name))
        return [found[label] for label in self.classes]


def open_examples(data: str | Path, split: SplitConfig | None = None) -> ExampleSet:
    """Index the images of a dataset root, a category folder or a label tree, and split them.

    Raises:
        ToolkitError: it is none of them, files are missing, the split does not fit, or a class has nothing to train on.
    """
    source = open_source(data)
    samples: Sequence[Sample] = source if isinstance(source, SampleIndex) else source.samples
    if source.layout_problems:
        first = source.layout_problems[0]
        more = f" (and {len(source.layout_problems) - 1} more)" if len(source.layout_problems) > 1 else ""
        raise ToolkitError(first.file, first.problem + more, first.remedy)
    missing = next((sample for sample in samples if not sample.image.is_file()), None)
    if missing is not None:
        raise ToolkitError(source.root, f"has no image file for {missing.key}", "convert with --images hardlink")
    subsets = _subsets(samples, split or SplitConfig())
    examples = tuple(
        Example(sample.key, sample.image, sample.defect, sample.category, subsets[sample.key])
        for sample in samples
        if sample.key in subsets
    )
    classes = sorted({example.label for example in examples}, key=lambda name: (name != GOOD, name))
    return ExampleSet(source.root, examples, tuple(classes), tuple(getattr(subsets, "notes", ())))


def _subsets(samples: Sequence[Sample], split: SplitConfig) -> Mapping[str, str]:
    if split.file is not None:
        return read_split(split.file, samples)
    if split.strategy == "auto":
        own = {sample.key: sample.split for sample in samples if sample.split in SUBSETS}
        labels = {sample.defect for sample in samples}
        trained = {sample.defect for sample in samples if sample.split == "train"}
        if trained == labels and len(own) == len(samples) and "test" in own.values():
            return own
        return split_dataset(samples, "stratified", val=split.val, test=split.test, seed=split.seed)
    numbers = split.model_dump(exclude={"file", "strategy"})
    return split_dataset(samples, split.strategy, **numbers)


def read_rgb(path: Path, size: int) -> npt.NDArray[np.uint8]:
    """Decode an image and resize it to a square.

    Returns:
        uint8 (size, size, 3), RGB, values in [0, 255].

    Raises:
        ToolkitError: it cannot be read.
    """
    image = read_image(path)
    shrink = size <= min(image.shape[:2])
    resized = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)
    return np.ascontiguousarray(resized[:, :, ::-1])


class ImageDataset(Dataset[dict[str, Any]]):
    """Images with the index of their class. Items: {"image": float32 (3, size, size), "label": int, "index": int}.

    Asked for by (epoch, index), as `EpochSampler` does. Decoded images are kept in memory as far as they fit.
    """

    def __init__(
        self, examples: Sequence[Example], classes: Sequence[str], size: int, transform: Transform, *, seed: int = 0
    ) -> None:
        """Take the examples as they are.

        Args:
            examples: the images.
            classes: all class names; their order gives the indices.
            size: side of the square that images are resized to, in pixels.
            transform: uint8 (3, size, size) RGB -> float32 (3, H, W); what is random in it comes from torch.
            seed: of what is random.
        """
        self.examples = list(examples)
        self.labels = [classes.index(example.label) for example in examples]
        self._size, self._transform, self._seed = size, transform, seed
        self._kept: dict[int, torch.Tensor] | None = (
            {} if len(self.examples) * size * size * 3 <= _MOST_CACHED else None
        )

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, place: int | tuple[int, int]) -> dict[str, Any]:
        epoch, index = place if isinstance(place, tuple) else (0, place)
        image = self._decoded(index)
        with torch.random.fork_rng(devices=[]):
            # torch.manual_seed also queues a call, with a stack trace, for every kind of GPU that is not in use.
            torch.default_generator.manual_seed(mixed_seed(self._seed, epoch, index))
            image = self._transform(image)
        return {"image": image, "label": self.labels[index], "index": index}

    def _decoded(self, index: int) -> torch.Tensor:
        if self._kept is not None and index in self._kept:
            return self._kept[index]
        pixels = read_rgb(self.examples[index].image, self._size)
        image = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
        if self._kept is not None:
            self._kept[index] = image
        return image


class EpochSampler(Sampler[tuple[int, int]]):
    """(epoch, index) pairs, in an order that depends on seed and epoch alone; each process takes its share.

    Where the images do not divide by the processes, training leaves the rest of an epoch out, and evaluation gives
    some processes one image more.
    """

    def __init__(self, size: int, *, shuffle: bool, seed: int = 0, weights: Sequence[float] | None = None) -> None:
        """Sample from `size` images: all of them, or as many drawn with `weights`, with replacement."""
        self._size, self._shuffle, self._seed = size, shuffle, seed
        self._weights = None if weights is None else torch.tensor(weights, dtype=torch.float64)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next; the trainer does."""
        self.epoch = epoch

    def __len__(self) -> int:
        rank, world = _place()
        share = self._size // world
        return share if self._shuffle else share + (rank < self._size % world)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rank, world = _place()
        generator = torch.Generator().manual_seed(mixed_seed(self._seed, self.epoch, -1))
        if self._weights is not None:
            order = torch.multinomial(self._weights, self._size, replacement=True, generator=generator).tolist()
        else:
            order = (
                torch.randperm(self._size, generator=generator).tolist() if self._shuffle else list(range(self._size))
            )
        return iter([(self.epoch, index) for index in order[rank::world]][: len(self)])


def _place() -> tuple[int, int]:
    """Number of this process, and of all processes that train together."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def repeatable_loader(
    dataset: ImageDataset,
    *,
    batch_size: int,
    shuffle: bool,
    seed: int = 0,
    workers: int = 0,
    weights: Sequence[float] | None = None,
) -> DataLoader[dict[str, Any]]:
    """Batches of a dataset, the same whatever the number of workers.

    Args:
        dataset: the images.
        batch_size: images in a batch; the last one of an epoch may be smaller.
        shuffle: in a new order each epoch.
        seed: of that order.
        workers: processes that read.
        weights: draw with replacement, with these chances.
    """
    sampler = EpochSampler(len(dataset), shuffle=shuffle, seed=seed, weights=weights)
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        generator=torch.Generator().manual_seed(seed),  # else each pass takes a number from torch's own
        pin_memory=torch.cuda.is_available(),
    )


def mixed_seed(*numbers: int) -> int:
    """One seed out of several numbers, each of which changes all of it."""
    return int(np.random.SeedSequence([number % 2**32 for number in numbers]).generate_state(2, np.uint64)[0] >> 1)
