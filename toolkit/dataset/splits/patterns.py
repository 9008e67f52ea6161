"""What belongs together by its key: patterns like '{part}_*', in the language in which layouts are described."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.dataset.layouts.patterns import compile_pattern
from toolkit.dataset.samples import Sample
from toolkit.errors import ToolkitError

__all__ = ["groups_by_pattern"]

_SHOWN = 3  # keys in an error


def groups_by_pattern(samples: Sequence[Sample], text: str) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """What the names in a pattern stand for in the key of each sample that it fits.

    A pattern without "/" is held against the last part of a key, and what it finds is a group within a category; one
    with "/" is held against the whole key.

    Args:
        samples: whose keys.
        text: the pattern, as `toolkit.dataset.layouts.patterns` describes it.

    Returns:
        key -> what its group is called; and a note on the keys that the pattern does not fit.

    Raises:
        ToolkitError: it is no pattern, names nothing, or fits no key.
    """
    pattern = compile_pattern(text, place="--group")
    if not pattern.groups:
        remedy = "put in braces what is the same within a group, with * for the rest: --group '{part}_*'"
        raise ToolkitError(f"--group '{text}'", "names nothing that images can have in common", remedy)
    whole = "/" in text
    found: dict[str, tuple[str, ...]] = {}
    for sample in samples:
        bound = pattern.match(sample.key if whole else sample.key.rpartition("/")[2])
        if bound is not None:
            found[sample.key] = ("" if whole else sample.category, *(bound[name] for name in pattern.groups))
    others = [sample.key for sample in samples if sample.key not in found]
    if samples and not found:
        shown = ", ".join(map(repr, others[:_SHOWN]))
        where = "whole keys" if whole else "the last part of keys, and with a / against whole keys"
        problem = f"fits none of the {len(others)} keys, such as {shown}"
        raise ToolkitError(f"--group '{text}'", problem, f"correct it; it is held against {where}")
    if not others:
        return found, []
    return found, [f"{len(others)} key(s), such as {others[0]!r}, do not fit '{text}': each is a group of its own"]
