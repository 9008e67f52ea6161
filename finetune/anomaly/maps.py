"""Anomaly maps: how little each pixel is what the model expects, a threshold from good images, and labels from both.

A map has the side that the model works at; scores, labels and figures are made at the size of the image, to which maps
are enlarged bilinearly. The score of an image is the lowest threshold at which nothing of it is labelled, so that an
image scores above a threshold where, and only where, it has an instance at that threshold.
"""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional
from torchmetrics.functional.image import structural_similarity_index_measure

from converters.writing.pipeline import write_labels
from finetune.vae.gabor_vae import BandVae
from finetune.vae.models import FeatureVae, PixelVae, Vae
from toolkit.errors import ToolkitError
from toolkit.files.publish import write_whole
from toolkit.geometry.instances import Grouping, find_instances
from toolkit.geometry.labels import GOOD, LabelledImage
from toolkit.imaging.images import Mask, encode_png, read_image

__all__ = [
    "DEFECT",
    "ScoredImage",
    "draw_map",
    "good_threshold",
    "gradient_map",
    "label_map",
    "residual_map",
    "save_map",
    "smooth",
    "ssim_map",
    "unique_keys",
    "write_map_labels",
]

DEFECT = "defect"
"""Class of what an anomaly detector finds: it knows no kinds of defects."""

FEWEST_GOOD = 5
"""Held-out good images below which a threshold would say nothing."""

FloatMap = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ScoredImage:
    """An image and its anomaly map.

    Attributes:
        key: unique name, parts separated by "/".
        path: the image file.
        width, height: size of the image in pixels.
        scores: float32 (side, side), the higher, the less expected.
        subset: "train", "val" or "test".
        min_area: components with fewer pixels of the image are no defects.
    """

    key: str
    path: Path
    width: int
    height: int
    scores: FloatMap
    subset: str = "test"
    min_area: int = 0

    def enlarged(self) -> FloatMap:
        """The map at the size of the image, bilinearly: float32 (height, width)."""
        size = (self.width, self.height)
        return np.asarray(cv2.resize(self.scores, size, interpolation=cv2.INTER_LINEAR), np.float32)

    def marked(self, threshold: float) -> npt.NDArray[np.bool_]:
        """What scores higher than a threshold, components of fewer than `min_area` pixels among it: (height, width)."""
        # A plain float would be rounded to the precision of the map, and a score next to it seem equal.
        return np.asarray(self.enlarged() > np.float64(threshold), np.bool_)

    @cached_property
    def score(self) -> float:
        """Score of the whole image: the highest level that a component of `min_area` pixels reaches; -inf if none can.

        Without a `min_area` that is the highest score of a pixel.
        """
        scores = self.enlarged()
        if self.min_area <= 1:
            return float(scores.max())
        # The lower the level, the larger the components: bisect, from the level that no smaller region can reach.
        levels = np.unique(scores)
        low, high = -1, len(levels)
        while high - low > 1:
            middle = (low + high) // 2
            if _largest_component(scores >= levels[middle]) >= self.min_area:
                low = middle
            else:
                high = middle
        return float(levels[low]) if low >= 0 else -math.inf


