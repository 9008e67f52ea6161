"""Near-duplicates: copies of one photo that were brightened, compressed again, scaled, slightly cropped, or turned.

Turned by quarters, that is, or mirrored. Each image gets a hash of 256 bits (the signs of low frequencies about their
median, after Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010) for each way to turn
it. Different products photographed alike have hashes as close as those of copies, so the closest are looked at: fine
detail of the one is sought in the other, over some pixels and sizes. Surface and noise are the same in copies, and in
nothing else.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from toolkit.dataset.samples import Sample
from toolkit.errors import ToolkitError
from toolkit.files.parallel import ordered_map
from toolkit.imaging.images import read_image

__all__ = ["near_duplicates"]

_CANDIDATES = 72  # bits of 256 in which the hashes of two copies may differ; chance gives about 128
_NEAREST = 8  # candidates of an image that are looked at, so that 10,000 images alike do not make 50 million pairs
_SIMILAR = 0.91  # correlation of fine detail from which two images are copies
_DETAIL = 3.0  # sigma in pixels of the blur that is taken off
_FLAT = 0.5  # grey levels of detail below which there is none to compare
_SIDE = 128  # pixels of the pictures that are compared
_MARGIN = 12  # pixels by which one may lie shifted in the other
_SIDES = (128, 129, 130, 131, 132, 134)  # of the one in which the other is sought: it may be a crop
_WAVES = 17  # of each direction, of which a hash is made
_BLOCK = 128  # rows of the matrix of distances that are in memory at a time

Grey = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class _Look:
    """An image as it is compared: 256 bits for each of `_TURNS`, uint64 (8, 4), and a small grey picture (128, 128)."""

    bits: npt.NDArray[np.uint64]
    small: Grey


def near_duplicates(samples: Sequence[Sample], *, skip_faulty: bool = False) -> list[list[str]]:
    """Keys of images that show one photo: a sorted list for each set of two or more, sorted.

    Images of different categories are not compared, and of each image no more than the eight closest by hash. Identical
    images are near-duplicates too.

    Args:
        samples: the images; each is read once.
        skip_faulty: whether images that cannot be read are passed over.

    Raises:
        ToolkitError: an image cannot be read.
    """
    return [list(keys) for keys in _found(tuple(map(_identity, samples)), skip_faulty)]


_File = tuple[str, str, Path, int, int]


def _identity(sample: Sample) -> _File:
    """Key, category, file, and what changes when the file does."""
    try:
        status = sample.image.stat()
    except OSError:
        return sample.key, sample.category, sample.image, 0, 0  # reading it says what is wrong
    return sample.key, sample.category, sample.image, status.st_mtime_ns, status.st_size


@lru_cache(maxsize=4)  # the folds of one dataset ask for the same again
def _found(files: tuple[_File, ...], skip_faulty: bool) -> tuple[tuple[str, ...], ...]:
    """As `near_duplicates`."""
    by_category: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for key, category, path, _, _ in sorted(files):
        by_category[category].append((key, path))
    found = []
    for members in by_category.values():
        paths = [path for _, path in members]
        looks = list(ordered_map(partial(_look, skip_faulty=skip_faulty), paths, workers=os.cpu_count() or 1))
        readable = [(key, look) for (key, _), look in zip(members, looks, strict=True) if look is not None]
        found += _sets([key for key, _ in readable], [look for _, look in readable])
    return tuple(sorted(found))


def _look(path: Path, skip_faulty: bool) -> _Look | None:
    try:
        image = read_image(path)
    except ToolkitError:
        if skip_faulty:
            return None
        raise
    grey = cast(Grey, cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
    return _Look(_hashes(grey), _resized(grey, _SIDE))


def _resized(grey: Grey, side: int) -> Grey:
    return cast(Grey, cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA))


_TURNS = tuple((swap, rows, columns) for swap in (False, True) for rows in (False, True) for columns in (False, True))
"""The eight ways to turn and mirror a picture: swap its axes, reverse rows, reverse columns. The first does nothing."""


def _turned(grey: Grey, turn: int) -> Grey:
    swap, rows, columns = _TURNS[turn]
    picture = grey.T if swap else grey
    return np.ascontiguousarray(picture[:: -1 if rows else 1, :: -1 if columns else 1])


def _hashes(grey: Grey) -> npt.NDArray[np.uint64]:
    """Of a picture in each of `_TURNS` 256 bits, uint64 (8, 4): which of its lowest frequencies are above their median.

    Mirroring a picture changes the signs of its odd frequencies alone, so that one transform serves all.
    """
    waves = cv2.dct(_resized(grey, 64).astype(np.float32))[:_WAVES, :_WAVES]
    signs = np.where(np.arange(_WAVES) % 2, -1, 1)
    found = []
    for swap, rows, columns in _TURNS:
        turned = waves.T if swap else waves
        turned = turned * signs[:, None] if rows else turned
        lowest = (turned * signs if columns else turned).ravel()[1:257]
        found.append(np.packbits(lowest > np.median(lowest)).view(np.uint64))
    return np.stack(found)


def _sets(keys: Sequence[str], looks: Sequence[_Look]) -> list[tuple[str, ...]]:
    """The keys that hang together by pairs of copies."""
    parent = list(range(len(keys)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    pairs = list(_candidates(looks))
    smalls = [(looks[one].small, _turned(looks[two].small, turn)) for one, two, turn in pairs]
    alike = ordered_map(_are_copies, smalls, workers=os.cpu_count() or 1)
    for (one, two, _), copies in zip(pairs, alike, strict=True):
        if copies:
            low, high = sorted((root(one), root(two)))
            parent[high] = low
    members: dict[int, list[str]] = defaultdict(list)
    for index, key in enumerate(keys):
        members[root(index)].append(key)
    return [tuple(sorted(group)) for group in members.values() if len(group) > 1]


def _candidates(looks: Sequence[_Look]) -> Iterator[tuple[int, int, int]]:
    """Pairs of images with close hashes, each once: every image with those closest to it.

    And the turn of the second one in which it is closest.
    """
    if len(looks) < 2:
        return
    bits = np.stack([look.bits for look in looks])
    seen: set[tuple[int, int]] = set()
    for start in range(0, len(bits), _BLOCK):
        block = bits[start : start + _BLOCK]
        distances, turns = _nearest_turns(block[:, 0], bits)
        distances[np.arange(len(block)), np.arange(start, start + len(block))] = 256
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :_NEAREST]
        for row, columns in enumerate(nearest):
            for column in columns:
                pair = min(start + row, int(column)), max(start + row, int(column))
                if distances[row, column] <= _CANDIDATES and pair not in seen:
                    seen.add(pair)
                    yield start + row, int(column), int(turns[row, column])


def _nearest_turns(
    block: npt.NDArray[np.uint64], bits: npt.NDArray[np.uint64]
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """Bits in which images (M, 4) differ from others (N, 8, 4) as these are turned best: (M, N), and that turn."""
    least = np.full((len(block), len(bits)), 257, np.uint16)
    turns = np.zeros(least.shape, np.uint8)
    for turn in range(len(_TURNS)):
        distances = np.zeros(least.shape, np.uint16)
        for word in range(block.shape[1]):
            distances += np.bitwise_count(block[:, word, None] ^ bits[None, :, turn, word])
        nearer = distances < least
        turns[nearer] = turn
        np.minimum(least, distances, out=least)
    return least, turns


def _are_copies(pair: tuple[Grey, Grey]) -> bool:
    """Whether the fine detail of one picture is found in the other."""
    one, two = pair
    details = _detail(one), _detail(two)
    flat = [float(detail.std()) < _FLAT for detail in details]
    if any(flat):
        return all(flat) and abs(float(one.mean()) - float(two.mean())) < _FLAT
    inner = slice(_MARGIN, -_MARGIN)
    templates = [detail[inner, inner] for detail in details]
    for side in _SIDES:
        scenes = details if side == _SIDE else [_detail(_enlarged(picture, side)) for picture in pair]
        for scene, template in zip(scenes, reversed(templates), strict=True):
            if float(cv2.matchTemplate(scene, template, cv2.TM_CCOEFF_NORMED).max()) >= _SIMILAR:
                return True
    return False


def _enlarged(picture: Grey, side: int) -> Grey:
    return cast(Grey, cv2.resize(picture, (side, side), interpolation=cv2.INTER_LINEAR))


def _detail(grey: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    picture = grey.astype(np.float32)
    return cast(npt.NDArray[np.float32], picture - cv2.GaussianBlur(picture, (0, 0), _DETAIL))
