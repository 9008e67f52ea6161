"""What a split must not tear apart: identical images, the items of a layout, and what the user says."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from toolkit.dataset.neighbours import near_duplicates
from toolkit.dataset.samples import GOOD, Sample
from toolkit.dataset.splits.duplicates import find_duplicates
from toolkit.dataset.splits.model import SUBSETS, Group, Population, Split, Stratum, stratum_of
from toolkit.dataset.splits.patterns import groups_by_pattern

__all__ = ["NEAR_DUPLICATES", "notes_on_draw", "populate"]

NEAR_DUPLICATES = "near-duplicates"
"""The groups that are found by looking at the images."""

_ROBOFLOW = re.compile(r"(?P<photo>.+_(?:jpg|jpeg|png|bmp))\.rf\.[0-9A-Za-z]+(?:\.\w+)?")


def populate(
    samples: Sequence[Sample], group: str | None, seed: int, kept: Mapping[str, str]
) -> tuple[Population, list[str]]:
    """What a split is drawn from, with all that belongs together, and notes on that.

    Args:
        samples: the images to draw.
        group: a pattern over keys, "near-duplicates", or None.
        seed: of the draw.
        kept: subsets that stand already; what belongs to one of these images follows it.

    Raises:
        ToolkitError: the pattern is none or fits no key, or an image cannot be read.
    """
    strata: dict[Stratum, list[str]] = defaultdict(list)
    for sample in sorted(samples, key=lambda sample: sample.key):
        strata[stratum_of(sample)].append(sample.key)
    identical = [tuple(twins) for twins in find_duplicates(samples)]
    alike, notes = _belonging(samples, group)
    groups = _joined({sample.key for sample in samples}, [*identical, *alike])
    twins: dict[str, Group] = {sample.key: (sample.key,) for sample in samples}
    for one in identical:
        twins |= dict.fromkeys(one, one)
    of_category = {sample.key: sample.category for sample in samples}
    joined = {of_category[key] for key, one in groups.items() if one != twins[key]}
    if kept:
        joined |= set(of_category.values())
    if identical:
        notes.append(f"{len(identical)} set(s) of identical images each share a subset")
    several = {one for key, one in groups.items() if one != twins[key]}
    if several:
        notes.append(f"{len(several)} group(s) of together {sum(map(len, several))} images each share a subset")
    elif group is not None:
        notes.append(f"--group '{group}' finds no two images that belong together")
    following, torn = _followers(groups, kept)
    notes += [f"{torn} group(s) lie in several subsets of the older split, and stay so"] if torn else []
    stands = {**following, **kept}
    return Population(dict(sorted(strata.items())), groups, twins, frozenset(joined), seed, stands), notes


def _belonging(samples: Sequence[Sample], group: str | None) -> tuple[list[Group], list[str]]:
    """Keys that belong together by the layout and by what the user says, and notes."""
    by_item: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for sample in samples:
        if sample.group:
            by_item["item", sample.category, sample.group].append(sample.key)
    notes: list[str] = []
    alike: list[Group] = []
    if group == NEAR_DUPLICATES:
        alike = [tuple(keys) for keys in near_duplicates(samples)]
    elif group is not None:
        named, notes = groups_by_pattern(samples, group)
        for key, name in named.items():
            by_item["pattern", *name].append(key)
    return [*alike, *(tuple(keys) for keys in by_item.values() if len(keys) > 1)], notes


def _joined(keys: Iterable[str], alike: Iterable[Group]) -> dict[str, Group]:
    """Key -> all keys that it hangs together with, by union-find."""
    parent = {key: key for key in keys}

    def root(key: str) -> str:
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for first, *others in alike:
        for other in others:
            one, two = sorted((root(first), root(other)))
            parent[two] = one
    members: dict[str, list[str]] = defaultdict(list)
    for key in sorted(parent):
        members[root(key)].append(key)
    return {key: group for group in map(tuple, members.values()) for key in group}


def _followers(groups: Mapping[str, Group], kept: Mapping[str, str]) -> tuple[dict[str, str], int]:
    """The subsets of images that belong to one with a subset, and the number of groups that lie in several."""
    following: dict[str, str] = {}
    torn = 0
    for group in {groups[key] for key in kept}:
        subsets = sorted({kept[key] for key in group if key in kept}, key=SUBSETS.index)
        torn += len(subsets) > 1
        following |= dict.fromkeys(group, subsets[0])
    return following, torn


def notes_on_draw(samples: Sequence[Sample], population: Population, split: Split) -> list[str]:
    """What a user should know of subsets that were drawn."""
    notes = []
    if {sample.split for sample in samples if stratum_of(sample)[1] != GOOD} == {"test"}:
        notes.append(
            "defects stand in the test folder only, so its images are drawn into the new subsets; "
            "figures on this split do not compare with those on the dataset's own test set"
        )
    return [*notes, *_lacking(population, split), *_torn_photos(samples, split)]


def _lacking(population: Population, split: Split) -> list[str]:
    """Classes that a subset has no image of, since what belongs together leaves it none."""
    notes = []
    drawn = [subset for subset in SUBSETS if subset in split.values()]
    for stratum, keys in population.strata.items():
        missing = [subset for subset in drawn if subset not in {split.get(key) for key in keys}]
        if missing and stratum[0] in population.joined and any(key in split for key in keys):
            why = "" if population.kept else ", since its images belong together"
            notes.append(f"{'/'.join(stratum)}: no image in {' and '.join(missing)}{why}")
    return notes


def _torn_photos(samples: Sequence[Sample], split: Split) -> list[str]:
    """A note on copies of one photo, as Roboflow names them, that lie in several subsets."""
    subsets: dict[tuple[str, str], set[str]] = defaultdict(set)
    for sample in samples:
        name = _ROBOFLOW.fullmatch(sample.key.rpartition("/")[2])
        if name is not None and sample.key in split:
            subsets[sample.category, name["photo"]].add(split[sample.key])
    torn = sum(len(found) > 1 for found in subsets.values())
    if not torn:
        return []
    return [
        f"the copies of {torn} of {len(subsets)} photos (NAME.rf.HASH) lie in several subsets, so that what is tested "
        "was trained on; --group '{photo}.rf.*' keeps them together"
    ]
