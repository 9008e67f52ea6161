"""What belongs together by its key: patterns like '{part}_*', in the language in which layouts are described."""

from __future__ import annotations

import re
from collections.abc import Sequence

from toolkit.dataset.samples import Sample
from toolkit.errors import ToolkitError

__all__ = ["groups_by_pattern"]

_FLAG = "--group"
_LANGUAGE = "write it as '{part}_*': {x} or {x:regex} for what is the same within a group, * for the rest, ** across /"
_SHOWN = 3  # keys in an error


def groups_by_pattern(samples: Sequence[Sample], pattern: str) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """What the named parts of a pattern are in the key of each sample that it fits.

    A pattern without "/" is held against the last part of a key, and what it finds is a group within a category; one
    with "/" is held against the whole key.

    Args:
        samples: whose keys.
        pattern: {x} is as little of one part of a key as fits, {x:regex} what that fits, "*" any more of a part, "**"
            of any parts.

    Returns:
        key -> what its group is called; and a note on the keys that the pattern does not fit.

    Raises:
        ToolkitError: it is no pattern, names nothing, or fits no key.
    """
    compiled = _compiled(pattern)
    if not compiled.groupindex:
        raise ToolkitError(f"{_FLAG} {pattern!r}", "names nothing that images can have in common", _LANGUAGE)
    found: dict[str, tuple[str, ...]] = {}
    for sample in samples:
        whole = "/" in pattern
        fit = compiled.fullmatch(sample.key if whole else sample.key.rpartition("/")[2])
        if fit is not None:
            named = tuple(fit[name] or "" for name in compiled.groupindex)
            found[sample.key] = ("", *named) if whole else (sample.category, *named)
    others = [sample.key for sample in samples if sample.key not in found]
    if samples and not found:
        shown = ", ".join(map(repr, others[:_SHOWN]))
        where = "whole keys" if "/" in pattern else "the last part of keys, with a / against whole keys"
        raise ToolkitError(
            f"{_FLAG} {pattern!r}",
            f"fits none of the {len(others)} keys, such as {shown}",
            f"it is held against {where}",
        )
    note = f"{len(others)} key(s) do not fit {_FLAG} {pattern!r}, and each is a group of its own, such as {{}}"
    return found, [note.format(repr(others[0]))] if others else []


_PIECE = re.compile(r"\*\*|\*|\{")


def _compiled(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression, with the names in braces as its groups."""
    parts: list[str] = []
    place = 0
    while (piece := _PIECE.search(pattern, place)) is not None:
        parts.append(re.escape(pattern[place : piece.start()]))
        place = piece.end()
        if piece[0] == "{":
            end = _closing(pattern, place)
            parts.append(_named(pattern, pattern[place:end], parts))
            place = end + 1
        else:
            parts.append(".*" if piece[0] == "**" else "[^/]*")
    parts.append(re.escape(pattern[place:]))
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error as error:
        raise ToolkitError(f"{_FLAG} {pattern!r}", f"is no pattern ({error})", _LANGUAGE) from error


def _closing(pattern: str, start: int) -> int:
    """Place of the brace that closes the one before `start`; a regex within may have braces in pairs."""
    depth, place = 1, start
    while place < len(pattern):
        if pattern[place] == "\\":
            place += 1
        else:
            depth += {"{": 1, "}": -1}.get(pattern[place], 0)
            if depth == 0:
                return place
        place += 1
    raise ToolkitError(f"{_FLAG} {pattern!r}", "has a brace that nothing closes", _LANGUAGE)


def _named(pattern: str, inner: str, before: Sequence[str]) -> str:
    name, colon, regex = inner.partition(":")
    if not name.isidentifier():
        raise ToolkitError(f"{_FLAG} {pattern!r}", f"{name!r} is no name", _LANGUAGE)
    if any(part.startswith(f"(?P<{name}>") for part in before):
        return f"(?P={name})"
    return f"(?P<{name}>{regex if colon else '[^/]+?'})"
