"""The descriptions that come with the program: one file each, in the folder `builtin` beside this one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from toolkit.dataset.layouts.description import Description, checked, read_description
from toolkit.errors import ToolkitError

__all__ = ["built_in_names", "every_description", "find_description", "find_layout"]

_FOLDER = Path(__file__).with_name("builtin")


@lru_cache
def built_in_names() -> tuple[str, ...]:
    """Names of the descriptions, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


@lru_cache
def find_description(name: str) -> Description:
    """The built-in description of this name.

    Raises:
        ToolkitError: there is none.
    """
    if name not in built_in_names():
        raise ToolkitError("--layout", f"unknown layout {name!r}", "name a YAML file, or see 'defectkit layouts'")
    return read_description(_FOLDER / f"{name}.yaml")


@lru_cache
def every_description() -> tuple[Description, ...]:
    """All of them, those first that have it where several fit alike."""
    found = [find_description(name) for name in built_in_names()]
    return tuple(sorted(found, key=lambda description: (description.rank, description.name)))


def find_layout(layout: str | Path | Mapping[str, Any]) -> Description:
    """A description by the name of a built-in one, from a YAML file, or from a mapping.

    Raises:
        ToolkitError: it is none of them, or is faulty.
    """
    if isinstance(layout, Mapping):
        return checked(layout, "the layout")
    if str(layout) in built_in_names():
        return find_description(str(layout))
    if not Path(layout).is_file():
        return find_description(str(layout))
    return read_description(layout)
