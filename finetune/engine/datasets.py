"""Images to learn from: a dataset or label tree and a split -> torch datasets, repeatable to the bit.

What is random about an image (its augmentation) depends on the seed, the epoch and the image alone, so neither the
number of reading processes nor an interruption changes what a learner sees.
"""

from __future__ import annotations

import math
import mmap
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from finetune.engine.devices import mixed_seed
from finetune.engine.distributed import process_rank
from finetune.engine.splits import ImageRecord
from toolkit.imaging.images import read_image

__all__ = ["Batch", "EpochSampler", "ImageDataset", "SharedArrays", "SizedDataset", "read_rgb", "repeatable_loader"]

_MOST_CACHED = 2 << 30  # bytes of decoded images that are kept in memory
Batch = dict[str, torch.Tensor]
"""What a loader makes of the items of a dataset: under each key the values of all, along the first axis."""

Transform = Callable[[torch.Tensor], torch.Tensor]


def read_rgb(path: Path, size: int, depth: int | None = None) -> npt.NDArray[np.uint8]:
    """Decode an image, a deep one by its own range or by one of `depth` bits, and resize it to a square.

    Returns:
        uint8 (size, size, 3), RGB, values in [0, 255].

    Raises:
        ToolkitError: it cannot be read.
    """
    image = read_image(path, depth)
    shrink = size <= min(image.shape[:2])
    resized = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)
    return np.ascontiguousarray(resized[:, :, ::-1])


class SharedArrays:
    """Arrays uint8 of one shape, each made once by whichever process needs it first.

    Processes that were forked share them; one that gets a copy of this by pickling has an empty one of its own.
    """

    def __init__(self, count: int, most: int) -> None:
        """Make room for `count` arrays of `most` bytes each; memory is taken as they come."""
        self._count, self._most = count, most
        self._lock = multiprocessing.Lock()
        # Nothing of it is in /dev/shm, which containers keep small.
        self._memory = mmap.mmap(-1, count * (most + 1) + 3 * 8)
        self._shape = np.frombuffer(self._memory, np.int64, 3)
        self._there = np.frombuffer(self._memory, np.uint8, count, 3 * 8)
        self._values = np.frombuffer(self._memory, np.uint8, count * most, 3 * 8 + count).reshape(count, most)

    def __getstate__(self) -> tuple[int, int]:
        return self._count, self._most

    def __setstate__(self, told: tuple[int, int]) -> None:
        self.__init__(*told)  # type: ignore[misc]

    def get(self, index: int) -> torch.Tensor | None:
        """An array, or None where it was not made yet."""
        with self._lock:  # what another process wrote before its mark is seen after it
            there, shape = bool(self._there[index]), tuple(self._shape.tolist())
        return torch.from_numpy(self._values[index, : math.prod(shape)].reshape(shape)) if there else None

    def put(self, index: int, array: torch.Tensor) -> None:
        """Keep an array (A, B, C), if it is no larger than was said."""
        if array.numel() > self._most:
            return
        self._values[index, : array.numel()] = array.numpy().ravel()
        with self._lock:
            self._shape[:] = array.shape
            self._there[index] = 1


def _room_for(count: int, most: int) -> SharedArrays | None:
    """Room for so many images of so many bytes; None where there are too many, or a system has no such memory."""
    if not 0 < count * most <= _MOST_CACHED:
        return None
    try:
        return SharedArrays(count, most)
    except (OSError, ImportError):  # the latter where processes cannot share a lock
        return None


class SizedDataset(Dataset[dict[str, Any]]):
    """Items in a known number, asked for by (epoch, index) or by index."""

    def __len__(self) -> int:
        raise NotImplementedError


class ImageDataset(SizedDataset):
    """Images with the index of their class. Items: {"image": float32 (3, size, size), "label": int, "index": int}.

    Asked for by (epoch, index), as `EpochSampler` does. Decoded images are kept in memory where all fit, once for all
    processes that read.
    """

    def __init__(
        self,
        examples: Sequence[ImageRecord],
        classes: Sequence[str],
        size: int,
        transform: Transform,
        *,
        seed: int = 0,
        read: Callable[[Path], npt.NDArray[np.uint8]] | None = None,
        depth: int | None = None,
    ) -> None:
        """Take the examples as they are.

        Args:
            examples: the images.
            classes: all class names; their order gives the indices.
            size: side of the square that images are resized to, in pixels.
            transform: uint8 (3, size, size) RGB -> float32 (3, H, W); what is random in it comes from torch.
            seed: of what is random.
            read: what decodes an image in another way: path -> uint8 (height, width, 3), RGB, of one size for all.
            depth: bits of the range by which deep images are scaled, as `LearnerConfig.bits`.
        """
        self.examples = list(examples)
        self.labels = [classes.index(example.label) for example in examples]
        self._size, self._transform, self._seed, self._read, self._depth = size, transform, seed, read, depth
        self._kept = _room_for(len(self.examples), size * size * 3)

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
        if self._kept is not None and (kept := self._kept.get(index)) is not None:
            return kept
        path = self.examples[index].image
        pixels = read_rgb(path, self._size, self._depth) if self._read is None else self._read(path)
        image = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
        if self._kept is not None:
            self._kept.put(index, image)
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
        rank, world = process_rank()
        share = self._size // world
        return share if self._shuffle else share + (rank < self._size % world)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rank, world = process_rank()
        generator = torch.Generator().manual_seed(mixed_seed(self._seed, self.epoch, -1))
        if self._weights is not None:
            order = torch.multinomial(self._weights, self._size, replacement=True, generator=generator).tolist()
        else:
            order = (
                torch.randperm(self._size, generator=generator).tolist() if self._shuffle else list(range(self._size))
            )
        return iter([(self.epoch, index) for index in order[rank::world]][: len(self)])


def repeatable_loader(
    dataset: SizedDataset,
    *,
    batch_size: int,
    shuffle: bool,
    seed: int = 0,
    workers: int = 0,
    weights: Sequence[float] | None = None,
) -> DataLoader[Batch]:
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
