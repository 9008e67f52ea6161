"""What changed between two versions of a dataset, of its labels, or of a split."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from converters.formats.base import Settings
from converters.formats.registry import find_format
from converters.merging import is_ours
from converters.sources import LayoutLike, Member, Source, SourceLike, open_source
from converters.writing.selection import selection_of, selection_words
from toolkit.dataset.splits import Split, load_split
from toolkit.errors import BadInputError, Problem, ToolkitError
from toolkit.files.parallel import ordered_map
from toolkit.geometry.labels import Instance, LabelledImage, paint, plain_attributes, window_of
from toolkit.imaging.copies import is_copy

__all__ = ["DiffReport", "LabelChange", "diff"]

T = TypeVar("T")
_UNLABELLED = "no label"
_LEFT_OUT = "none"
_NEAR_PX = 0.05  # by which sides of one box may differ that formats write with few decimals


@dataclass(frozen=True)
class LabelChange:
    """An image whose labels differ.

    Attributes:
        key: the image.
        before, after: class -> instances; those of other attributes than the class's own stand by themselves.
        iou: of all marked pixels, whatever their class; None where the image changed its size.
    """

    key: str
    before: dict[str, int]
    after: dict[str, int]
    iou: float | None


Change = tuple[str, str, str]
"""Key of an image, and what was before and is after."""


@dataclass(frozen=True)
class DiffReport:
    """What differs between two datasets, label trees or splits; all lists are sorted.

    Attributes:
        before, after: what was compared.
        images: how many images each has.
        came, went: keys of images that one alone has.
        renamed: (key before, key after) of image files that are the same; in what follows they go by their new key.
        moved: images in another subset.
        classes_came, classes_went: names of classes that one alone has.
        reclassed: images of another class as a whole.
        labels: images whose instances differ, in number, class or place.
        pictures: keys of images whose files differ.
        notes: what could not be compared.
    """

    before: str
    after: str
    images: tuple[int, int]
    came: tuple[str, ...] = ()
    went: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    moved: tuple[Change, ...] = ()
    classes_came: tuple[str, ...] = ()
    classes_went: tuple[str, ...] = ()
    reclassed: tuple[Change, ...] = ()
    labels: tuple[LabelChange, ...] = ()
    pictures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        told = asdict(self)
        return not any(told[name] for name in told.keys() - {"before", "after", "images", "notes"})

    def as_json(self) -> dict[str, object]:
        """The report as one JSON object."""
        changes = {
            name: [dict(zip(("key", "before", "after"), one, strict=True)) for one in found]
            for name, found in (("moved", self.moved), ("reclassed", self.reclassed))
        }
        renamed = [{"before": before, "after": after} for before, after in self.renamed]
        return {"equal": self.equal, **asdict(self), **changes, "renamed": renamed}


def diff(
    before: SourceLike | Split,
    after: SourceLike | Split,
    *,
    layout: LayoutLike = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> DiffReport:
    """Compare two datasets or label trees, or two splits.

    Images go by their keys; those that went and came with the same bytes are renamed. Attributes of instances are
    compared that both can hold.

    Args:
        before, after: what `open_source` opens; or two splits, as they are or as CSV files.
        layout: how a folder is laid out that is no label tree, or both are.
        workers: threads.
        progress: called with (done, total).

    Raises:
        ToolkitError: one of them cannot be read, or one is a split and the other is none.
    """
    splits = [_split(one) for one in (before, after)]
    names = _named(before), _named(after)
    if splits[0] is not None and splits[1] is not None:
        return _of_splits(names, splits[0], splits[1])
    if splits[0] is not None or splits[1] is not None:
        other = names[1] if splits[1] is None else names[0]
        if not Path(other).exists():
            raise ToolkitError(other, "no such file or folder", "check the path")
        raise ToolkitError(other, "is no split, and is compared with one", "name two splits, or two datasets or trees")
    if layout is not None and is_ours(before) and is_ours(after):
        raise ToolkitError("--layout", "stands beside two label trees, which say how they are laid out", "leave it out")
    opened = _opened(before, layout), _opened(after, layout)
    return _of_sources(names, opened, workers, progress)


def _named(one: SourceLike | Split) -> str:
    if isinstance(one, Split):
        return "a split"
    return str(one if isinstance(one, str | Path) else one.root)


def _split(one: SourceLike | Split) -> Split | None:
    if isinstance(one, str | Path) and Path(one).suffix.lower() == ".csv" and not Path(one).is_dir():
        return load_split(one)
    return one if isinstance(one, Split) else None


def _opened(one: SourceLike | Split, layout: LayoutLike) -> Source:
    if isinstance(one, Split):
        raise TypeError("a split is no source")
    source = _as_laid_out(one, layout)
    if source.layout_problems:
        raise BadInputError(source.layout_problems)
    return source


def _as_laid_out(one: SourceLike, layout: LayoutLike) -> Source:
    """A source; a label tree, which says itself how it is laid out, is read as one whatever the layout of the other."""
    if layout is None or is_ours(one):
        return open_source(one)
    try:
        return open_source(one, layout)
    except ToolkitError:
        with suppress(ToolkitError):
            other = open_source(one)
            if other.tree is not None:
                return other
        raise


def _of_splits(names: tuple[str, str], before: Split, after: Split) -> DiffReport:
    old, new = ({**one, **dict.fromkeys(one.left_out, _LEFT_OUT)} for one in (before, after))
    return DiffReport(
        *names,
        (len(old), len(new)),
        came=_sorted(new.keys() - old.keys()),
        went=_sorted(old.keys() - new.keys()),
        moved=_sorted((key, old[key], new[key]) for key in old.keys() & new.keys() if old[key] != new[key]),
    )


def _sorted(found: Iterable[T]) -> tuple[T, ...]:
    return tuple(sorted(found))  # type: ignore[type-var]


_Pair = tuple[Member, Member]


@dataclass(frozen=True)
class _Compared:
    """What differs in one image."""

    classes: tuple[str, str] | None = None
    labels: LabelChange | None = None
    picture: bool | None = None
    problems: tuple[Problem, ...] = ()


def _of_sources(
    names: tuple[str, str], sources: tuple[Source, Source], workers: int, progress: Callable[[int, int], None] | None
) -> DiffReport:
    old, new = ({one.sample.key: one for one in source.members} for source in sources)
    alone = (_sorted(old.keys() - new.keys()), _sorted(new.keys() - old.keys()))
    renamed = _renamed([old[key] for key in alone[0]], [new[key] for key in alone[1]])
    pairs = {key: (old[key], new[key]) for key in old.keys() & new.keys()}
    pairs |= {after: (old[before], new[after]) for before, after in renamed}
    found = _compared(pairs, sources, workers, progress)
    subsets = {key: (before.sample.split, after.sample.split) for key, (before, after) in pairs.items()}
    classes = [set(source.classes()) for source in sources]
    return DiffReport(
        *names,
        (len(old), len(new)),
        came=_sorted(new.keys() - pairs.keys()),
        went=_sorted(old.keys() - pairs.keys() - {before for before, _ in renamed}),
        renamed=_sorted(renamed),
        moved=_sorted((key, *both) for key, both in subsets.items() if both[0] != both[1]),
        classes_came=_sorted(classes[1] - classes[0]),
        classes_went=_sorted(classes[0] - classes[1]),
        reclassed=tuple((key, *one.classes) for key, one in found.items() if one.classes is not None),
        labels=tuple(one.labels for one in found.values() if one.labels is not None),
        pictures=tuple(key for key, one in found.items() if one.picture),
        notes=_notes(sources, found),
    )


def _compared(
    pairs: Mapping[str, _Pair],
    sources: tuple[Source, Source],
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> dict[str, _Compared]:
    """Key -> what differs in the image, sorted.

    Raises:
        BadInputError: with all that is wrong with the files.
    """
    settings = [Settings(classes=tuple(source.classes())) for source in sources]
    found: dict[str, _Compared] = {}
    keys = _sorted(pairs)
    compare = partial(_compare, settings=settings, attributes=_attributes(sources))
    results = ordered_map(compare, [pairs[key] for key in keys], workers=workers)
    for done, (key, one) in enumerate(zip(keys, results, strict=True), 1):
        found[key] = one
        if progress is not None:
            progress(done, len(keys))
    problems = sorted({problem for one in found.values() for problem in one.problems})
    if problems:
        raise BadInputError(problems)
    return found


def _attributes(sources: tuple[Source, Source]) -> frozenset[str] | None:
    """Names of the attributes that both can hold, None for any: what a format does not keep is no change."""
    kept = (None if source.tree is None else find_format(source.tree.kind).keeps for source in sources)
    told = [frozenset(names) for names in kept if names is not None]
    return frozenset.intersection(*told) if told else None


def _notes(sources: tuple[Source, Source], found: Mapping[str, _Compared]) -> tuple[str, ...]:
    notes = []
    holds = [source.holds for source in sources]
    if holds[0] != holds[1]:
        notes.append(f"the labels of the one are {holds[0]}, those of the other {holds[1]}")
    for source in sources:
        manifest = source.tree.manifest if source.tree is not None else None
        if manifest is not None and (asked := selection_of(manifest["options"])):
            notes.append(f"{source.root} was converted with {selection_words(asked)}")
    missing = sum(one.picture is None for one in found.values())
    if missing:
        notes.append(f"{missing} image file(s) are not there on both sides, and were not compared")
    return tuple(notes)


def _renamed(went: Sequence[Member], came: Sequence[Member]) -> list[tuple[str, str]]:
    """Keys before and after of image files with the same bytes; several alike go in order."""
    sizes = {_size(member) for member in went} & {_size(member) for member in came} - {None}
    waiting: dict[str, list[str]] = defaultdict(list)
    for member in came:
        if _size(member) in sizes:
            waiting[_digest(member.sample.image)].append(member.sample.key)
    renamed = []
    for member in went:
        alike = waiting[_digest(member.sample.image)] if _size(member) in sizes else []
        if alike:
            renamed.append((member.sample.key, alike.pop(0)))
    return renamed


def _size(member: Member) -> int | None:
    image = member.sample.image
    return image.stat().st_size if image.is_file() else None


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ToolkitError(path, f"cannot be read ({error.strerror})", "check the file") from error


def _compare(pair: _Pair, settings: Sequence[Settings], attributes: frozenset[str] | None) -> _Compared:
    """One image before and after. Runs in a worker."""
    images: list[LabelledImage] = []
    problems: tuple[Problem, ...] = ()
    for member, how in zip(pair, settings, strict=True):
        try:
            images.append(member.read(how).image)
        except ToolkitError as error:
            problems += error.problems
    if problems:
        return _Compared(problems=problems)
    before, after = images
    classes = _class(pair[0], before), _class(pair[1], after)
    change = None
    for told in (frozenset[str](), attributes):  # attributes are told of where nothing else differs
        ones = [replace(image, instances=tuple(_with(one, told) for one in image.instances)) for image in images]
        if change is None and not _same_labels(*ones):
            change = _label_change(pair[1].sample.key, *ones)
    return _Compared(classes if classes[0] != classes[1] else None, change, _other_bytes(pair))


def _with(instance: Instance, attributes: frozenset[str] | None) -> Instance:
    """An instance without attributes that are not compared."""
    every = sorted(plain_attributes(instance.attributes).items())
    kept = {name: value for name, value in every if attributes is None or name in attributes}
    return replace(instance, attributes=kept) if instance.attributes else instance


def _class(member: Member, image: LabelledImage) -> str:
    return _UNLABELLED if member.sample.kind == "unlabelled" else image.image_label


def _other_bytes(pair: _Pair) -> bool | None:
    """Whether the image files differ; None where one is missing."""
    one, two = (member.sample.image for member in pair)
    sizes = [_size(member) for member in pair]
    if None in sizes:
        return None
    same = one.samefile(two) or (sizes[0] == sizes[1] and _digest(one) == _digest(two))
    return not (same or is_copy(one, two) or is_copy(two, one))


def _same_labels(before: LabelledImage, after: LabelledImage) -> bool:
    if (before.width, before.height) != (after.width, after.height) and (before.instances or after.instances):
        return False
    masks = [Counter(map(_as_mask, image.instances)) for image in (before, after)]
    if masks[0] != masks[1]:
        return False
    waiting = [one for one in after.instances if one.mask is None]
    for box in (one for one in before.instances if one.mask is None):
        found = next((index for index, one in enumerate(waiting) if _same_box(box, one)), None)
        if found is None:
            return False
        waiting.pop(found)
    return True


def _as_mask(instance: Instance) -> tuple[object, ...]:
    """What two instances have in common that are the same mask, or that are boxes of the same class."""
    place = () if instance.mask is None else (instance.window, instance.mask.tobytes())
    return _told(instance), *place


def _same_box(one: Instance, two: Instance) -> bool:
    near = all(abs(a - b) <= _NEAR_PX for a, b in zip(one.bbox, two.bbox, strict=True))
    return _told(one) == _told(two) and near


def _told(instance: Instance) -> str:
    """Class of an instance, with its attributes."""
    attributes = ", ".join(f"{name} {value}" for name, value in instance.attributes.items())
    return f"{instance.label} ({attributes})" if attributes else instance.label


def _label_change(key: str, before: LabelledImage, after: LabelledImage) -> LabelChange:
    old, new = (dict(sorted(Counter(map(_told, image.instances)).items())) for image in (before, after))
    if (before.width, before.height) != (after.width, after.height):
        return LabelChange(key, old, new, None)
    every = (*before.instances, *after.instances)
    one, two = (
        paint(image.instances, [True] * len(image.instances), window_of(every), np.bool_) for image in (before, after)
    )
    union = int(np.count_nonzero(one | two))
    return LabelChange(key, old, new, int(np.count_nonzero(one & two)) / union if union else 1.0)
