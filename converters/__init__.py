"""Instances <-> label files: one file per format family, and the proof that they match.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.lazy import offer

if TYPE_CHECKING:
    from converters.differences import DiffReport, diff
    from converters.formats.base import Reading
    from converters.formats.registry import FORMATS
    from converters.reviewing.applying import ReviewReport, review
    from converters.sources import read_labels
    from converters.verification.verify import VerifyReport, verify
    from converters.viewing.gallery_items import view
    from converters.writing.pipeline import ConvertReport, convert, write_labels

__all__ = [
    "FORMATS",
    "ConvertReport",
    "DiffReport",
    "Reading",
    "ReviewReport",
    "VerifyReport",
    "convert",
    "diff",
    "read_labels",
    "review",
    "verify",
    "view",
    "write_labels",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "differences": ("DiffReport", "diff"),
        "formats.base": ("Reading",),
        "formats.registry": ("FORMATS",),
        "reviewing.applying": ("ReviewReport", "review"),
        "sources": ("read_labels",),
        "verification.verify": ("VerifyReport", "verify"),
        "viewing.gallery_items": ("view",),
        "writing.pipeline": ("ConvertReport", "convert", "write_labels"),
    },
)
