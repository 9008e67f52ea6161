"""Anomaly maps: how little each pixel is what the model expects, and labels above a threshold.

A map has the side that the model works at; scores, labels and figures are made at the size of the image, to which maps
are enlarged bilinearly. The score of an image is the lowest threshold at which nothing of it is labelled, so that an
image scores above a threshold where, and only where, it has an instance at that threshold.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from toolkit.dataset.samples import GOOD
from toolkit.geometry.instances import Grouping, find_instances
from toolkit.geometry.labels import LabelledImage
from toolkit.imaging.images import encode_png, read_image
from toolkit.imaging.masks import Mask

__all__ = ["DEFECT", "ScoredImage", "draw_map", "label_map", "pack_map", "smooth"]

DEFECT = "defect"
"""Class of what an anomaly detector finds: it knows no kinds of defects."""

FEWEST_GOOD = 5
"""Good images to train on, and to choose a threshold by, below which neither would say anything."""

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
        depth: bits of the range by which deep images are scaled; None for that of each.
    """

    key: str
    path: Path
    width: int
    height: int
    scores: FloatMap
    subset: str = "test"
    min_area: int = 0
    depth: int | None = None

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


def pack_map(image: ScoredImage, threshold: float) -> bytes:
    """A map as npz: `scores` float32 (side, side), `threshold`, and `width` and `height` of the image."""
    packed = io.BytesIO()
    np.savez_compressed(
        packed,
        scores=image.scores,
        threshold=np.float64(threshold),
        width=np.int64(image.width),
        height=np.int64(image.height),
    )
    return packed.getvalue()


def draw_map(image: ScoredImage, threshold: float, truth: npt.NDArray[np.bool_] | None = None) -> bytes:
    """The image, darker and grey, its map over it as heat, and a line around what is above the threshold: PNG bytes.

    The heat is the score over the threshold, full at twice the threshold, so that pictures of a run can be compared.
    The line is cyan; around what is labelled as defect there is a white one between black ones.

    Args:
        image: the image and its map.
        threshold: scores above it are defect.
        truth: bool (height, width), what is labelled as defect; None where that is not known.

    Raises:
        ToolkitError: the image cannot be read.
    """
    picture = read_image(image.path, image.depth)
    height, width = picture.shape[:2]
    scores = image.enlarged()
    heat = np.clip(scores / max(2 * threshold, 1e-12), 0.0, 1.0).astype(np.float32)
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    colours = np.asarray(cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO))
    share = (0.75 * np.sqrt(heat))[:, :, None]
    blended = ((1 - share) * grey + share * colours).astype(np.uint8)
    line = max(1, min(height, width) // 400)
    lines = [] if truth is None else [(truth, (0, 0, 0), 3 * line), (truth, (255, 255, 255), line)]
    for mask, colour, wide in [*lines, (image.marked(threshold), (255, 255, 0), line)]:
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(blended, contours, -1, colour, wide)
    return encode_png(blended)
