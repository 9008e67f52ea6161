"""A full GPU, said in a line with a way out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from toolkit.errors import ToolkitError

__all__ = ["halved", "memory_error", "memory_told"]

_SIGNS = ("CUDA out of memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "MPS backend out of memory")


def halved(config: object, *names: str, least: int = 1) -> list[str]:
    """Words that halve each of these settings, as `--set` takes them, where it can be so small."""
    return [f"--set {name}={getattr(config, name) // 2}" for name in names if getattr(config, name) // 2 >= least]


def memory_error(root: Path, ways: Sequence[str]) -> ToolkitError:
    """What to say of a run that a GPU has no room for.

    Args:
        root: the run directory.
        ways: what takes less memory, each enough by itself or a beginning.
    """
    return ToolkitError(root, "the GPU's memory is full", f"use {', or '.join(ways)}")


@contextmanager
def memory_told(root: Path, ways: Callable[[], Sequence[str]]) -> Iterator[None]:
    """Whatever a full GPU raises in the block, in our words; torch is not loaded for it.

    Args:
        root: the run directory.
        ways: gives what takes less memory, as for `memory_error`.

    Raises:
        ToolkitError: the GPU's memory is full.
    """
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError is one, and libraries raise others
        if type(error).__name__ != "OutOfMemoryError" and not any(sign in str(error) for sign in _SIGNS):
            raise
        raise memory_error(root, ways()) from error