def _largest_component(marked: npt.NDArray[np.bool_]) -> int:
    """Pixels of the largest 8-connected component."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(marked.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    return int(stats[1:, cv2.CC_STAT_AREA].max(initial=0))


@torch.no_grad()
def residual_map(model: Vae | BandVae, images: torch.Tensor, views: int = 1) -> torch.Tensor:
    """Squared difference between what is there and what the model makes of it.

    For a pixel VAE the mean over the colours; else over the bands, or the sum over the spaces, each in units of the
    variance that it has on good images (arXiv 2008.05369, section 3).

    Args:
        model: in evaluation mode.
        images: float32 (B, 3, side, side), RGB in [0, 1].
        views: 1, or 8 to average over the turned and mirrored views of the image.

    Returns:
        float32 (B, side, side), 0 or more.
    """
    total = torch.zeros(len(images), *images.shape[2:], device=images.device)
    for view in range(views):
        found = _one_view(model, _turned(images, view))
        total += _turned(found[:, None], view, back=True)[:, 0]
    return total / views


def _one_view(model: Vae | BandVae, images: torch.Tensor) -> torch.Tensor:
    if isinstance(model, FeatureVae | BandVae):
        return model.deviation(images)
    off: torch.Tensor = images - model(images).mean
    return off.square().mean(1)


def _turned(images: torch.Tensor, view: int, *, back: bool = False) -> torch.Tensor:
    """One of the eight views of a square (B, C, side, side): transposed, then mirrored in either axis."""
    axes = [axis for axis, bit in ((2, 2), (3, 4)) if view & bit]
    steps = [lambda x: x.transpose(2, 3) if view & 1 else x, lambda x: x.flip(axes) if axes else x]
    for step in reversed(steps) if back else steps:
        images = step(images)
    return images


@torch.no_grad()
def ssim_map(model: PixelVae, images: torch.Tensor) -> torch.Tensor:
    """1 - structural similarity of image and reconstruction, in windows of 11 pixels (arXiv 1807.02011, section 3.2).

    Args:
        model: in evaluation mode.
        images: float32 (B, 3, side, side), RGB in [0, 1].

    Returns:
        float32 (B, side, side), from 0 to 2.
    """
    _, full = structural_similarity_index_measure(
        model(images).mean, images, data_range=1.0, reduction="none", return_full_image=True
    )
    return (1 - full).mean(1).clamp_min(0.0)


def gradient_map(
    model: PixelVae, images: torch.Tensor, *, steps: int = 50, rate: float = 0.5, sparsity: float = 0.05
) -> torch.Tensor:
    """VAE-grad: how far an image has to move, in few pixels, to become one that the model expects.

    E(x) = L(x, f(x)) + sparsity |x - x0|_1 is descended by x <- x - rate (dE/dx * (x - f(x))^2), with L the sum of
    squared differences (Dehaene et al., arXiv 2002.03734, equations 4 and 6; `rate` 0.5 and `sparsity` 0.05 theirs).

    Args:
        model: in evaluation mode.
        images: float32 (B, 3, side, side), RGB in [0, 1].
        steps: of the descent.
        rate: step length.
        sparsity: weight of the L1 distance from the image.

    Returns:
        float32 (B, side, side): |x - x0|, mean over the colours.
    """
    start, moved = images.detach(), images.detach().clone()
    for _ in range(steps):
        moved.requires_grad_(True)
        with torch.enable_grad():
            off = (moved - model(moved).mean).square()
            energy = off.sum() + sparsity * (moved - start).abs().sum()
            (slope,) = torch.autograd.grad(energy, moved)
        moved = (moved - rate * slope * off).detach()
    return (moved - start).abs().mean(1)


def smooth(maps: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian blur of maps (B, H, W), reflected at the border; `sigma` in pixels of the map, 0 changes nothing."""
    if not sigma:
        return maps
    radius = min(max(1, round(3 * sigma)), min(maps.shape[1:]) - 1)
    offsets = torch.arange(-radius, radius + 1, device=maps.device, dtype=maps.dtype)
    kernel = torch.exp(-offsets.square() / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    padded = functional.pad(maps[:, None], (radius,) * 4, mode="reflect")
    rows = functional.conv2d(padded, kernel.view(1, 1, 1, -1))
    return functional.conv2d(rows, kernel.view(1, 1, -1, 1))[:, 0]


def good_threshold(scores: Sequence[float], percentile: float = 99.0) -> float:
    """The score that this share of good images, none of which was trained on, stays below.

    Args:
        scores: of held-out good images.
        percentile: share in percent, interpolated linearly.

    Raises:
        ToolkitError: there are too few of them.
    """
    if len(scores) < FEWEST_GOOD:
        raise ToolkitError(
            "threshold",
            f"{len(scores)} good images are held out, too few to tell how good images vary",
            f"hold out {FEWEST_GOOD} or more: --set hold_out=0.2, or give more good images",
        )
    return float(np.percentile(np.asarray(scores, np.float64), percentile))


def label_map(
    image: ScoredImage, threshold: float, *, grouping: Grouping | None = None, label: str = DEFECT
) -> LabelledImage:
    """What of an image scores higher than the threshold, as instances at the size of the image.

    Args:
        image: the image and its map.
        threshold: scores above it are defect.
        grouping: which components make an instance; each its own if None.
        label: class name of the instances.
    """
    marked = image.marked(threshold).astype(np.uint8)
    found = find_instances(Mask.of(marked, image.width, image.height), label, grouping, image.min_area)
    told = label if found.instances else GOOD
    return LabelledImage(
        image.key, image.path, image.width, image.height, found.instances, image.subset, image_label=told
    )


def write_map_labels(
    images: Iterable[ScoredImage], threshold: float, out: Path, formats: Sequence[str], *, overwrite: bool = False
) -> dict[str, dict[str, Any]]:
    """Thresholded maps as label trees, in any format that labels are converted to.

    Returns:
        format -> manifest.

    Raises:
        ToolkitError: as `converters.writing.pipeline.write_labels`, or an image cannot be read.
    """
    labelled = (label_map(image, threshold) for image in images)
    return write_labels(labelled, out, formats, classes=[DEFECT], image_mode="copy", overwrite=overwrite)


def save_map(file: Path, image: ScoredImage, threshold: float) -> None:
    """Write a map as npz: `scores` float32 (side, side), `threshold`, and `width` and `height` of the image."""
    packed = io.BytesIO()
    np.savez_compressed(
        packed,
        scores=image.scores,
        threshold=np.float64(threshold),
        width=np.int64(image.width),
        height=np.int64(image.height),
    )
    write_whole(file, packed.getvalue())


def draw_map(image: ScoredImage, threshold: float) -> bytes:
    """The image, darker and grey, its map over it as heat, and a line around what is above the threshold: PNG bytes.

    The heat is the score over the threshold, full at twice the threshold, so that pictures of a run can be compared.

    Raises:
        ToolkitError: the image cannot be read.
    """
    picture = read_image(image.path)
    height, width = picture.shape[:2]
    scores = image.enlarged()
    heat = np.clip(scores / max(2 * threshold, 1e-12), 0.0, 1.0).astype(np.float32)
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    colours = np.asarray(cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO))
    share = (0.75 * np.sqrt(heat))[:, :, None]
    blended = ((1 - share) * grey + share * colours).astype(np.uint8)
    contours, _ = cv2.findContours(image.marked(threshold).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(blended, contours, -1, (255, 255, 0), max(1, min(height, width) // 400))
    return encode_png(blended)


def unique_keys(paths: Sequence[Path]) -> list[str]:
    """A key for each image file: its name, with as many folders before it as tell all apart.

    The ending is left out where that keeps them apart.

    Raises:
        ToolkitError: a file is named twice.
    """
    whole = [path.resolve() for path in paths]
    twice = next((path for path, count in Counter(whole).items() if count > 1), None)
    if twice is not None:
        raise ToolkitError(twice, "is named twice", "name each image once")
    bare = [path.with_suffix("").parts for path in whole]
    parts = bare if len(set(bare)) == len(bare) else [path.parts for path in whole]
    depth = 1
    while len({one[-depth:] for one in parts}) < len(parts):
        depth += 1
    return ["/".join(part for part in one[-depth:] if part != "/") for one in parts]
