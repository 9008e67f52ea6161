"""Several roots as one source: datasets and label trees of any format, their images side by side.

Keys stay what they are where no two roots have one in common. Where they do, the key of every image, of every root,
gets the name of its root before it: one rule for all, so that a key tells where its image is from. Classes are united
by their names, in the order in which the roots name them first.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from converters.formats.base import Holds, Labelled, Reading, Settings
from converters.formats.registry import find_format, read_manifest
from converters.recognition import reading_of
from converters.sources import LayoutLike, Member, Source, SourceLike, is_label_file, open_source, trees_in
from toolkit.dataset.dataset import Dataset
from toolkit.dataset.samples import ClassScheme, Sample
from toolkit.dataset.splits import SUBSETS
from toolkit.dataset.splits.duplicates import find_duplicates
from toolkit.errors import Problem, ToolkitError
from toolkit.files.parallel import shared_path
from toolkit.geometry.labels import LabelledImage

__all__ = [
    "MergedSource",
    "SourcesLike",
    "is_ours",
    "open_sources",
    "parts_of",
    "roots_of",
    "shared_images",
    "shared_paths",
]

SourcesLike = SourceLike | Sequence[SourceLike]
"""A source, or several, as a list or tuple."""

_HOLDS: tuple[Holds, ...] = ("pixels", "boxes", "oriented boxes", "classes")  # what tells the most goes first
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class _Renamed:
    """An image of one root under another key."""

    member: Member
    sample: Sample

    @property
    def missing(self) -> Problem | None:
        """As of the image in its root."""
        return self.member.missing

    def read(self, settings: Settings, subset: str = "") -> Labelled:
        """As the image in its root."""
        labelled = self.member.read(settings, subset)
        return replace(labelled, image=replace(labelled.image, key=self.sample.key))

    def inspect(self, settings: Settings) -> tuple[Problem, ...]:
        """As of the image in its root."""
        return self.member.inspect(settings)

    def label_digest(self) -> str:
        """As of the image in its root."""
        return self.member.label_digest()

    def marked(self) -> npt.NDArray[np.bool_] | None:
        """As of the image in its root."""
        return self.member.marked()


class MergedSource:
    """The images of several sources.

    Attributes:
        sources: what it is made of, at least two.
        names: of each, all different.
        prefixes: what stands before the keys of each; none where keys stay what they are.
        place_of: key -> number of the source that has it.
    """

    tree = None

    def __init__(
        self,
        sources: Sequence[Source],
        names: Sequence[str],
        prefixes: Sequence[str] | None = None,
        notes: Iterable[str] = (),
    ) -> None:
        """Put sources together.

        Args:
            sources: at least two.
            names: of each, all different.
            prefixes: of each, or none, where that is settled; else found by the keys.
            notes: what else to say.

        Raises:
            ToolkitError: two images have one key whatever stands before it.
        """
        self.sources, self.names, self._told = tuple(sources), tuple(names), tuple(notes)
        self.root = _common([_home(source.root) for source in sources])
        layouts = {source.layout for source in sources}
        self.layout = layouts.pop() if len(layouts) == 1 else "several"
        self.holds = next(holds for holds in _HOLDS if any(source.holds == holds for source in sources))
        self.schemes = tuple(one for one in sources[0].schemes if all(one in source.schemes for source in sources))
        self.layout_problems = tuple(sorted({one for source in sources for one in source.layout_problems}))
        self.prefixes = tuple(_needed(sources, names) if prefixes is None else prefixes)
        self.place_of: dict[str, int] = {}
        self._unmasked: dict[str, Problem] = {}
        self.members = sorted(self._placed(), key=lambda member: member.sample.key)

    def _placed(self) -> list[Member]:
        """The images under keys that no two share."""
        found: dict[str, Member] = {}
        for place, source in enumerate(self.sources):
            unmasked = source.dataset.unmasked
            for member in source.members:
                old = member.sample.key
                # What came to be alike after a tree was made without prefixes must not take the place of what it shows.
                prefix = self.prefixes[place] if self.prefixes else self.names[place] if old in found else ""
                key = _below(prefix, old) if prefix else old
                if key in found:
                    raise ToolkitError(source.root, f"has an image {key!r}, as another root has", "rename one of them")
                found[key] = _renamed(member, key, prefix) if prefix else member
                self.place_of[key] = place
                if old in unmasked:
                    self._unmasked[key] = unmasked[old]
        return list(found.values())

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of all of them, how keys were told apart, and classes that may be meant to be one."""
        return self.notes_on({name: name for name in self.classes()})

    def notes_on(self, names: Mapping[str, str]) -> tuple[str, ...]:
        """The same where classes get other names; `names` are those of the classes that are kept."""
        notes = [*(note for source in self.sources for note in source.notes), *self._told]
        if self.prefixes:
            told = _listed(self.prefixes)
            notes.append(f"roots have keys in common: each key begins with the name of its root, {told}")
        alike: dict[str, dict[str, str]] = defaultdict(dict)
        for name, new in names.items():
            alike[re.sub(r"[\W_]+", "", new).casefold()][name] = new
        for group in alike.values():
            first, *others = dict.fromkeys(group.values())
            if others:
                pairs = " ".join(f"--rename {name}={first}" for name, new in group.items() if new != first)
                told = " and ".join(map(repr, (first, *others)))
                notes.append(f"the classes {told} are kept apart: {pairs} makes them one")
        return tuple(dict.fromkeys(notes))

    @cached_property
    def dataset(self) -> Dataset:
        """The images as samples."""
        return Dataset(
            [member.sample for member in self.members],
            root=self.root,
            layout=self.layout,
            layout_problems=self.layout_problems,
            notes=self.notes,
            unmasked=self._unmasked,
        )

    @property
    def reader(self) -> Mapping[str, Callable[[], LabelledImage]] | None:
        """Key -> what reads the labels of that image, where those of one of the roots do not stand in masks."""
        if all(source.reader is None for source in self.sources):
            return None
        settings = Settings(tuple(self.classes()))
        return {member.sample.key: partial(_labelled, member, settings) for member in self.members}

    def classes(self, scheme: ClassScheme = "defect") -> list[str]:
        """Names of the classes, each once, in the order in which the roots name them.

        Raises:
            ToolkitError: the labels of one cannot be named so.
        """
        return list(dict.fromkeys(name for source in self.sources for name in source.classes(scheme)))

    def only(self, categories: Sequence[str]) -> Source:
        """The part that belongs to some products; a root that has none of them is left out.

        Raises:
            ToolkitError: one is in none of the roots, or the labels of one name no products.
        """
        there = [source.dataset.categories if source.tree is None else categories for source in self.sources]
        unknown = [name for name in categories if not any(name in names for names in there)]
        if unknown:
            known = sorted({name for names in there for name in names})
            raise ToolkitError(self.root, f"has no category {unknown[0]!r}", f"it has: {', '.join(known) or 'none'}")
        kept = [
            (source.only([name for name in categories if name in names]), own)
            for source, names, own in zip(self.sources, there, self.names, strict=True)
            if any(name in names for name in categories)
        ]
        return kept[0][0] if len(kept) == 1 else MergedSource(*zip(*kept, strict=True))


