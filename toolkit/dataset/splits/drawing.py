"""The strategies that draw: shares of every class, equal numbers of every class, folds.

Where no more than twins belong together, images are drawn one after the other; where groups do, or images are added to
an older split, they are dealt out (`balancing`). Each class is drawn with random numbers of its own, so that adding a
product leaves the split of the others as it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from toolkit.dataset.splits.balancing import deal
from toolkit.dataset.splits.model import Group, Population, Stratum
from toolkit.dataset.splits.remedies import TooFewError, check_folds, check_shares_fit

__all__ = ["draw_folds", "draw_shares", "draw_uniform"]

_TRIES = 32  # random orders in which groups are tried


def _categories(population: Population) -> list[tuple[str, dict[Stratum, list[str]]]]:
    """The categories in order, with their strata."""
    by_category = groupby(population.strata.items(), key=lambda one: one[0][0])
    return [(category, dict(strata)) for category, strata in by_category]


def draw_shares(population: Population, shares: Mapping[str, float]) -> dict[str, str]:
    """Draw shares of every class; what is not drawn is train.

    Raises:
        ToolkitError: a class has too few images, or groups of them.
    """
    check_shares_fit(population, len(shares) + 1)
    assigned = dict(population.kept)
    for category, strata in _categories(population):
        sizes = {stratum: _sizes(len(keys), shares) for stratum, keys in strata.items()}
        if category in population.joined:
            wants = {stratum: {"train": len(strata[stratum]) - sum(of.values()), **of} for stratum, of in sizes.items()}
            assigned = deal(population, wants, assigned)
            continue
        for stratum, keys in strata.items():
            left, own = Counter(sizes[stratum]), set(keys)
            left.subtract(assigned[key] for key in keys if key in assigned)  # twins that another class has drawn
            for group in _shuffled(population, stratum, keys, assigned):
                members = len(own & set(group))
                subset = next((subset for subset in shares if left[subset] >= members), "train")
                assigned |= dict.fromkeys(group, subset)
                left[subset] -= members
    return assigned


def _sizes(size: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Images of one class for each subset: its share, rounded, and at least one, if that leaves one to train on."""
    wanted = {subset: max(1, int(size * share + 0.5)) for subset, share in shares.items()}
    while sum(wanted.values()) >= size and any(wanted.values()):  # tiny classes: one must be left to train on
        wanted[max(wanted, key=lambda subset: wanted[subset])] -= 1
    return wanted


def _shuffled(
    population: Population, stratum: Stratum, keys: Sequence[str], assigned: Mapping[str, str]
) -> list[Group]:
    """The groups of a class that are not yet assigned, in random order."""
    waiting = population.groups_in([key for key in keys if key not in assigned])
    return [waiting[index] for index in population.generator(stratum).permutation(len(waiting))]


def draw_uniform(population: Population, per_class: int, test_per_class: int) -> dict[str, str]:
    """Draw equally many images from every class; of identical images only one can be drawn.

    Raises:
        TooFewError: a class has too few images.
    """
    assigned = dict(population.kept)
    taken = {population.twins[key] for key in assigned}
    for category, strata in _categories(population):
        draw = _class_of_groups if category in population.joined else _class_of_images
        for stratum, keys in strata.items():
            own = set(keys)
            distinct = [
                key
                for key in keys
                if population.twins[key] not in taken and key == min(own.intersection(population.twins[key]))
            ]
            drawn = draw(population, stratum, distinct, (per_class, test_per_class), assigned)
            assigned |= drawn
            taken |= {population.twins[key] for key in drawn}
    return assigned


_Numbers = tuple[int, int]  # images of a class, and how many of them are test


def _class_of_images(
    population: Population, stratum: Stratum, distinct: Sequence[str], numbers: _Numbers, assigned: Mapping[str, str]
) -> dict[str, str]:
    """Images of one class, of which none belong together."""
    per_class, test = numbers
    if len(distinct) < per_class:
        raise TooFewError(stratum, f"has {len(distinct)} distinct images")
    order = population.generator(stratum).permutation(len(distinct))
    chosen = [distinct[index] for index in order[:per_class]]
    return {key: "test" if index < test else "train" for index, key in enumerate(chosen)}


