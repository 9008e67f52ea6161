"""Patterns of paths: `{category}/test/{class}/{name}.png`, matched against a path below a root, '/' between its parts.

    {x}         one part of a path, or a piece of one, under the name x; the same name again must bind the same text
    {x:REGEX}   what a regular expression matches, under the name x; {:REGEX} the same without a name
    {ext}       the ending of an image file, in either letter case
    *           anything within one part;   **  anything across parts, and **/ any number of folders

The ending of a pattern is matched in either letter case, all else as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from toolkit.errors import ToolkitError
from toolkit.imaging.images import IMAGE_SUFFIXES

__all__ = ["ANY_ENDING", "Matcher", "Pattern", "compile_pattern", "pieces_of"]

ANY_ENDING = "ext"
"""Group that stands for the ending of any image file, and is no part of a key."""

_ENDING = "(?i:" + "|".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES)) + ")"
_ONE_PART = "[^/]+"
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z_0-9]*\Z")
_WITHIN_A_PART = re.compile(r"(?:[\w|?:()+*,{}-]|\\d|\[\^/\])*\Z")  # what matches no "/" and looks at nothing
_LOOKS_AHEAD = re.compile(r"(?:[\w|?:()+*,{}!=-]|\\d|\[\^/\]|/\))*\Z")  # or looks no further than its part


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
    _halves: tuple[re.Pattern[str], re.Pattern[str]] | None = None
    """Of a folder with its last "/" and of a name in it, where the two can be told apart."""

    def match(self, path: str) -> dict[str, str] | None:
        """What the groups are in a path; None if it does not match as a whole."""
        found = self._regex.match(path)
        return found.groupdict() if found else None


_Possible = list[tuple[int, Pattern, dict[str, str] | None]]


class Matcher:
    """Patterns held against many paths: what a folder tells is found out once for all files in it."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns = list(enumerate(patterns))
        self._folder, self._possible = "", self._of_folder("")

    def every(self, folder: str, name: str) -> list[tuple[int, dict[str, str]]]:
        """The numbers of the patterns that match a path, and what they bind.

        Args:
            folder: the path up to and with its last "/"; "" for none.
            name: the rest of it.
        """
        if folder != self._folder:
            self._folder, self._possible = folder, self._of_folder(folder)
        found = []
        for number, pattern, above in self._possible:
            if above is None or pattern._halves is None:
                groups = pattern.match(folder + name)
                if groups is not None:
                    found.append((number, groups))
            elif (match := pattern._halves[1].match(name)) is not None:
                found.append((number, {**above, **match.groupdict()}))
        return found

    def first(self, folder: str, name: str) -> tuple[int, dict[str, str]] | None:
        """The first pattern that matches, and what it binds."""
        if folder == self._folder and not self._possible:
            return None
        return next(iter(self.every(folder, name)), None)

    def _of_folder(self, folder: str) -> _Possible:
        """The patterns that can match something in a folder, and what it binds; None where only whole paths tell."""
        found: _Possible = []
        for number, pattern in self._patterns:
            if pattern._halves is None:
                found.append((number, pattern, None))
            elif (match := pattern._halves[0].match(folder)) is not None:
                found.append((number, pattern, match.groupdict()))
        return found


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
    return _compiled(text, tuple((known or {}).items()), place)


@lru_cache(maxsize=4096)  # looking for a layout asks for some thousand, most of them many times
def _compiled(text: str, known: tuple[tuple[str, str], ...], place: str) -> Pattern:
    if text.startswith("/") or "\\" in text.split("{")[0] or ".." in text.split("/"):
        raise ToolkitError(place, f"the pattern {text!r} leaves the dataset", "write it from the root on, with '/'")
    bindings: dict[str, str] = {}
    pieces = pieces_of(text, bindings, dict(known), place=place)
    regex = _loose_ending("".join(piece for _, piece in pieces), text)
    try:
        return Pattern(text, tuple(bindings), bindings, re.compile(regex + r"\Z", re.DOTALL), _halves(pieces, text))
    except re.error as error:
        raise ToolkitError(place, f"the pattern {text!r} does not compile ({error})", "correct it") from error


def pieces_of(
    text: str,
    bindings: dict[str, str] | None = None,
    known: Mapping[str, str] | None = None,
    *,
    place: str = "the layout",
) -> list[tuple[str, str]]:
    """The pieces of a pattern, each as it is written and as a regular expression.

    Args:
        text, known, place: as for `compile_pattern`.
        bindings: takes up the groups of the pattern, and the regular expressions of what they may be.

    Raises:
        ToolkitError: a brace is not closed, or a name is none.
    """
    pieces: list[tuple[str, str]] = []
    bindings = {} if bindings is None else bindings
    position = 0
    while position < len(text):
        piece, after = _next_piece(text, position, bindings, known or {}, place)
        pieces.append((text[position:after], piece))
        position = after
    return pieces


def _halves(pieces: Sequence[tuple[str, str]], text: str) -> tuple[re.Pattern[str], re.Pattern[str]] | None:
    """A pattern of folders and one of names in them; None where a piece may reach over from one to the other.

    Args:
        pieces: the pieces of the pattern, as written and as regular expressions.
        text: the pattern.
    """
    cut = 1 + max((number for number, (written, _) in enumerate(pieces) if written in ("/", "**/")), default=-1)
    above, below = pieces[:cut], pieces[cut:]
    if any(written == "**" or "(?P=" in piece or not _stays_within(piece, _WITHIN_A_PART) for written, piece in below):
        return None
    if not all(_stays_within(piece, _LOOKS_AHEAD) for written, piece in above if written[0] == "{"):
        return None
    name = _loose_ending("".join(piece for _, piece in below), text)
    return re.compile("".join(piece for _, piece in above) + r"\Z", re.DOTALL), re.compile(name + r"\Z", re.DOTALL)


def _stays_within(piece: str, allowed: re.Pattern[str]) -> bool:
    """Whether a piece of a regular expression matches within one part of a path."""
    bare = re.sub(r"^\(\?P<\w+>(.*)\)\Z", r"\1", piece, flags=re.DOTALL)
    return bool(allowed.match(bare)) or bare == re.escape(bare[-1:])


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
