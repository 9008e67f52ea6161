"""Names of the backbones, and what settings say of them; without torch."""

from __future__ import annotations

from finetune.backbones.catalogue import backbone_facts
from finetune.engine.config import nearest

__all__ = ["BACKBONES", "BACKBONE_MEANING", "PACKAGED", "TIMM", "WEIGHTS_MEANING", "check_backbone"]

PACKAGED = "efficientnet_lite0"
"""The backbone whose weights come in a package that is installed with the learners, so that it needs no network."""

TIMM = "timm:"
"""What the name of a backbone of timm begins with."""

BACKBONE_MEANING = "one that 'defectkit backbones' lists, or timm:NAME."
WEIGHTS_MEANING = (
    '"default" are the published ones (efficientnet_lite0\'s are installed, others are fetched once), "none" random '
    "ones, else a .safetensors, .pth, .pt or .ckpt file."
)
"""What the settings `backbone` and `weights` mean."""

BACKBONES: tuple[str, ...] = tuple(backbone_facts())
"""The backbones that have a name here: torchvision's classification models and the packaged one, sorted."""


def check_backbone(name: str) -> str:
    """Let a name pass that is known here, or that is said to be timm's: it is asked when the backbone is built.

    Raises:
        ValueError: there is no such backbone; pydantic makes it a fault of the setting.
    """
    if name not in BACKBONES and name.removeprefix(TIMM) in ("", name):
        raise ValueError(f"there is no such backbone; {nearest(name, BACKBONES)}")
    return name
