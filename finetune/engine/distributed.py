"""Several processes that train together: which one this is, and what all of them found."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["gather_rows", "is_leader", "process_rank", "sharing_process"]

Value = TypeVar("Value")


def sharing_process() -> tuple[int, int]:
    """Number of this process and of all that work together, as their launcher tells them."""
    for rank, world in (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS")):
        if os.environ.get(rank, "").isdigit() and os.environ.get(world, "").isdigit():
            return int(os.environ[rank]), max(1, int(os.environ[world]))
    return 0, 1


_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")


def is_leader() -> bool:
    """Whether this process is the first of those that train together: it alone writes a run directory."""
    return all(os.environ.get(name, "0") in ("", "0") for name in _RANKS)


def process_rank() -> tuple[int, int]:
    """Number of this process, and of all processes that train together."""
    import torch  # here, since run directories are read without it

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def gather_rows(rows: Sequence[tuple[int, Value]]) -> list[tuple[int, Value]]:
    """Rows (index, anything) of all processes that train together, each index once, sorted."""
    import torch

    found = list(rows)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        parts: list[list[tuple[int, Value]]] = [[] for _ in range(torch.distributed.get_world_size())]
        torch.distributed.all_gather_object(parts, found)
        found = [row for part in parts for row in part]
    return sorted(dict(found).items())