def _home(root: Path) -> str:
    path = Path(os.path.abspath(root))  # noqa: PTH100 -- names are those that were given
    return str(path.parent if is_label_file(root) else path)


def _common(homes: Sequence[str]) -> Path:
    """The folder that holds all roots; on several drives there is none, and the first stands for it."""
    try:
        return Path(os.path.commonpath(homes))
    except ValueError:
        return Path(homes[0])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"{name}/" for name in names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _needed(sources: Sequence[Source], names: Sequence[str]) -> Sequence[str]:
    """The names where two sources have a key in common, else none."""
    keys = [{member.sample.key for member in source.members} for source in sources]
    return names if len(set().union(*keys)) < sum(map(len, keys)) else ()


def _below(prefix: str, key: str) -> str:
    """A key behind a prefix, which must not make of it what says its product, subset and class."""
    parts = key.split("/")
    return f"{prefix}-{key}" if len(parts) == 3 and parts[0] in SUBSETS else f"{prefix}/{key}"


def _renamed(member: Member, key: str, prefix: str) -> Member:
    sample = member.sample
    return _Renamed(member, replace(sample, key=key, group=f"{prefix}/{sample.group}" if sample.group else ""))


def _labelled(member: Member, settings: Settings) -> LabelledImage:
    return member.read(settings).image


def open_sources(
    given: SourcesLike,
    layout: LayoutLike = None,
    *,
    layouts: Sequence[LayoutLike] | None = None,
    prefixes: Sequence[str] | None = None,
) -> Source:
    """One source, or several as one.

    Args:
        given: what `open_source` opens, or a list of that.
        layout: how roots are laid out that are no label trees of ours; found by itself if None.
        layouts: of each root, where they are known.
        prefixes: as of `MergedSource`.

    Raises:
        ToolkitError: one of them cannot be opened, is named twice, or lies in another.
    """
    if not isinstance(given, list | tuple):
        return open_source(given, layout)  # type: ignore[arg-type]  # a dataset is a sequence, too
    if not given:
        raise ToolkitError("ROOT", "no root is named", "name one or more")
    if len(given) == 1:
        return open_source(given[0], layout)
    paths = [Path(one) if isinstance(one, str | Path) else one.root for one in given]
    _check_apart(paths)
    reading = reading_of(layout) if layouts is None else None
    if reading is not None:
        sources = [open_source(one, layout, strict=False) for one in given]
        return MergedSource(sources, _names(paths), prefixes, _unheeded(sources, reading))
    laid_out = layouts if layouts is not None else [None if is_ours(one) else layout for one in given]
    sources = [open_source(one, told) for one, told in zip(given, laid_out, strict=True)]
    return MergedSource(sources, _names(paths), prefixes)


