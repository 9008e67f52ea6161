"""Timing several things in turn, so that a drifting machine slows all of them alike."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_MEMORY = Path("/dev/shm")

__all__ = ["alternate", "environment", "memory_folder", "ratio", "ratios"]


def alternate(
    tasks: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Run every task once to warm up, then all of them in turn; seconds of each round by the clock."""
    for task in tasks.values():
        task()
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            started = clock()
            task()
            seconds[name].append(clock() - started)
    return seconds


def memory_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder that goes away, in memory where the system has such a place, so that the disk plays no part."""
    return tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None)


def ratio(seconds: Mapping[str, list[float]], name: str, base: str) -> float:
    """Median over the rounds of one task's time as a multiple of another's in the same round."""
    return statistics.median(ratios(seconds, name, base))


def ratios(seconds: Mapping[str, list[float]], name: str, base: str) -> list[float]:
    """One task's time as a multiple of another's in the same round, for each round."""
    return [a / b for a, b in zip(seconds[name], seconds[base], strict=True)]


def environment(*packages: str) -> str:
    """One line: Python, processors, and the versions of packages."""
    found = []
    for name in packages:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} not installed")
    return ", ".join([f"Python {platform.python_version()}", f"{os.cpu_count()} processors", *found])
