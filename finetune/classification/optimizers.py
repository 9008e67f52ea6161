"""The optimiser of learners that train a backbone: which part of it learns how fast."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from finetune.classification.config import BackboneConfig

__all__ = ["choose_optimizer"]

_MOMENTUM = 0.9


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