def _unheeded(sources: Sequence[Source], reading: Reading) -> list[str]:
    """Notes on the roots of which something says nothing that is told of labels.

    Raises:
        ToolkitError: it says nothing of any of them.
    """
    notes = []
    for name in reading.described().keys() - {"alone"}:
        flag = f"--{name.replace('_', '-')}"
        deaf = [
            source
            for source in sources
            if name not in (("without_label",) if source.tree is None else find_format(source.tree.kind).reads)
        ]
        if len(deaf) == len(sources):
            raise ToolkitError(flag, "says nothing of any of these roots", "leave it out")
        notes += [f"{source.root}: is read as {source.layout}, of which {flag} says nothing" for source in deaf]
    return notes


def is_ours(one: object) -> bool:
    """Whether a path leads to a label tree that we wrote, a folder of one, or a label file."""
    if not isinstance(one, str | Path):
        return False
    root = Path(one)
    if not root.is_dir():
        return is_label_file(root)
    return any(read_manifest(folder) is not None for folder in (root, *trees_in(root)))


def _check_apart(roots: Sequence[Path]) -> None:
    """Refuse images that would be there twice.

    Raises:
        ToolkitError: a root is named twice, or lies in another.
    """
    real = [root.resolve() for root in roots]
    for place, root in enumerate(real):
        for other in range(len(real)):
            if place > other and root == real[other]:
                raise ToolkitError(roots[place], "is named twice", "name each root once")
            if place != other and root != real[other] and root.is_relative_to(real[other]) and real[other].is_dir():
                raise ToolkitError(roots[place], f"lies in {roots[other]}, which is named too", "name one of them")


def _names(roots: Sequence[Path]) -> list[str]:
    """A name for each root: that of its folder, or of one above it where these are alike."""
    paths = [Path(os.path.abspath(root)) for root in roots]  # noqa: PTH100 -- names are those that were given
    parts = [(*path.parts[:-1], path.stem if is_label_file(path) else path.name) for path in paths]
    for depth in range(1, max(map(len, parts)) + 1):
        for names in (
            [one[-depth] if len(one) >= depth else "" for one in parts],
            ["-".join(one[-depth:]) for one in parts],
        ):
            plain = [re.sub(r"[\\/:]+", "", name) or "root" for name in names]
            if len(set(plain)) == len(plain):
                return plain
    return [f"{place}-{names}" for place, names in enumerate(plain, 1)]


def shared_paths(given: SourcesLike, cluster: str | None) -> SourcesLike:
    """As `toolkit.files.parallel.shared_path`, of one source or of each of several."""
    if isinstance(given, list | tuple):
        return [shared_path(one, cluster) for one in given]
    return shared_path(given, cluster)


def parts_of(source: Source) -> tuple[Source, ...]:
    """The sources that one is made of: itself, unless it was merged."""
    return source.sources if isinstance(source, MergedSource) else (source,)


def roots_of(source: Source) -> tuple[Path, ...]:
    """The folders and files that a source is read from."""
    return tuple(one.root for one in parts_of(source))


def shared_images(source: Source, items: Iterable[tuple[Member, str]]) -> list[str]:
    """A note on images that are in several roots, byte for byte.

    Args:
        source: what is converted.
        items: its images, with the subset of each.

    Raises:
        ToolkitError: an image cannot be read.
    """
    if not isinstance(source, MergedSource):
        return []
    subsets = {member.sample.key: (member.sample, subset) for member, subset in items}
    there = [sample for sample, _ in subsets.values() if sample.image.is_file()]
    roots: dict[int, set[int]] = defaultdict(set)
    for sample in there:
        roots[sample.image.stat().st_size].add(source.place_of[sample.key])
    there = [sample for sample in there if len(roots[sample.image.stat().st_size]) > 1]
    twins = [keys for keys in find_duplicates(there) if len({source.place_of[key] for key in keys}) > 1]
    if not twins:
        return []
    torn = sum(len({subsets[key][1] for key in keys}) > 1 for keys in twins)
    shown = f"{len(twins)} image(s) are in several roots, byte for byte: {' and '.join(twins[0][:2])}"
    more = "" if len(twins) == 1 else ", ..."
    apart = f"; {torn} of them lie in several subsets, which --strategy keeps together" if torn else ""
    return [f"{shown}{more}{apart}"]
