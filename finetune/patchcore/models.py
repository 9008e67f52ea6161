"""PatchCore as a whole: a frozen backbone's patches, and the memory bank that they are compared with."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from finetune.patchcore.features import PatchFeatures
from finetune.patchcore.memory import MemoryBank

__all__ = ["PatchCore"]


class PatchCore(nn.Module):
    """Images -> anomaly maps before the blur."""

    def __init__(self, features: PatchFeatures, bank: MemoryBank) -> None:
        """Take both as they are."""
        super().__init__()
        self.features, self.bank = features, bank

    @torch.no_grad()
    def forward(self, images: torch.Tensor, without: torch.Tensor | None = None) -> torch.Tensor:
        """How far each place of an image is from all that is remembered.

        Args:
            images: float32 (B, 3, size, size), RGB in [0, 1].
            without: int64 (B,), numbers of the train images that these are; what is remembered of each itself is not
                looked at.

        Returns:
            float32 (B, size, size), 0 or more: enlarged bilinearly.
        """
        patches, side = self.features(images), self.features.side
        if without is None:
            scores = self.bank(patches.flatten(0, 1))
        else:
            scores = torch.cat([self.bank(one, int(own)) for one, own in zip(patches, without, strict=True)])
        maps = scores.view(-1, 1, side, side)
        return functional.interpolate(maps, images.shape[2:], mode="bilinear", align_corners=False)[:, 0]
