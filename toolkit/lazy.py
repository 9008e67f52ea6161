"""Names that a package offers without loading the modules that they live in: each module is loaded on first use.

A package says twice what it offers, once to type checkers under `TYPE_CHECKING` and once here; a test holds the two,
and `__all__`, to each other. As in Scientific Python's SPEC 1 (https://scientific-python.org/specs/spec-0001).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

__all__ = ["offer"]


def offer(package: str, homes: Mapping[str, Sequence[str]]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """What a package needs for names that are loaded on first use: its `__getattr__` and its `__dir__`.

    Args:
        package: the package's `__name__`.
        homes: module below the package -> names that it gives to the package.
    """
    home = {name: module for module, names in homes.items() for name in names}

    def load(name: str) -> object:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{home[name]}"), name)

    def names() -> list[str]:
        own = [name for name in vars(sys.modules[package]) if name.startswith("__")]
        return sorted({*own, *home})

    return load, names
