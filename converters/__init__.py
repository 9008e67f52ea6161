"""Instances <-> label files: one file per format family, and the proof that they match.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from converters.formats.base import FORMATS
    from converters.formats.registry import read_labels
    from converters.verification.verify import VerifyReport, verify
    from converters.writing.pipeline import ConvertReport, convert, write_labels

__all__ = ["FORMATS", "ConvertReport", "VerifyReport", "convert", "read_labels", "verify", "write_labels"]

_HOMES = {
    "formats.registry": ("read_labels",),
    "formats.base": ("FORMATS",),
    "writing.pipeline": ("ConvertReport", "convert", "write_labels"),
    "verification.verify": ("VerifyReport", "verify"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


class _Package(ModuleType):
    """Keeps `converters.verification.verify` the function: importing the file of that name would put the module in its place."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
