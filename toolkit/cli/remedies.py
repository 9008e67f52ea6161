"""Ways out that exist: of what an error advises, a command shows what can be done with its own options."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from toolkit.errors import BadInputError, ToolkitError

__all__ = ["fit_error", "fit_remedy", "options_of"]

_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_COMMAND = re.compile(r"'(?:defectkit|dask) [^']*'|\(defectkit [^)]*\)")
_BETWEEN = re.compile(r"(?:,| ) ?or (?=leave |say |use |add |save |name |set |put |give |keep |describe |with |write )")


def options_of(group: Any) -> dict[str, frozenset[str]]:
    """Command -> its flags, of a click group of commands."""
    return {
        name: frozenset(flag for option in command.params for flag in option.opts if flag.startswith("--"))
        for name, command in group.commands.items()
    }


def fit_error(error: ToolkitError, command: str, options: dict[str, frozenset[str]]) -> ToolkitError:
    """The same error with the ways out that `command` has."""
    if command not in options:
        return error
    return BadInputError([replace(one, remedy=fit_remedy(one.remedy, command, options)) for one in error.problems])


def fit_remedy(remedy: str, command: str, options: dict[str, frozenset[str]]) -> str:
    """Of the alternatives in a remedy those that a command has options for; else which command has them."""
    ways = _BETWEEN.split(remedy)
    possible = [way for way in ways if not _foreign(way, options[command])]
    if len(possible) == len(ways):
        return remedy
    if possible:
        return ", or ".join(way.rstrip(", ") for way in possible)
    wanted = _foreign(remedy, options[command])
    others = sorted((name for name, flags in options.items() if wanted <= flags), key=lambda name: name not in remedy)
    return f"{remedy} ('defectkit {others[0]}' has that)" if others else remedy


def _foreign(way: str, own: frozenset[str]) -> set[str]:
    """Flags in a way out that a command lacks, but for those that are named with their command."""
    return {*_FLAG.findall(_COMMAND.sub("", way))} - own
