"""Classifiers for the long tail: features, and on them one plain head or ResLT's branches."""

from __future__ import annotations

import torch
from torch import nn

from finetune.classification.config import HeadConfig
from finetune.classification.heads import make_head

__all__ = ["LongtailNet", "PlainHead", "ResLTHead"]

_LINEAR = HeadConfig()


class PlainHead(nn.Module):
    """Pooled features -> one classifier, linear unless `head` says otherwise."""

    def __init__(self, channels: int, classes: int, head: HeadConfig = _LINEAR) -> None:
        super().__init__()
        self.classifier = make_head(channels, classes, head)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> logits (1, B, K)."""
        logits: torch.Tensor = self.classifier(features.mean(dim=(2, 3)))
        return logits[None]


class ResLTHead(nn.Module):
    """Branches of equal width that share a classifier, as `head` says (Cui et al., arXiv 2101.10633).

    1x1 convolution C -> R C, batch norm, ReLU, pooling, R chunks, and the classifier on each: in this order in training
    and in use.
    """

    def __init__(self, channels: int, classes: int, branches: int = 3, head: HeadConfig = _LINEAR) -> None:
        super().__init__()
        self.branches = branches
        self.expand = nn.Sequential(
            nn.Conv2d(channels, branches * channels, kernel_size=1, bias=False),
            nn.BatchNorm2d(branches * channels),
            nn.ReLU(inplace=True),
        )
        self.classifier = make_head(channels, classes, head)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> logits (R, B, K), of head, medium and tail (of head and tail where R is 2)."""
        pooled = self.expand(features).mean(dim=(2, 3))
        return torch.stack([self.classifier(chunk) for chunk in pooled.chunk(self.branches, dim=1)])


class LongtailNet(nn.Module):
    """Features and a head. What it predicts is the argmax of the sum over the branches."""

    def __init__(self, features: nn.Module, head: PlainHead | ResLTHead) -> None:
        """Join the two.

        Args:
            features: (B, 3, H, W) -> (B, C, h, w).
            head: (B, C, h, w) -> (R, B, K).
        """
        super().__init__()
        self.features, self.head = features, head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) -> logits (R, B, K) of each branch."""
        logits: torch.Tensor = self.head(self.features(images))
        return logits

    def fused(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) -> logits (B, K): the sum over the branches (additive shortcuts)."""
        logits: torch.Tensor = self(images)
        return logits.sum(dim=0)
