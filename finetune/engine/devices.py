"""Where a learner computes, and with which random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from finetune.engine.config import LearnerConfig
from finetune.engine.runs import Run
from toolkit.errors import ToolkitError

__all__ = ["device_name", "memory_full", "mixed_seed", "own_determinism", "pick_device", "seed_all"]


def mixed_seed(*numbers: int) -> int:
    """One seed out of several numbers, each of which changes all of it."""
    return int(np.random.SeedSequence([number % 2**32 for number in numbers]).generate_state(2, np.uint64)[0] >> 1)


def pick_device(name: str) -> torch.device:
    """The device that a setting names; "auto" is the first GPU, if there is one.

    Raises:
        ToolkitError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind == "cuda" and not (torch.cuda.is_available() and int(number or 0) < torch.cuda.device_count()):
        there = torch.cuda.device_count() if torch.cuda.is_available() else 0
        raise ToolkitError(f"device {name}", f"there is no such GPU ({there} found)", "use --set device=cpu or auto")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ToolkitError("device mps", "there is no such GPU", "use --set device=cpu or auto")
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """What environment.json calls a device: a GPU by its model, else "cpu" or "mps"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def seed_all(*numbers: int) -> None:
    """Seed Python, numpy and torch with what the numbers give together."""
    import lightning  # here, since prediction costs none of it

    lightning.seed_everything(mixed_seed(*numbers) % 2**32, verbose=False)


def memory_full(run: Run, config: LearnerConfig) -> ToolkitError:
    """What to say where a GPU's memory is full."""
    remedy = f"use --set batch_size={max(1, config.batch_size // 2)} or a smaller image_size"
    return ToolkitError(run.root, "the GPU's memory is full", remedy)


@contextmanager
def own_determinism() -> Iterator[None]:
    """Keep a trainer's choice of repeatable arithmetic from outliving it: torch has one switch for a process."""
    on, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(on, warn_only=warns)
