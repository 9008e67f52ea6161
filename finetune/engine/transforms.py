"""What happens to an image between its file and a backbone: augmentation in training, normalisation always."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np
import torch
from torchvision.transforms import v2

from finetune.engine.config import AugmentConfig, Flips, Normalization
from finetune.engine.datasets import Transform

__all__ = ["Augmented", "eval_transform", "flipped_views", "train_transform"]

_AXES: dict[Flips, tuple[tuple[int, ...], ...]] = {
    "none": ((),),
    "horizontal": ((), (3,)),
    "both": ((), (3,), (2,), (2, 3)),
}


class Augmented(Protocol):
    """Settings that say how images are varied and normalised."""

    @property
    def image_size(self) -> int:
        """Side of the square images, in pixels."""

    @property
    def augment(self) -> AugmentConfig:
        """How training images are varied."""

    @property
    def normalization(self) -> Normalization:
        """What the backbone expects."""


def train_transform(config: Augmented) -> Transform:
    """Augmentation and normalisation: uint8 (3, size, size) RGB in [0, 255] -> float32 (3, size, size).

    What is random in it comes from torch's generator.
    """
    augment = config.augment
    steps: list[torch.nn.Module] = []
    if augment.horizontal_flip:
        steps.append(v2.RandomHorizontalFlip())
    if augment.vertical_flip:
        steps.append(v2.RandomVerticalFlip())
    if augment.rotation or augment.crop < 1:
        steps.append(_TurnAndCrop(augment.rotation, augment.crop))
    if augment.colour:
        part = augment.colour
        steps.append(v2.ColorJitter(brightness=part, contrast=part, saturation=part))
    return _compose([*steps, *_normalized(config)])


def eval_transform(config: Augmented) -> Transform:
    """Normalisation alone: uint8 (3, size, size) RGB in [0, 255] -> float32 (3, size, size)."""
    return _compose(_normalized(config))


def flipped_views(images: torch.Tensor, flips: Flips) -> Sequence[torch.Tensor]:
    """A batch (B, 3, H, W) as it is, and mirrored in each of the ways that `flips` names."""
    return [images.flip(axes) if axes else images for axes in _AXES[flips]]


class _TurnAndCrop(torch.nn.Module):
    """Rotation and crop in one resampling; torchvision's two take ten times as long."""

    def __init__(self, degrees: float, least_area: float) -> None:
        super().__init__()
        self._degrees, self._least_area = degrees, least_area

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """uint8 (3, height, width) -> the same."""
        size = image.shape[2], image.shape[1]
        turn, area, *shift = torch.rand(4).tolist()
        side = (self._least_area + (1 - self._least_area) * area) ** 0.5  # of the crop, as a part of the image's
        middle = (size[0] - 1) / 2, (size[1] - 1) / 2
        matrix = cv2.getRotationMatrix2D(middle, self._degrees * (2 * turn - 1), 1 / side)
        matrix[:, 2] += [(part - 0.5) * (1 - side) / side * length for part, length in zip(shift, size, strict=True)]
        pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
        warped = cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        return torch.from_numpy(warped).permute(2, 0, 1).contiguous()


def _normalized(config: Augmented) -> list[torch.nn.Module]:
    own = config.normalization
    return [v2.ToDtype(torch.float32, scale=True), v2.Normalize(own.mean, own.std)]


def _compose(steps: Sequence[torch.nn.Module]) -> Transform:
    composed: Transform = v2.Compose(steps)
    return composed
