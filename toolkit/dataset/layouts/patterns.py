"""Patterns of paths: `{category}/test/{class}/{name}.png`, matched against a path below a root, '/' between its parts.

    {x}         one part of a path, or a piece of one, under the name x; the same name again must bind the same text
    {x:REGEX}   what a regular expression matches, under the name x; {:REGEX} the same without a name
    {ext}       the ending of an image file, in either letter case
    *           anything within one part;   **  anything across parts, and **/ any number of folders

The ending of a pattern is matched in either letter case, all else as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from toolkit.errors import ToolkitError
from toolkit.imaging.images import IMAGE_SUFFIXES

__all__ = ["ANY_ENDING", "Pattern", "compile_pattern"]

ANY_ENDING = "ext"
"""Group that stands for the ending of any image file, and is no part of a key."""

_ENDING = "(?i:" + "|".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES)) + ")"
_ONE_PART = "[^/]+"
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z_0-9]*\Z")


@dataclass(frozen=True)
class Pattern:
    """A pattern of paths.

    Attributes:
        text: as a user wrote it.
        groups: names that it binds, in the order in which they come; `ext` is not among them.
        bindings: for each of them the regular expression of what it may be.
    """

    text: str
    groups: tuple[str, ...]
    bindings: Mapping[str, str]
    _regex: re.Pattern[str]

    def match(self, path: str) -> dict[str, str] | None:
        """What the groups are in a path; None if it does not match as a whole."""
        found = self._regex.match(path)
        return found.groupdict() if found else None


def compile_pattern(text: str, known: Mapping[str, str] | None = None, *, place: str = "the layout") -> Pattern:
    """Compile a pattern.

    Args:
        text: the pattern.
        known: groups that another pattern binds, and the regular expressions of what they may be.
        place: who has the pattern, for messages.

    Raises:
        ToolkitError: a brace is not closed, a name is none, a regular expression does not compile, or the path is
            absolute or leads out of the root.
    """
    if text.startswith("/") or "\\" in text.split("{")[0] or ".." in text.split("/"):
        raise ToolkitError(place, f"the pattern {text!r} leaves the dataset", "write it from the root on, with '/'")
    pieces: list[str] = []
    bindings: dict[str, str] = {}
    position = 0
    while position < len(text):
        piece, position = _next_piece(text, position, bindings, known or {}, place)
        pieces.append(piece)
    regex = _loose_ending("".join(pieces), text)
    try:
        return Pattern(text, tuple(bindings), bindings, re.compile(regex + r"\Z", re.DOTALL))
    except re.error as error:
        raise ToolkitError(place, f"the pattern {text!r} does not compile ({error})", "correct it") from error


def _next_piece(
    text: str, position: int, bindings: dict[str, str], known: Mapping[str, str], place: str
) -> tuple[str, int]:
    """The regular expression of what comes next in a pattern, and the position after it."""
    if text.startswith("**/", position):
        return "(?:[^/]+/)*", position + 3
    if text.startswith("**", position):
        return ".*", position + 2
    if text[position] == "*":
        return "[^/]*", position + 1
    if text[position] != "{":
        return re.escape(text[position]), position + 1
    end = _closing(text, position, place)
    name, colon, own = text[position + 1 : end].partition(":")
    if name == ANY_ENDING and not colon:
        return _ENDING, end + 1
    if colon and not name:
        return f"(?:{own})", end + 1
    if not _PLAIN.match(name) or (colon and not own):
        raise ToolkitError(place, f"the pattern {text!r} has no name in {text[position : end + 1]!r}", "write {name}")
    if name in bindings:
        return f"(?P={name})", end + 1
    bindings[name] = own or known.get(name, _ONE_PART)
    return f"(?P<{name}>{bindings[name]})", end + 1


def _closing(text: str, start: int, place: str) -> int:
    """Position of the brace that closes the one at `start`."""
    depth = 0
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position
    raise ToolkitError(place, f"the pattern {text!r} has a brace that is not closed", "close it")


def _loose_ending(regex: str, text: str) -> str:
    """The same regular expression, with an ending such as .png in either letter case."""
    ending = re.search(r"\.([A-Za-z0-9]+)\Z", text)
    return regex[: -len(ending[1])] + f"(?i:{ending[1]})" if ending else regex
