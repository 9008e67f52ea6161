"""Datasets of masks made here, kind by kind: a converter's speed depends on how much of a mask is marked, and how.

Each is a product in the MVTec layout, so that every reader of datasets takes it. Masks are PNGs as `cv2.imwrite` saves
them; the photos are flat, since nothing that is measured looks into them.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from toolkit.aliases import BoolArray

__all__ = ["KINDS", "MaskKind", "dataset_parser", "write_masks"]


@dataclass(frozen=True)
class MaskKind:
    """A kind of mask.

    Attributes:
        shape: sparse, blob, large, dense or parts.
        side: of the image in pixels.
        count: masks.
        channels: 1, or 3 equal ones.
    """

    shape: str
    side: int
    count: int
    channels: int = 1


KINDS: Mapping[str, MaskKind] = {
    "sparse, 256 px": MaskKind("sparse", 256, 120),
    "dense, 256 px": MaskKind("dense", 256, 60),
    "large, 256 px": MaskKind("large", 256, 120),
    "large, 256 px, RGB": MaskKind("large", 256, 120, 3),
    "blob, 256 px": MaskKind("blob", 256, 120),
    "blob, 256 px, RGB": MaskKind("blob", 256, 120, 3),
    "sparse, 256 px, RGB": MaskKind("sparse", 256, 120, 3),
    "sparse, 1024 px": MaskKind("sparse", 1024, 40),
    "dense, 1024 px": MaskKind("dense", 1024, 3),
    "large, 1024 px": MaskKind("large", 1024, 24),
    "large, 1024 px, RGB": MaskKind("large", 1024, 24, 3),
    "sparse, 1024 px, RGB": MaskKind("sparse", 1024, 24, 3),
    "many parts, 1024 px": MaskKind("parts", 1024, 2),
}
"""Sparse: one blob on about 1 % of the image. Blob: one on 15 % of it, ragged. Large: ragged ones on 45 % of it. Dense:
hundreds of small ones with holes on 30 %. Parts: some hundreds of specks."""


def dataset_parser(description: str | None) -> argparse.ArgumentParser:
    """Arguments of a benchmark of datasets or, where none is named, of masks made here."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("roots", nargs="*", type=Path, help="dataset roots; without any, what is made here")
    parser.add_argument("--made", action="store_true", help="what is made here as well as the roots")
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="of the made masks, these kinds alone")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the figures there")
    return parser


def write_masks(kind: MaskKind, folder: Path, seed: int = 0) -> Path:
    """Write a product of this kind into `folder`, in the MVTec layout; the same seed gives the same masks."""
    images, masks = folder / "test" / "spot", folder / "ground_truth" / "spot"
    (folder / "train" / "good").mkdir(parents=True)
    images.mkdir(parents=True)
    masks.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    photo = np.full((kind.side, kind.side), 90, np.uint8)
    cv2.imwrite(str(folder / "train" / "good" / "000.png"), photo)
    for number in range(kind.count):
        mask = _draw(rng, kind).astype(np.uint8) * 255
        pixels = mask if kind.channels == 1 else np.repeat(mask[:, :, None], kind.channels, axis=2)
        cv2.imwrite(str(images / f"{number:03d}.png"), photo)
        cv2.imwrite(str(masks / f"{number:03d}_mask.png"), pixels)
    return folder


def _draw(rng: np.random.Generator, kind: MaskKind) -> BoolArray:
    """A mask of this kind, never empty."""
    side = kind.side
    if kind.shape == "large":
        return _highest(_noise(rng, side, side / 10) + 0.06 * _noise(rng, side, side / 90), 0.45)
    if kind.shape == "dense":
        return _highest(_noise(rng, side, 5.0), 0.3)
    middle = rng.uniform(0.25 * side, 0.75 * side, 2)
    y, x = np.mgrid[:side, :side]
    near = -np.hypot(x - middle[0], y - middle[1]) / side
    if kind.shape in ("sparse", "blob"):
        return _highest(near + 0.02 * _noise(rng, side, side / 60), 0.01 if kind.shape == "sparse" else 0.15)
    specks = np.zeros((side, side), np.bool_)
    for row in range(0, side - 24, 52):
        for column in range(0, side - 24, 52):
            dy, dx = rng.integers(0, 8, 2)
            specks[row + dy : row + dy + 14, column + dx : column + dx + 14] = _highest(_noise(rng, 14, 2.5), 0.6)
    return specks


def _noise(rng: np.random.Generator, side: int, sigma: float) -> npt.NDArray[np.float64]:
    """Smooth noise (side, side) of variance 1."""
    found = cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), sigma)
    return np.asarray(found / found.std(), np.float64)


def _highest(values: npt.NDArray[np.float64], share: float) -> BoolArray:
    """The given share of the pixels, those of the highest values."""
    return np.asarray(values > np.quantile(values, 1 - share), np.bool_)
