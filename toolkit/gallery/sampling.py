"""A few images out of many, even over classes and subsets, and the same ones each time."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

__all__ = ["even_sample"]


def even_sample(strata: Sequence[tuple[str, Hashable]], limit: int) -> list[int]:
    """Positions of `limit` members, rising.

    Every (class, subset) gets as many as the others, as far as it has them; within one they lie evenly spaced.

    Args:
        strata: class and subset of each member.
        limit: how many to choose, at least 1; all are chosen if there are no more.
    """
    members: dict[tuple[str, Hashable], list[int]] = {}
    for position, stratum in enumerate(strata):
        members.setdefault(stratum, []).append(position)
    quotas = dict.fromkeys(members, 0)
    left = min(limit, len(strata))
    order = _turns(sorted(members, key=str))
    while left:
        for stratum in order:
            if left and quotas[stratum] < len(members[stratum]):
                quotas[stratum] += 1
                left -= 1
    chosen = []
    for stratum, quota in quotas.items():
        found = members[stratum]
        chosen += [found[(2 * turn + 1) * len(found) // (2 * quota)] for turn in range(quota)]
    return sorted(chosen)


def _turns(strata: Sequence[tuple[str, Hashable]]) -> list[tuple[str, Hashable]]:
    """An order in which neither one class nor one subset has all the first turns."""
    classes = list(dict.fromkeys(name for name, _ in strata))
    subsets = sorted({subset for _, subset in strata}, key=str)
    known = set(strata)
    wheel = [
        (name, subsets[(place + turn) % len(subsets)])
        for turn in range(len(subsets))
        for place, name in enumerate(classes)
    ]
    return [stratum for stratum in wheel if stratum in known]
