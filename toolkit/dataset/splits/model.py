"""What a split is: who is train, val and test, how that was drawn, and what belongs together."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from toolkit.dataset.samples import Sample, image_class

__all__ = ["NONE", "STRATEGIES", "SUBSETS", "Group", "Population", "Split", "Stratum", "is_named", "stratum_of"]

SUBSETS = ("train", "val", "test")
STRATEGIES = ("native", "stratified", "uniform", "kfold")
NONE = "none"
"""Subset that a CSV gives to samples that it leaves out."""

Stratum = tuple[str, str]
"""A category, and a class of its images."""
Group = tuple[str, ...]
"""Keys of images that share a subset, sorted; most often one."""


class Split(dict[str, str]):
    """Key -> "train", "val" or "test". Keys of the dataset that are missing here are left out on purpose.

    Attributes:
        strategy: how it was made; "file" if read from a CSV without the first comment.
        settings: what it was made with, for instance {"seed": 0, "val": 0.1}.
        notes: what a user should know of it.
        left_out: keys that the file it was read from gives no subset, sorted.
    """

    def __init__(
        self,
        subsets: Mapping[str, str],
        *,
        strategy: str,
        settings: Mapping[str, object] | None = None,
        notes: Iterable[str] = (),
        left_out: Iterable[str] = (),
    ) -> None:
        super().__init__(sorted(subsets.items()))
        self.strategy = strategy
        self.settings = dict(settings or {})
        self.notes = tuple(notes)
        self.left_out = tuple(sorted(left_out))


def stratum_of(sample: Sample) -> Stratum:
    """What the shares of a sample are counted in; images of several classes without a class of their own are one."""
    return sample.category, image_class(sample, "defect")


def is_named(stratum: Stratum, names: Iterable[str]) -> bool:
    """Whether a class is among some names, as "rare", or as "screw/rare" for that of one category."""
    return not {stratum[1], "/".join(stratum)}.isdisjoint(names)


@dataclass(frozen=True, eq=False)
class Population:
    """The images that a split is drawn from.

    Attributes:
        strata: the keys of each class of each category, all sorted.
        groups: key -> keys that share its subset, itself among them.
        twins: key -> keys of images with the same bytes, itself among them.
        joined: categories in which more than twins belong together.
        seed: of the draw.
        kept: subsets that stand before anything is drawn.
    """

    strata: dict[Stratum, list[str]]
    groups: Mapping[str, Group]
    twins: Mapping[str, Group]
    joined: frozenset[str]
    seed: int
    kept: Mapping[str, str] = field(default_factory=dict)

    def of_category(self, category: str) -> dict[Stratum, list[str]]:
        """The strata of one category."""
        return {stratum: keys for stratum, keys in self.strata.items() if stratum[0] == category}

    def only(self, strata: Iterable[Stratum]) -> Population:
        """The part that consists of some classes."""
        return replace(self, strata={stratum: self.strata[stratum] for stratum in strata})

    def groups_in(self, keys: Sequence[str]) -> list[Group]:
        """The groups that some keys belong to, sorted."""
        return sorted({self.groups[key] for key in keys})

    def name(self, stratum: Stratum) -> str:
        """How a stratum is called where a user names classes: by its class, unless other categories have that too."""
        alone = sum(label == stratum[1] for _, label in self.strata) == 1
        return stratum[1] if alone else "/".join(stratum)

    def generator(self, stratum: Stratum) -> np.random.Generator:
        """Random numbers of this stratum's own, so that other products and classes change nothing."""
        return np.random.default_rng((self.seed, zlib.crc32("/".join(stratum).encode())))
