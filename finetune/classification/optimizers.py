"""What learners that train a backbone share: its settings, its optimiser, and which part of it learns how fast."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, field_validator

from finetune.classification.backbones import BACKBONES
from finetune.engine.config import TrainedConfig, nearest
from finetune.engine.splits import SplitConfig
from finetune.engine.transforms import AugmentConfig, Flips

__all__ = ["BackboneConfig", "choose_optimizer"]

_MOMENTUM = 0.9


class BackboneConfig(TrainedConfig):
    """Settings of a learner that trains a classification backbone.

    Attributes:
        weights: "default" are torchvision's own, "none" random ones, else a file.
        backbone: of torchvision, by name.
        optimizer: "adam", "adamw" or "sgd" (with momentum 0.9).
        weight_decay: of the optimiser.
        schedule: of the learning rate: "constant", "cosine" (down to 0), or "step" (a tenth after one half of the
            epochs, a hundredth after three quarters).
        backbone_lr_scale, head_lr_scale: the learning rate of that part, as a multiple of `lr`.
        freeze: stages of the backbone, from the input on, that keep their weights.
        augment: how training images are varied.
        tta: flips whose probabilities are averaged in prediction: "none", "horizontal" or "both".
        hold_out: where the split has no val subset, the share of train that the best epoch is chosen on; with 0 the
            last epoch is taken.
        split: which images are train, val and test.
    """

    renamed: ClassVar[Mapping[str, str]] = {"optimiser": "optimizer"}

    backbone: str = "resnet18"
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    weight_decay: float = Field(default=0.0, ge=0)
    schedule: Literal["constant", "cosine", "step"] = "constant"
    backbone_lr_scale: float = Field(default=1.0, gt=0)
    head_lr_scale: float = Field(default=1.0, gt=0)
    freeze: int = Field(default=0, ge=0)
    augment: AugmentConfig = AugmentConfig()
    tta: Flips = "none"
    hold_out: float = Field(default=0.0, ge=0, lt=1)
    split: SplitConfig = SplitConfig()

    @field_validator("backbone")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in BACKBONES:
            raise ValueError(f"torchvision has no such backbone; {nearest(value, BACKBONES)}")
        return value


def choose_optimizer(
    body: Iterable[torch.nn.Parameter], head: Iterable[torch.nn.Parameter], config: BackboneConfig
) -> dict[str, Any]:
    """Optimiser and schedule that the config names, as Lightning takes them; frozen parameters are left out."""
    groups = [
        {"params": [one for one in part if one.requires_grad], "lr": config.lr * scale}
        for part, scale in ((body, config.backbone_lr_scale), (head, config.head_lr_scale))
    ]
    groups = [group for group in groups if group["params"]]
    optimizer: torch.optim.Optimizer
    if config.optimizer == "sgd":
        optimizer = torch.optim.SGD(groups, config.lr, momentum=_MOMENTUM, weight_decay=config.weight_decay)
    else:
        kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
        optimizer = kind(groups, config.lr, weight_decay=config.weight_decay)
    if config.schedule == "constant":
        return {"optimizer": optimizer}
    scheduler: torch.optim.lr_scheduler.LRScheduler
    if config.schedule == "cosine":
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.epochs)
    else:
        milestones = sorted({max(1, config.epochs // 2), max(1, config.epochs * 3 // 4)})
        scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.1)
    return {"optimizer": optimizer, "lr_scheduler": scheduler}