def _class_of_groups(
    population: Population, stratum: Stratum, distinct: Sequence[str], numbers: _Numbers, assigned: Mapping[str, str]
) -> dict[str, str]:
    """Images of one class; those of a group go to one subset, or are left out."""
    standing = Counter(assigned[key] for key in population.strata[stratum] if key in assigned)
    test = max(0, numbers[1] - standing["test"])
    train = max(0, numbers[0] - numbers[1] - standing["train"] - standing["val"])
    sides = {population.groups[key]: subset for key, subset in assigned.items()}
    members: dict[Group, list[str]] = {group: [] for group in population.groups_in(distinct)}
    for key in distinct:
        members[population.groups[key]].append(key)
    generator = population.generator(stratum)
    for _ in range(_TRIES):
        order = [list(members)[index] for index in generator.permutation(len(members))]
        drawn: dict[str, str] = {}
        for subset, number in (("test", test), ("train", train)):
            free = [group for group in order if group not in sides and drawn.keys().isdisjoint(members[group])]
            own = [group for group in order if sides.get(group) == subset]
            keys = [key for group in (*own, *free) for key in _permuted(members[group], generator)]
            drawn |= dict.fromkeys(keys[:number], subset)
        if len(drawn) == test + train:
            return drawn
    raise TooFewError(stratum, f"has {len(distinct)} distinct images in {len(members)} group(s)")


def _permuted(keys: Sequence[str], generator: np.random.Generator) -> list[str]:
    return [keys[index] for index in generator.permutation(len(keys))]


def draw_folds(population: Population, folds: int, fold: int, val: float) -> dict[str, str]:
    """Make one fold of every class the test subset, and a share of the rest the validation subset.

    Raises:
        ToolkitError: a class has fewer images, or groups of them, than there are folds.
    """
    check_folds(population, folds, fold)
    assigned = dict(population.kept)
    numbers = {stratum: number for number, stratum in enumerate(population.strata)}
    for category, strata in _categories(population):
        if category in population.joined:
            assigned = _folds_of_groups(population, strata, (folds, fold, val), assigned)
            continue
        for stratum, keys in strata.items():
            # Counting on from another fold in every class evens out the sizes of the folds.
            rest = []
            for index, group in enumerate(_shuffled(population, stratum, keys, assigned)):
                held_out = (index + numbers[stratum]) % folds == fold
                assigned |= dict.fromkeys(group, "test" if held_out else "train")
                rest += [] if held_out else [group]
            if val > 0:  # at least one, if that leaves one to train on
                for group in rest[: min(max(1, int(len(rest) * val + 0.5)), len(rest) - 1)]:
                    assigned |= dict.fromkeys(group, "val")
    return assigned


def _folds_of_groups(
    population: Population,
    strata: Mapping[Stratum, Sequence[str]],
    numbers: tuple[int, int, float],
    assigned: dict[str, str],
) -> dict[str, str]:
    """One fold of the groups of a category; what belongs to which fold does not hang on the fold that is asked for."""
    folds, fold, val = numbers
    names = [str(index) for index in range(folds)]
    wants: dict[Stratum, dict[str, float]] = {}
    for number, (stratum, keys) in enumerate(strata.items()):
        # New images alone are dealt: those of an older split are in folds that its file says nothing of. Beginning at
        # another fold for every class, and for every number of older images, evens out the folds.
        waiting = [key for key in keys if key not in assigned]
        first = (number + len(keys) - len(waiting)) % folds
        wants[stratum] = {name: len(waiting) / folds for name in names[first:] + names[:first]}
    fresh = {key for keys in strata.values() for key in keys if key not in assigned}
    dealt = deal(population, wants, dict.fromkeys(assigned, "older"))
    tested = {key for key in fresh if dealt[key] == str(fold)}
    assigned = assigned | dict.fromkeys(tested, "test")
    if val == 0:
        return assigned | dict.fromkeys(fresh - tested, "train")
    rest: dict[Stratum, dict[str, float]] = {}
    for stratum, keys in strata.items():
        size = sum(assigned.get(key) != "test" for key in keys)
        groups = {population.groups[key] for key in keys if assigned.get(key) != "test"}
        wanted = min(max(1, int(size * val + 0.5)), size - 1) if len(groups) > 1 else 0
        rest[stratum] = {"train": size - wanted, "val": wanted}
    return deal(population, rest, assigned)
