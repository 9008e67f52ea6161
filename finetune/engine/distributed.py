"""Several processes that train together: which one this is, and what all of them found; and those that read for one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from pydantic import Field, PlainSerializer, ValidatorFunctionWrapHandler, WrapValidator

__all__ = ["AUTO", "Workers", "auto_workers", "gather_rows", "is_leader", "process_rank", "sharing_process"]

AUTO = -1
"""The number of processes that "auto" is: what it becomes is known where torch is."""

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


def _auto_or_number(given: object, check: ValidatorFunctionWrapHandler) -> object:
    return AUTO if isinstance(given, str) and given == "auto" else check(given)


Workers = Annotated[
    int,
    Field(ge=0),
    WrapValidator(_auto_or_number),
    PlainSerializer(lambda number: "auto" if number == AUTO else number, return_type=int | str),
]
"""A number of processes, or `AUTO`, which is written "auto"."""


def auto_workers() -> Any:
    """The field of `Workers` whose default is "auto"."""
    told = (
        'processes that read images; 0 reads in the training process. "auto" is 0 on a CPU, and beside a GPU one less '
        "than there are cores, 8 at most."
    )
    return Field(default="auto", description=told)
