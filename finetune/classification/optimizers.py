"""How learners that train a backbone step: which part of it learns how fast, and an average over the steps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging

from finetune.classification.config import BackboneConfig
from finetune.engine.devices import fused_step

__all__ = ["choose_optimizer", "rate_factor", "weight_averaging"]

_MOMENTUM = 0.9


def choose_optimizer(
    body: Iterable[torch.nn.Parameter], head: Iterable[torch.nn.Parameter], config: BackboneConfig
) -> dict[str, Any]:
    """Optimiser and schedule that the config names, as Lightning takes them; frozen parameters are left out."""
    groups: list[dict[str, Any]] = [
        {"params": [one for one in part if one.requires_grad], "lr": config.lr * scale}
        for part, scale in ((body, config.backbone_lr_scale), (head, config.head_lr_scale))
    ]
    groups = [group for group in groups if group["params"]]
    optimizer: torch.optim.Optimizer
    if config.optimizer == "sgd":
        optimizer = torch.optim.SGD(groups, config.lr, momentum=_MOMENTUM, weight_decay=config.weight_decay)
    else:
        kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
        fused = fused_step(config, (one for group in groups for one in group["params"]))
        optimizer = kind(groups, config.lr, weight_decay=config.weight_decay, fused=fused)
    scheduler: torch.optim.lr_scheduler.LRScheduler
    if config.warmup:
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(rate_factor, config))
    elif config.schedule == "constant":
        return {"optimizer": optimizer}
    elif config.schedule == "cosine":
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.epochs)
    else:
        milestones = _milestones(config.epochs)
        scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.1)
    return {"optimizer": optimizer, "lr_scheduler": scheduler}


def rate_factor(config: BackboneConfig, epoch: int) -> float:
    """Learning rate of an epoch, from 0 on, over `lr`: it rises over the warm-up, and then follows the schedule."""
    if epoch < config.warmup:
        return (epoch + 1) / (config.warmup + 1)
    done, length = epoch - config.warmup, config.epochs - config.warmup
    if config.schedule == "cosine":
        return (1 + math.cos(math.pi * done / length)) / 2
    passed = sum(done >= milestone for milestone in _milestones(length))
    return 0.1**passed if config.schedule == "step" else 1.0


def _milestones(epochs: int) -> list[int]:
    """Epochs at which the steps of a schedule lie."""
    return sorted({max(1, epochs // 2), max(1, epochs * 3 // 4)})


def weight_averaging(decay: float) -> list[Callback]:
    """What keeps the average and has it validated, kept in checkpoints and left in the module; nothing for decay 0.

    Args:
        decay: weight of the average so far in each step, in [0, 1).
    """
    return [WeightAveraging(avg_fn=partial(_averaged, decay))] if decay else []


def _averaged(decay: float, average: torch.Tensor, current: torch.Tensor, steps: torch.Tensor | int) -> torch.Tensor:
    """The average after one step more. The first steps are not held on to, by the rule of TensorFlow's own average."""
    if not torch.is_floating_point(average):
        return current  # counters and tables are no weights
    held = min(decay, (1 + int(steps)) / (10 + int(steps)))
    return average * held + current * (1 - held)
