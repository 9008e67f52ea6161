"""Labels as a review left them: a source of which some labels are removed, some are of another class, some are gone.

What a review changed stands in the manifest of the tree that was written from it, image by image. With that, and with
the labels that were reviewed, anybody can make the same source again: `verify` compares with it, pixel by pixel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from converters.formats.base import Labelled, Settings
from converters.sources import Member, Source
from toolkit.aliases import JsonObject
from toolkit.dataset.dataset import Dataset
from toolkit.dataset.samples import GOOD, ClassScheme, Sample
from toolkit.errors import Problem, ToolkitError
from toolkit.files.typed import Record, checked
from toolkit.geometry.instances import Grouping
from toolkit.geometry.labels import LabelledImage

__all__ = ["Change", "Outcome", "Part", "ReviewedSource", "reviewed"]

Outcome = Literal["corrected", "good", "dropped", "needs work"]
"""What becomes of an image: its labels are others; it is without a defect; it is left out; somebody draws it anew."""

Part = Literal["corrected", "needs work"]
"""Which images a tree holds: those that are right now, or those that somebody has to draw."""


class Change(Record):
    """What a review changed of an image.

    Attributes:
        key: of the image.
        outcome: what becomes of it.
        was: class of each label, in the order in which the labels are read.
        labels: class of each from now on; None where it is removed.
        image_class: class of the whole image from now on.
    """

    key: str
    outcome: Outcome
    was: list[str]
    labels: list[str | None]
    image_class: str

    def described(self) -> JsonObject:
        """As it stands in a manifest."""
        return self.model_dump()


class _Review(Record):
    """What is needed of the `review` of a manifest."""

    part: Part
    undecided: Literal["keep", "drop"]
    decided: list[str]
    changes: list[Change]


@dataclass(frozen=True, slots=True)
class _ReviewedMember:
    """An image whose labels a review changed."""

    member: Member
    sample: Sample
    change: Change

    @property
    def missing(self) -> Problem | None:
        """As of the image as it was."""
        return self.member.missing

    def read(self, settings: Settings, subset: str = "") -> Labelled:
        """The labels that are left, under their classes of now.

        Raises:
            ToolkitError: as of the image as it was; or its labels are not those that were reviewed.
        """
        change = self.change
        every = replace(settings, scheme="defect", min_area=0, grouping=Grouping())
        every = replace(every, selection=replace(settings.selection, max_area=None))
        labelled = self.member.read(every, subset)
        image = labelled.image
        if [one.label for one in image.instances] != change.was:
            raise ToolkitError(change.key, "its labels are not those that were reviewed", "review them again")
        pairs = zip(image.instances, change.labels, strict=True)
        kept = tuple(replace(one, label=label) for one, label in pairs if label is not None)
        kind = "good" if change.outcome == "good" else image.kind
        now = replace(image, instances=kept, image_label=change.image_class, kind=kind)
        now = now.binary() if settings.scheme == "binary" else now
        return replace(labelled, image=now, found=labelled.found - len(image.instances) + len(kept))

    def inspect(self, settings: Settings) -> tuple[Problem, ...]:
        """As of the image as it was."""
        return self.member.inspect(settings)

    def label_digest(self) -> str:
        """Of its labels and of what was changed."""
        return hashlib.sha256(f"{self.member.label_digest()}{self.change.described()}".encode()).hexdigest()

    def marked(self) -> npt.NDArray[np.bool_] | None:
        """What is still marked."""
        return None if self.member.marked() is None else self.read(Settings(())).image.marked()


def _labelled(member: Member, settings: Settings) -> LabelledImage:
    return member.read(settings).image


class ReviewedSource:
    """The images of a source as a review left them.

    Attributes:
        inner: what was reviewed.
        review: what was changed, as it stands in a manifest.
    """

    tree = None

    def __init__(self, inner: Source, review: Mapping[str, object]) -> None:
        """Apply a review.

        Args:
            inner: what was reviewed: one dataset or one label tree.
            review: `review` of a manifest.

        Raises:
            ToolkitError: it is none, or is of an image that is not there.
        """
        told = checked(_Review, dict(review), inner.root, "review the labels again")
        self.inner, self.review = inner, review
        self.root, self.layout, self.holds = inner.root, inner.layout, inner.holds
        self.layout_problems, self.notes = inner.layout_problems, inner.notes
        self.schemes: tuple[ClassScheme, ...] = tuple(one for one in inner.schemes if one in ("defect", "binary"))
        self.members = _members(inner, told)
        self._new = [one for change in told.changes for one in change.labels if one is not None]

    @cached_property
    def dataset(self) -> Dataset:
        """The images as samples."""
        return Dataset(
            [member.sample for member in self.members],
            root=self.root,
            layout=self.layout,
            layout_problems=self.layout_problems,
            notes=self.notes,
            description=self.inner.dataset.description,
        )

    @property
    def reader(self) -> Mapping[str, Callable[[], LabelledImage]] | None:
        """Key -> what reads the labels of that image."""
        settings = Settings(tuple(self.classes()))
        return {member.sample.key: partial(_labelled, member, settings) for member in self.members}

    def classes(self, scheme: ClassScheme = "defect") -> list[str]:
        """Those of what was reviewed: a class that no label has any more keeps its number."""
        known = self.inner.classes(scheme)
        return known if scheme == "binary" else list(dict.fromkeys((*known, *self._new)))

    def only(self, categories: object) -> Source:
        """Refuse: what is left of a review is one thing.

        Raises:
            ToolkitError: always.
        """
        raise ToolkitError("--category", "reviewed labels are not parted by product", "leave it out")


def _members(inner: Source, told: _Review) -> list[Member]:
    """The images of one part of a review.

    Raises:
        ToolkitError: a change is of an image that is not there.
    """
    changes = {change.key: change for change in told.changes}
    decided = {*told.decided, *changes}
    found: list[Member] = []
    for member in inner.members:
        key = member.sample.key
        change = changes.pop(key, None)
        work = change is not None and change.outcome == "needs work"
        if work != (told.part == "needs work") or (change is not None and change.outcome == "dropped"):
            continue
        if change is not None:
            found.append(_ReviewedMember(member, _sample(member.sample, change), change))
        elif told.undecided == "keep" or key in decided:
            found.append(member)
    if changes:
        raise ToolkitError(inner.root, f"has no image {next(iter(changes))!r}, which was reviewed", "put it back")
    return found


def _sample(sample: Sample, change: Change) -> Sample:
    if change.outcome == "good":
        return replace(sample, defect=GOOD, masks=(), boxes=(), kind="good")
    return sample if change.labels == change.was and not sample.defect else replace(sample, defect=change.image_class)


def reviewed(source: Source, manifest: Mapping[str, object]) -> Source:
    """A source as the manifest of a tree that was written from it says that a review left it.

    Raises:
        ToolkitError: the review is of other images.
    """
    told = manifest.get("review")
    return ReviewedSource(source, told) if isinstance(told, dict) else source
