"""Instances <-> label files: one file per format family, and the proof that they match.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from converters.formats.registry import FORMATS
    from converters.sources import read_labels
    from converters.verification.verify import VerifyReport, verify
    from converters.writing.pipeline import ConvertReport, convert, write_labels

__all__ = ["FORMATS", "ConvertReport", "VerifyReport", "convert", "read_labels", "verify", "write_labels"]

_HOMES = {
    "sources": ("read_labels",),
    "formats.registry": ("FORMATS",),
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
