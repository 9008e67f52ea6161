"""What the rest of the program asks of images with labels, whatever they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from converters.formats.base import Holds, Labelled, Settings
from converters.formats.label_tree import LabelTree
from toolkit.dataset.dataset import Dataset
from toolkit.dataset.samples import ClassScheme, Sample
from toolkit.errors import Problem
from toolkit.geometry.labels import LabelledImage

__all__ = ["Member", "Source"]


class Member(Protocol):
    """One image of a source, before its labels are read. It can be sent to another process."""

    @property
    def sample(self) -> Sample:
        """Key, image, class and subset."""

    @property
    def missing(self) -> Problem | None:
        """What it lacks for those who need masks; None if nothing."""

    def read(self, settings: Settings, subset: str = "") -> Labelled:
        """The image and its instances under some settings, in `subset` or its own.

        Raises:
            ToolkitError: its files are at fault; `problems` has everything.
        """

    def inspect(self, settings: Settings) -> tuple[Problem, ...]:
        """Everything that is wrong with its files."""

    def label_digest(self) -> str:
        """SHA-256 of what its labels are read from."""

    def marked(self) -> npt.NDArray[np.bool_] | None:
        """What is marked, of whatever class: bool (height, width); None where the labels say nothing of places.

        Raises:
            ToolkitError: its files are at fault.
        """


class Source(Protocol):
    """Images with labels: what every command and every learner reads."""

    @property
    def root(self) -> Path:
        """The folder."""

    @property
    def layout(self) -> str:
        """Name of the dataset's layout, or of the tree's format."""

    @property
    def holds(self) -> Holds:
        """What the labels consist of."""

    @property
    def members(self) -> Sequence[Member]:
        """The images, sorted by key."""

    @property
    def schemes(self) -> tuple[ClassScheme, ...]:
        """Ways in which classes can be named."""

    @property
    def layout_problems(self) -> tuple[Problem, ...]:
        """As in `toolkit.dataset.samples.Dataset`."""

    @property
    def notes(self) -> tuple[str, ...]:
        """As in `toolkit.dataset.samples.Dataset`."""

    @property
    def dataset(self) -> Dataset:
        """The images as samples."""

    @property
    def reader(self) -> Mapping[str, Callable[[], LabelledImage]] | None:
        """Key -> what reads the labels of that image, where they do not stand in masks; else None."""

    @property
    def tree(self) -> LabelTree | None:
        """The label tree, if it is one."""

    def classes(self, scheme: ClassScheme = "defect") -> list[str]:
        """Names of the instance classes, in the order of their ids.

        Raises:
            ToolkitError: the labels cannot be named so.
        """

    def only(self, categories: Sequence[str]) -> Source:
        """The part that belongs to some products.

        Raises:
            ToolkitError: one is not there, or the labels name no products.
        """
