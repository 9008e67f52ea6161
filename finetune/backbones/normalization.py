"""What backbones expect of their images."""

from __future__ import annotations

from finetune.backbones.names import PACKAGED, TIMM
from finetune.engine.config import IMAGENET, Normalization

__all__ = ["RENORMALIZED", "normalization"]

_HALVES = Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_TENSORFLOWS = ("efficientnet_v2_l", "googlenet", "inception_v3")  # their weights were not trained by torchvision

RENORMALIZED = ("efficientnet_v2_l",)
"""Of these, version 0.1.0 gave pretrained ones images that were normalised as ImageNet's."""


def normalization(name: str, weights: str) -> Normalization:
    """What a backbone expects of its images: what its published weights were trained with.

    Args:
        name: of the backbone.
        weights: what it began with, as in the settings.

    Raises:
        ToolkitError: timm has no such backbone.
    """
    if name == PACKAGED:
        return _HALVES
    if name.startswith(TIMM):
        # Here, so that settings cost no torch.
        from finetune.backbones.models import timm_config

        told = timm_config(name)
        return Normalization(*(tuple(told[key]) for key in ("mean", "std")))
    return _HALVES if name in _TENSORFLOWS and weights != "none" else IMAGENET
