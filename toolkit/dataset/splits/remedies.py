"""Classes that are too small for what is asked, and what a user can do about it that works."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence

from toolkit.dataset.splits.model import Population, Stratum
from toolkit.errors import ToolkitError

__all__ = ["TooFewError", "check_folds", "check_shares_fit", "leave_out_flag", "uniform_error"]

_PLAIN = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")  # a class that needs no quotes


class TooFewError(Exception):
    """A class of which fewer images can be drawn than are asked for; `has` says how many."""

    def __init__(self, stratum: Stratum, has: str) -> None:
        super().__init__(stratum, has)
        self.stratum, self.has = stratum, has


def leave_out_flag(names: Sequence[str]) -> str:
    """The option that leaves classes out, as it is typed."""
    if all(map(_PLAIN.fullmatch, names)):
        return f"--leave-out {','.join(names)}"
    if any("," in name for name in names):  # a comma is part of a name only where the name stands alone
        return " ".join(f"--leave-out {shlex.quote(name)}" for name in names)
    quoted = shlex.quote(",".join(names))
    return f"--leave-out {quoted}" if quoted.startswith("'") else f"--leave-out '{quoted}'"


def check_shares_fit(population: Population, subsets: int) -> None:
    """Refuse a class that has fewer images, or groups of them, than there are subsets.

    Raises:
        ToolkitError: naming the smallest class.
    """
    small = _small(population, subsets)
    if not small:
        return
    smallest, number = small[0]
    ways = [] if number == 0 else ["set --val or --test to 0"] if number > 1 else ["set --val and --test to 0"]
    problem = f"has {_images(population, smallest)}, too few for {subsets} subsets"
    raise ToolkitError("/".join(smallest), problem, ", or ".join([*ways, *_leave_out(population, small)]))


def check_folds(population: Population, folds: int, fold: int) -> None:
    """Refuse a class that has fewer images, or groups of them, than there are folds.

    Raises:
        ToolkitError: naming the smallest class.
    """
    small = _small(population, folds)
    if not small:
        return
    smallest, number = small[0]
    below = " with a lower --fold" if fold >= number else ""
    ways = [f"use --folds {number} or less{below}"] if number > 1 else []
    ways += _leave_out(population, small)
    problem = f"has {_images(population, smallest)}, too few for {folds} folds"
    raise ToolkitError("/".join(smallest), problem, ", or ".join(ways or ["use another --strategy"]))


def _small(population: Population, least: int) -> list[tuple[Stratum, int]]:
    """The classes of fewer than so many parts that can be drawn, the smallest first; those of an older split pass."""
    found = []
    for stratum, keys in population.strata.items():
        number = len(population.groups_in(keys)) if stratum[0] in population.joined else len(keys)
        if number < least and not any(key in population.kept for key in keys):
            found.append((stratum, number))
    return sorted(found, key=lambda one: one[1])


def _images(population: Population, stratum: Stratum) -> str:
    keys = population.strata[stratum]
    groups = len(population.groups_in(keys)) if stratum[0] in population.joined else len(keys)
    told = f"{len(keys)} image{'s' * (len(keys) != 1)}"
    return told + (f" in {groups} group{'s' * (groups != 1)}" if groups < len(keys) else "")


def _leave_out(population: Population, small: Sequence[tuple[Stratum, int]]) -> list[str]:
    """That the small classes can be left out, where others remain."""
    if len(small) == len(population.strata):
        return []
    return [_way_out(population, [one for one, _ in small])]


def _way_out(population: Population, strata: Sequence[Stratum]) -> str:
    flag = leave_out_flag([population.name(stratum) for stratum in strata])
    return f"leave {'it' if len(strata) == 1 else 'such classes'} out with {flag}"


def uniform_error(
    error: TooFewError,
    population: Population,
    numbers: tuple[int, int],
    draw: Callable[[Population, int, int], object],
) -> ToolkitError:
    """What is wrong with equal numbers of every class, and what would work: it is tried.

    Args:
        error: what the draw came upon.
        population: what was drawn from.
        numbers: images of each class, and how many of them are test.
        draw: the draw, for as many of each as it is given.
    """
    per_class, test = numbers

    def works(images: int, tested: int, among: Population = population) -> bool:
        try:
            draw(among, images, tested)
        except TooFewError:
            return False
        return True

    largest = max(map(len, population.strata.values()))
    ways = []
    fewer = (number for number in range(min(per_class - 1, largest), 0, -1))
    best = next((number for number in fewer if works(number, min(test, number - 1))), 0)
    if best > test:
        ways.append(f"use --per-class {best} or less")
    elif best:
        ways.append(f"use --per-class {best} with --test-per-class {best - 1}{' or less' * (best > 1)}")
    small = [one for one in population.strata if not works(per_class, test, population.only([one]))]
    others = [one for one in population.strata if one not in small]
    if small and others and works(per_class, test, population.only(others)):
        ways.append(_way_out(population, small))
    problem = f"{error.has}, --per-class asks for {per_class}"
    if "group" in error.has:
        problem += f", {test} of them test"
    return ToolkitError("/".join(error.stratum), problem, ", or ".join(ways or ["use another --strategy"]))
