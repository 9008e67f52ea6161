"""Groups of unequal sizes, dealt out so that each class comes as near as possible to what is asked.

The rarest class is dealt first, as in Sechidis, Tsoumakas and Vlahavas, "On the stratification of multi-label data"
(2011): a group with images of several classes then goes where the rare one is missed most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from toolkit.dataset.splits.model import Group, Population, Stratum

__all__ = ["deal"]

_TRIES = 32  # random orders of which the best is taken

Wants = Mapping[Stratum, Mapping[str, float]]
"""Class -> target -> images."""


def deal(population: Population, wants: Wants, assigned: Mapping[str, str]) -> dict[str, str]:
    """Give every image of some classes a target; those of a group get the same.

    A class that can gets at least one image in every target that wants some. The same seed gives the same.

    Args:
        population: what is drawn from.
        wants: images of each class that each target should have in the end; the order of targets settles ties.
        assigned: what has a target already.

    Returns:
        key -> target, `assigned` included.
    """
    dealt = dict(assigned)
    strata = {stratum: population.strata[stratum] for stratum in wants}
    stratum_of = {key: stratum for stratum, keys in strata.items() for key in keys}
    have = {stratum: Counter(dealt[key] for key in keys if key in dealt) for stratum, keys in strata.items()}
    number = {stratum: len(population.groups_in(keys)) for stratum, keys in strata.items()}
    for stratum in sorted(strata, key=lambda stratum: (number[stratum], stratum)):
        waiting = population.groups_in([key for key in strata[stratum] if key not in dealt])
        counts = {group: Counter(stratum_of[key] for key in group if key in stratum_of) for group in waiting}
        generator = population.generator(stratum)
        tries = _TRIES if any(count.total() > 1 for count in counts.values()) else 1
        best: tuple[float, dict[Group, str], dict[Stratum, Counter[str]]] | None = None
        for _ in range(tries):
            order = [waiting[index] for index in generator.permutation(len(waiting))]
            found, after = _dealt(stratum, order, counts, wants, have)
            cost = _distance(wants, after)
            if best is None or cost < best[0]:
                best = cost, found, after
        if best is not None:
            dealt |= {key: target for group, target in best[1].items() for key in group}
            have = best[2]
    return dealt


def _dealt(
    stratum: Stratum,
    order: Sequence[Group],
    counts: Mapping[Group, Counter[Stratum]],
    wants: Wants,
    have: Mapping[Stratum, Counter[str]],
) -> tuple[dict[Group, str], dict[Stratum, Counter[str]]]:
    """Groups -> targets, each where it is missed most, and what the targets then have."""
    after = {one: counter.copy() for one, counter in have.items()}
    found: dict[Group, str] = {}
    targets = [target for target, wanted in wants[stratum].items() if wanted > 0]
    for index, group in enumerate(order):
        empty = [target for target in targets if not after[stratum][target]]
        among = empty if len(order) - index <= len(empty) else targets
        missed = {target: _missed(target, counts[group], wants, after) for target in among}
        target = max(among, key=lambda target: missed[target])
        found[group] = target
        for one, images in counts[group].items():
            after[one][target] += images
    return found, after


def _missed(target: str, images: Mapping[Stratum, int], wants: Wants, have: Mapping[Stratum, Counter[str]]) -> float:
    """How much less a target has of the classes of some images than it should, as shares of the classes."""
    return sum(
        number * (wants[stratum].get(target, 0.0) - have[stratum][target]) / (sum(wants[stratum].values()) or 1.0)
        for stratum, number in images.items()
    )


def _distance(wants: Wants, have: Mapping[Stratum, Counter[str]]) -> float:
    """How far the targets are from what they should have."""
    return sum(
        (wanted - have[stratum][target]) ** 2 / (sum(targets.values()) or 1.0)
        for stratum, targets in wants.items()
        for target, wanted in targets.items()
    )
