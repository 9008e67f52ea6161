"""What images with labels come from: a dataset with masks, or a label tree; opened once, read one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt

from converters.contradictions import check_other_truths, has_masks
from converters.formats.base import Holds, Labelled, Reading, Settings, VocBoxes, WithoutLabel
from converters.formats.label_tree import LabelTree
from converters.formats.registry import FORMATS, READ_ONLY, every_format, find_format, read_manifest
from converters.other_labels import check_other_labels
from converters.protocols import Member, Source
from converters.recognition import format_of, is_label_file, reading_of, suspected_format, trees_in
from toolkit.dataset.dataset import Dataset
from toolkit.dataset.inspection import inspect_sample, read_sample
from toolkit.dataset.layouts import LayoutLike, detect_layout, load_dataset
from toolkit.dataset.layouts.files import hidden_notes, list_files
from toolkit.dataset.samples import ClassScheme, LabelKind, Sample, image_class, instance_class
from toolkit.errors import Problem, ToolkitError
from toolkit.files.digests import file_digest
from toolkit.files.reach import check_links, following_links
from toolkit.geometry.instances import Found, box_instances, find_instances, not_too_large
from toolkit.geometry.labels import LabelledImage
from toolkit.geometry.tiles import image_of_tile
from toolkit.packed import Mapped

__all__ = [
    "DatasetSource",
    "LayoutLike",
    "Member",
    "Source",
    "SourceLike",
    "TreeSource",
    "is_label_file",
    "open_source",
    "read_labels",
    "trees_in",
]


SourceLike = Source | Dataset | LabelTree | str | Path
"""A source, or what one can be opened from."""


@dataclass(frozen=True, slots=True)
class MaskedSample:
    """A sample of a dataset, whose labels are masks, boxes or a class."""

    sample: Sample
    missing: Problem | None = None

    def read(self, settings: Settings, subset: str = "") -> Labelled:
        """Read the masks and find their instances; those of several classes follow each other by class."""
        sample = self.sample
        inspected = read_sample(sample, settings.threshold)
        found, asked = Found((), 0, ()), settings.selection
        for label, mask in inspected.masks.items():
            name = instance_class(sample, settings.scheme, label)
            # Of what is left out each component is counted, whichever would make an instance.
            grouping = settings.grouping if asked.keeps(asked.name_of(name)) else None
            found += find_instances(mask, name, grouping, settings.min_area, asked.max_area)
        size = inspected.header.width, inspected.header.height
        boxes = box_instances(sample, size, partial(instance_class, sample, settings.scheme))
        found += not_too_large(boxes, asked.max_area)
        label = image_class(sample, settings.scheme)
        image = LabelledImage(
            sample.key, sample.image, *size, found.instances, subset or sample.split, label, sample.kind or "masks"
        )
        return Labelled(
            image,
            found.components,
            found.too_small,
            inspected.turned,
            inspected.looks_inverted,
            inspected.fits_both_ways,
            inspected.header.turned,
            found.too_large,
        )

    def inspect(self, settings: Settings) -> tuple[Problem, ...]:
        """Everything that is wrong with the image and its masks."""
        return inspect_sample(self.sample, settings.threshold)

    def label_digest(self) -> str:
        """Of its masks: their content, and what their values mean; of its boxes."""
        sample = self.sample
        told = [(mask.values, mask.threshold, mask.label, mask.reading, mask.runs) for mask in sample.masks]
        files = [file_digest(mask.path) for mask in sample.masks if not mask.runs]
        return hashlib.sha256(repr((sample.defect, told, files, sample.boxes)).encode()).hexdigest()

    def marked(self) -> npt.NDArray[np.bool_] | None:
        """The union of its masks."""
        return None if self.sample.kind in ("class", "unlabelled") else read_sample(self.sample).marked()


_HOLDS: dict[LabelKind, Holds] = {"masks": "pixels", "boxes": "boxes", "class": "classes"}


def _masked(missing: Mapping[str, Problem], sample: Sample) -> MaskedSample:
    return MaskedSample(sample, missing.get(sample.key))


class DatasetSource:
    """A dataset, whose labels are masks, boxes, or a class for the whole image."""

    schemes: tuple[ClassScheme, ...] = get_args(ClassScheme)
    reader = None
    tree = None

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.root, self.layout = dataset.root, dataset.layout
        self.layout_problems, self.notes = dataset.layout_problems, dataset.notes
        self.holds = _HOLDS[dataset.holds]
        self.members = Mapped(dataset, partial(_masked, dataset.unmasked))

    def classes(self, scheme: ClassScheme = "defect") -> list[str]:
        """As `Dataset.classes`."""
        return self.dataset.classes(scheme)

    def only(self, categories: Sequence[str]) -> DatasetSource:
        """As `Dataset.only`."""
        return DatasetSource(self.dataset.only(categories))


def _of_image(tile: Sample) -> Sample:
    """A tile that no split tears from the others of its image."""
    found = image_of_tile(tile.key)
    return tile if found is None else replace(tile, group=found[0])


class TreeSource:
    """A label tree."""

    schemes: tuple[ClassScheme, ...] = ("defect", "binary")

    def __init__(self, tree: LabelTree) -> None:
        self.tree = tree
        self.root, self.layout = tree.root, tree.kind
        self.holds: Holds = find_format(tree.kind).holds_in(tree)
        self.layout_problems, self.notes = tree.layout_problems, tree.notes
        self.members = tree.records

    @cached_property
    def dataset(self) -> Dataset:
        """The images of the tree; their `defect` is the class of the image."""
        notes = list(self.notes)
        if self.holds in ("boxes", "oriented boxes"):
            notes.append("labels are boxes: areas and heat maps are those of boxes")
        samples = self.tree.samples
        if (self.tree.manifest or {}).get("options", {}).get("tiles"):
            samples = [_of_image(sample) for sample in samples]
        told = self.tree.reading.described()
        return Dataset(
            samples,
            root=self.root,
            layout=self.layout,
            layout_problems=self.layout_problems,
            notes=notes,
            description={"labels": told} if told else None,
        )

    @property
    def reader(self) -> Mapping[str, Callable[[], LabelledImage]]:
        """Key -> what reads the labels of that image."""
        return {record.sample.key: record.labelled for record in self.tree.records}

    def classes(self, scheme: ClassScheme = "defect") -> list[str]:
        """As `LabelTree.classes`."""
        return self.tree.classes(scheme)

    def only(self, categories: Sequence[str]) -> TreeSource:
        """Refuse: labels name no products."""
        raise ToolkitError("--category", "a label tree has no categories", "leave it out")


def read_labels(
    root: str | Path,
    *,
    suspect: bool = True,
    follow_links: bool = False,
    reading: Reading | Mapping[str, object] | None = None,
    voc_boxes: VocBoxes | None = None,
    without_label: WithoutLabel | None = None,
    strict: bool = True,
) -> LabelTree:
    """Open a label tree of any format, ours or another tool's, recognised by itself, or one label file.

    A folder that holds one tree stands for it. Labels are read as the tree is iterated.

    Args:
        root: the tree.
        suspect: whether to look through all that a folder without a sign holds, for labels of another tool.
        follow_links: read what links in it lead to outside of it.
        reading: what its files do not say of themselves.
        voc_boxes, without_label: the same, one by one: as in `Reading`.
        strict: whether a reading that the format does not heed is an error; else it is passed over.

    Raises:
        ToolkitError: no such folder or file, no tree in it, or several, or links that lead out of it; or the reading
            is none.
    """
    root, told = Path(root), reading.described() if isinstance(reading, Reading) else dict(reading or {})
    told |= {name: value for name, value in (("voc_boxes", voc_boxes), ("without_label", without_label)) if value}
    with following_links(follow_links):
        if suspect:
            check_links(root)  # before anything in it is followed
        with following_links(suspect and root.is_dir()):
            return _read_labels(root, Reading.of(told), suspect=suspect, strict=strict)


def _read_labels(root: Path, reading: Reading, *, suspect: bool, strict: bool) -> LabelTree:
    if is_label_file(root):
        return _read_file(root, reading, strict=strict)
    if not root.is_dir():
        raise ToolkitError(root, "no such folder" if not root.exists() else "not a folder", "name a label tree")
    if reading.format and (strict or read_manifest(root) is None):
        return _as_told(root, reading, strict=strict)
    kind = format_of(root)
    trees = trees_in(root) if kind is None else []
    if kind is None and not trees and suspect:
        kind = suspected_format(root)
    if kind is not None:
        return _indexed(root, kind, reading, strict=strict)
    if len(trees) == 1 and (kind := format_of(trees[0])) is not None:
        return _indexed(trees[0], kind, reading, strict=strict)
    if trees:
        raise ToolkitError(root, f"holds {len(trees)} label trees", f"name one: {', '.join(p.name for p in trees)}")
    raise ToolkitError(root, "is no label tree of a known format", f"known are {', '.join((*FORMATS, *READ_ONLY))}")


def _as_told(root: Path, reading: Reading, *, strict: bool) -> LabelTree:
    """A folder as a tree of the format that is told.

    Raises:
        ToolkitError: it is another one of ours, or no label of this format marks anything.
    """
    manifest, kind = read_manifest(root), reading.format
    if manifest is not None and manifest["format"] != kind:
        raise ToolkitError(root, f"is a {manifest['format']} tree of ours", f"leave --layout {kind} out")
    tree = _indexed(root, kind, reading, strict=strict)
    if not tree.layout_problems and not any(
        record.sample.kind not in ("good", "unlabelled") for record in tree.records
    ):
        raise ToolkitError(root, f"holds no {kind} labels that mark anything", f"leave --layout {kind} out")
    return tree


def _read_file(path: Path, reading: Reading, *, strict: bool) -> LabelTree:
    kind = next((found.name for found in every_format() if found.recognise_file(path)), None)
    if kind is None:
        raise ToolkitError(path, "holds no labels of a known format", "name a COCO annotation file, or a label tree")
    return _indexed(path, kind, reading, strict=strict)


def _indexed(root: Path, kind: str, reading: Reading, *, strict: bool) -> LabelTree:
    check_links(root)
    found = find_format(kind)
    if not strict:
        reading = reading.only(found.reads)
    for name in reading.described().keys() - {*found.reads, "alone"}:
        raise ToolkitError(root, f"is a {kind} tree, of which --{name.replace('_', '-')} says nothing", "leave it out")
    tree = found.index(root, reading)
    tree.reading = replace(tree.reading, alone=reading.alone)
    if not root.is_dir():
        tree.check_reach()
    elif tree.manifest is None:
        tree.notes += tuple(hidden_notes(list_files(root)))
    if not len(tree) and not tree.layout_problems:
        raise ToolkitError(root, f"a {kind} tree without images", "check the paths in it")
    return tree


def open_source(source: SourceLike, layout: LayoutLike = None, *, strict: bool = True) -> Source:
    """What `load_dataset` or `read_labels` makes of a folder or file, as a source; a source is passed on.

    Args:
        source: a folder, or what was made of one.
        layout: how a folder is laid out that is no label tree; found by itself if None.
        strict: whether what a layout says of labels is an error where it says nothing of these.

    Raises:
        ToolkitError: it is neither, or has links that lead out of it.
    """
    if isinstance(source, Dataset):
        return DatasetSource(source)
    if isinstance(source, LabelTree):
        return TreeSource(source)
    if not isinstance(source, str | Path):
        return source
    root = Path(source)
    check_links(root)
    with following_links(root.is_dir()):
        told = reading_of(layout)
        if (layout is None or told is not None) and (is_label_file(root) or (root.is_dir() and _is_tree(root, told))):
            tree = read_labels(root, reading=told, strict=strict)
            if tree.manifest is None and root.is_dir() and (told is None or not told.alone):
                files = list_files(tree.root)
                check_other_truths(tree, files)
                check_other_labels(tree, files)
            return TreeSource(tree)
        heeded = None if told is None or strict else told.only(("without_label",)).described()
        return DatasetSource(load_dataset(root, layout if heeded is None else {"labels": heeded} if heeded else None))


def _is_tree(root: Path, told: Reading | None) -> bool:
    """Whether a folder is to be read as labels rather than as a dataset."""
    if told is not None and told.format:
        return True
    kind = format_of(root)
    if kind is not None:
        return not find_format(kind).is_dataset(root)
    trees = trees_in(root)
    # Our trees may look like a dataset together: the folders of yolo-classify are those of a product.
    if trees and (read_manifest(trees[0]) is not None or (detect_layout(root) is None and not has_masks(root))):
        return True
    return not trees and detect_layout(root) is None and suspected_format(root) is not None
