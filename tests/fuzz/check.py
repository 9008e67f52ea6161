"""What a check is made of, and where the checks are."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.fuzz.judge import Judge

__all__ = ["CHECKS", "Check", "find_check"]

CHECKS = (
    "png",
    "images",
    "labels",
    "coco",
    "labelme",
    "voc",
    "cvat",
    "label_studio",
    "read_only",
    "layouts",
    "names",
    "runs",
    "checkpoints",
    "archives",
    "crafted_archives",
    "proof",
    "growth",
    "gallery",
    "kill",
)
"""Names of modules in `tests.fuzz.checks`, or in its `formats`; each ends in `CHECK = Check(...)`."""

_FORMATS = Path(__file__).with_name("checks") / "formats"


@dataclass(frozen=True)
class Check:
    """A kind of hostile input, and what must hold for it.

    Attributes:
        count: inputs of a usual run.
        prepare: sound files, made below a folder, which every input starts from.
        attempt: tries one input: (what `prepare` returned, judge, the input's own random numbers).
        cases: names of the inputs where they are a list by hand and not drawn; `count` is then their number.
        memory: bytes of address space; 0 for as much as there is.
    """

    count: int
    prepare: Callable[[Path], Any]
    attempt: Callable[[Any, Judge, random.Random], None]
    cases: tuple[str, ...] = ()
    memory: int = 8 << 30


def find_check(name: str) -> Check:
    """The check of a name out of `CHECKS`."""
    place = "checks.formats" if (_FORMATS / f"{name}.py").is_file() else "checks"
    check = import_module(f"tests.fuzz.{place}.{name}").CHECK
    assert isinstance(check, Check)
    return check
