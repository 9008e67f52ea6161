"""Where a learner computes, and with which random numbers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from finetune.engine.config import LearnerConfig, TrainedConfig
from finetune.engine.distributed import AUTO
from finetune.engine.remarks.memory import memory_error
from finetune.engine.runs import Run
from toolkit.errors import ToolkitError

__all__ = [
    "device_name",
    "fused_step",
    "half_type",
    "lay_out",
    "memory_full",
    "mixed_seed",
    "own_arithmetic",
    "own_determinism",
    "pick_device",
    "precision_of",
    "reading_processes",
    "seed_all",
]

_MOST_READING = 8  # processes: with more, a loader is no faster, and each keeps images of its own


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
    """What to say where a GPU's memory is full in a training."""
    return memory_error(run.root, config.less_memory())


def half_type(device: torch.device) -> torch.dtype | None:
    """The 16 bits that a device computes fast in: bf16 on a GPU that has it itself, else fp16; None on a CPU and "mps".

    Cards before Ampere only emulate bf16, and are slower with it than without.
    """
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def precision_of(config: TrainedConfig) -> str:
    """The precision of the settings, or what "auto" is on their device, as Lightning calls it.

    With "16-mixed" losses are scaled.
    """
    if config.precision != "auto":
        return config.precision
    found = half_type(pick_device(config.device))
    return {None: "32", torch.bfloat16: "bf16-mixed", torch.float16: "16-mixed"}[found]


def lay_out(module: torch.nn.Module, device: torch.device) -> None:
    """Keep the weights of a module in the order in which a GPU's convolutions are fastest; on a CPU as they are."""
    if device.type == "cuda":
        module.to(memory_format=torch.channels_last)


def fused_step(config: TrainedConfig, parameters: Iterable[torch.nn.Parameter]) -> bool | None:
    """Whether an optimiser steps all parameters in one kernel; None leaves that to torch.

    It is done where all are on a GPU, but for fp16: gradients that are scaled and clipped cannot be fused.
    """
    on_card = all(one.device.type == "cuda" for one in parameters)
    return True if on_card and precision_of(config) != "16-mixed" else None


def reading_processes(config: LearnerConfig) -> int:
    """How many processes read images: what was asked for, or by the cores for each GPU, and none beside a CPU."""
    if config.workers != AUTO:
        return config.workers
    if pick_device(config.device).type != "cuda":
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(_MOST_READING, max(1, cores // int(getattr(config, "devices", 1)) - 1))


@contextmanager
def own_determinism() -> Iterator[None]:
    """Keep a trainer's choice of repeatable arithmetic from outliving it: torch has one switch for a process."""
    on, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(on, warn_only=warns)


@contextmanager
def own_arithmetic(device: torch.device) -> Iterator[None]:
    """As `own_determinism`, of all that a trainer of ours chooses.

    On a GPU, products of 32 bits are made in TF32 (with 10 bits behind the point): what convolutions do there anyway.
    """
    products, by_trial = torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
    try:
        with own_determinism():
            if device.type == "cuda":
                torch.set_float32_matmul_precision("high")
            yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.benchmark = by_trial
