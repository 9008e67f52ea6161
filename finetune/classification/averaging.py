"""A running average of the weights over the steps of a training."""

from __future__ import annotations

from functools import partial

import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging

__all__ = ["weight_averaging"]


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
