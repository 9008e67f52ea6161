"""Label trees -> labelled images: which kind of tree a folder is, and one way to go through all kinds."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.formats.base import InstanceList, Labelled, Reading, Settings
from converters.formats.image_files import image_header, subset_of_name
from converters.rasterize import Rounding
from toolkit.dataset.keys import key_of_file_name
from toolkit.dataset.samples import GOOD, ClassScheme, LabelKind, Sample, class_of_image, pack_sample, unpack_sample
from toolkit.errors import Problem, ToolkitError
from toolkit.files.digests import file_digest
from toolkit.files.reach import JUNK, check_files
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.imaging.limits import check_claimed_size
from toolkit.packed import Folders, Packed, Plain

__all__ = [
    "FoundImage",
    "InstanceList",
    "LabelRecord",
    "LabelTree",
    "assign_keys",
    "image_header",
    "make_records",
    "packed_images",
    "packed_records",
    "subset_of_name",
    "walk_files",
]


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """One image of a label tree, before its labels are read.

    Attributes:
        sample: key, image, class and subset. `image` may not exist in a tree without images.
        load: reads the labels, as an `InstanceList` where it leaves some out; a module-level function, so that a record
            can be sent to another process.
        payload: what `load` needs, for instance the path of a label file.
        names: class id -> name, shared by the records of a tree.
        size: width and height in pixels where the tree tells them, else None.
        ours: whether defectkit wrote the tree; what others say of sizes is held against the images.
    """

    sample: Sample
    load: Callable[[LabelRecord, Rounding], Sequence[Instance]]
    payload: Any
    names: dict[int, str]
    size: tuple[int, int] | None = None
    ours: bool = True

    @property
    def missing(self) -> Problem | None:
        """Nothing: what a tree lacks is among its problems."""
        return None

    def labelled(
        self, scheme: ClassScheme = "defect", rounding: Rounding = "truncate", *, sized: bool = True
    ) -> LabelledImage:
        """Read the labels.

        Args:
            scheme: "defect" keeps the classes, "binary" makes them one.
            rounding: how coordinates of YOLO polygons become pixels.
            sized: whether the size that a tree of ours tells is held against the image, as those of others always are.

        Raises:
            ToolkitError: the label or the image is at fault.
        """
        return self.readings(scheme, (rounding,), sized=sized)[0]

    def readings(
        self, scheme: ClassScheme, roundings: Sequence[Rounding], *, sized: bool = True
    ) -> list[LabelledImage]:
        """Read the labels with each rounding in turn, once where all give the same pixels.

        Args:
            scheme, roundings, sized: as for `labelled`.

        Raises:
            ToolkitError: as `labelled`.
        """
        width, height = self.image_size()
        path = self.sample.image if self.sample.image.name and self.sample.image.exists() else None
        if path is not None and self._claims_size_of(path, sized):
            check_size(path, width, height)
        kind, subset, label = self.sample.kind or "masks", self.sample.split, self.sample.defect
        found: list[LabelledImage] = []
        for rounding in roundings:
            loaded = self.load(self, rounding)
            left_out = loaded.left_out if isinstance(loaded, InstanceList) else ()
            image = LabelledImage(self.sample.key, path, width, height, tuple(loaded), subset, label, kind, left_out)
            found.append(image.binary() if scheme == "binary" else image)
            if isinstance(loaded, InstanceList) and loaded.settled:
                break
        return found

    def _claims_size_of(self, image: Path, sized: bool) -> bool:
        """Whether the size that the tree tells is held against its image.

        In trees of ours masks and classes claim none, and an image that cannot be read is named by who reads it.
        """
        if not self.ours:
            return True
        if not sized or self.payload is None:
            return False
        try:
            image_header(image)
        except ToolkitError:
            return False
        return True

    def read(self, settings: Settings, subset: str = "") -> Labelled:
        """Read the labels as a conversion takes them: instances stand as they are labelled.

        Args:
            settings: those below its minimum area, or above its maximum, are left out, and reported.
            subset: of the image from now on; "" for its own.

        Raises:
            ToolkitError: the label or the image is at fault.
        """
        image = self.labelled(settings.scheme)
        kept = tuple(instance for instance in image.instances if settings.fits(instance.area))
        small, large = settings.beyond(instance.area for instance in image.instances)
        told = replace(image, instances=kept, subset=subset or image.subset)
        return Labelled(told, len(image.instances) + len(image.left_out), small, too_large=large)

    def inspect(self, settings: Settings) -> tuple[Problem, ...]:
        """Everything that is wrong with its files."""
        try:
            self.labelled()
        except ToolkitError as error:
            return error.problems
        return ()

    def label_digest(self) -> str:
        """Of its label file, or of its part of one."""
        first, *rest = self.payload if isinstance(self.payload, tuple) else (self.payload,)
        own = isinstance(first, str) and not (rest and first.lower().endswith(".json"))  # then it is that of many
        files = [file_digest(Path(first))] if own else []
        files += [file_digest(mask.path) for mask in self.sample.masks]
        return hashlib.sha256(repr((self.sample.defect, self.size, files, rest)).encode()).hexdigest()

    def marked(self) -> npt.NDArray[np.bool_] | None:
        """The pixels of all instances together, bool (height, width); None where labels say nothing of places.

        Raises:
            ToolkitError: the label or the image is at fault.
        """
        return None if self.sample.kind == "class" else self.labelled().marked()

    def image_size(self) -> tuple[int, int]:
        """Width and height in pixels.

        Raises:
            ToolkitError: the tree does not tell, and the image cannot be read; or it tells of more than can be.
        """
        if self.size is not None:
            check_claimed_size(self.sample.image, *self.size)
            return self.size
        return _file_size(self.sample.image)


def check_size(image: Path, width: int, height: int) -> None:
    """Raise where an image file is not of the size that its labels are for."""
    there = _file_size(image)
    if there != (width, height):
        problem = f"is {there[0]} x {there[1]} pixels, its labels are for {width} x {height}"
        if (orientation := image_header(image).orientation) != 1 and there == (height, width):
            problem += f", as it is stored: its EXIF orientation is {orientation}"
            raise ToolkitError(image, problem, "save it without an orientation, or label it as viewers show it")
        raise ToolkitError(image, problem, "put the right image there, or correct the size in the label file")


def _file_size(image: Path) -> tuple[int, int]:
    header = image_header(image)
    return header.width, header.height


class _RecordPacking:
    """Records as plain values. What those of a tree share is kept once."""

    def __init__(self, payloads: Plain | None = None) -> None:
        self._payloads, self._folders = payloads or Plain(), Folders()
        self._shared: list[tuple[Any, ...]] = []

    def pack(self, record: LabelRecord) -> tuple[Any, ...]:
        shared = (record.load, record.names, record.ours)
        if not self._shared or any(one is not other for one, other in zip(self._shared[-1], shared, strict=True)):
            self._shared.append(shared)
        sample, payload = pack_sample(self._folders, record.sample), self._payloads.told(record.payload)
        return sample, payload, record.size, len(self._shared) - 1

    def unpack(self, told: tuple[Any, ...]) -> LabelRecord:
        sample, payload, size, shared = told
        load, names, ours = self._shared[shared]
        return LabelRecord(unpack_sample(self._folders, sample), load, self._payloads.of(payload), names, size, ours)


def packed_records(records: Iterable[LabelRecord], payloads: Plain | None = None) -> Packed[LabelRecord]:
    """Records in a sequence that takes little memory: see `toolkit.packed`."""
    packing = _RecordPacking(payloads)
    return Packed(packing.pack, packing.unpack, records, key=lambda told: str(told[0][0]))


class LabelTree:
    """The images of a label tree. Iterating reads and yields one `LabelledImage` after the other.

    Attributes:
        root: the tree.
        kind: its format.
        names: class names, in the order of their ids.
        records: one for each image, sorted by key; each is a new object whenever it is asked for.
        manifest: its manifest; None where another tool wrote the tree.
        layout_problems, notes: as in `toolkit.dataset.samples.Dataset`.
        reading: how it was read, where that was told or found out; it goes into manifests.
    """

    def __init__(
        self,
        root: Path,
        kind: str,
        names: Iterable[str],
        records: Iterable[LabelRecord],
        *,
        manifest: Mapping[str, Any] | None,
        layout_problems: Iterable[Problem] = (),
        notes: Iterable[str] = (),
        reading: Reading | None = None,
    ) -> None:
        self.root = root
        self.kind = kind
        self.names = list(names)
        self.records = records if isinstance(records, Packed) else packed_records(records)
        self.records.sort()
        self.manifest = manifest
        self.layout_problems = tuple(sorted(layout_problems))
        self.notes = tuple(notes)
        self.reading = reading or Reading()
        twice = next((key for key, after in pairwise(self.records.keys()) if key == after), None)
        if twice is not None:
            raise ToolkitError(root, f"two images share the name {twice!r}", "rename one of them")

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[LabelledImage]:
        return (record.labelled() for record in self.records)

    def __repr__(self) -> str:
        return f"LabelTree({str(self.root)!r}, kind={self.kind!r}, images={len(self)})"

    @property
    def samples(self) -> list[Sample]:
        """The images as samples, for `split_dataset`; their `defect` is the class of the image."""
        return [record.sample for record in self.records]

    def check_reach(self) -> None:
        """Refuse what links lead to out of the folder that a label file and its images lie in.

        Raises:
            ToolkitError: there are such links.
        """
        images = [record.sample.image for record in self.records]
        near = self.root.parent
        home = near if all(image.is_relative_to(near) for image in images) else near.parent
        files = (Path(record.payload[0]) for record in self.records if isinstance(record.payload, tuple))
        check_files(home, dict.fromkeys([*images, *(file for file in files if file != self.root)]))

    def classes(self, scheme: ClassScheme = "defect") -> list[str]:
        """Class names in the order of their ids.

        Raises:
            ToolkitError: the scheme needs products, which labels do not name.
        """
        if scheme == "defect":
            return list(self.names)
        if scheme == "binary":
            return ["defect"]
        raise ToolkitError(
            self.root, f"labels name no products, so there is no scheme {scheme!r}", "use defect or binary"
        )


def assign_keys(names: Sequence[tuple[str, str, str]], *, ours: bool) -> list[str]:
    """Unique keys for (subset, name without ending, ending) triples.

    Trees of ours have keys in their file names. Others get the bare name; if names recur, with the subset before it,
    and the folders too if need be. Where the ending alone tells names apart, those names keep it.
    """
    short = [name.rpartition("/")[2] for _, name, _ in names]
    if ours:
        return [key_of_file_name(name) for name in short]
    longer = [f"{subset}/{bare}" for (subset, _, _), bare in zip(names, short, strict=True)]
    whole = [f"{subset}/{name}" for subset, name, _ in names]
    endings = [ending for _, _, ending in names]
    ways = [short, longer, whole, *(_with_endings(way, endings) for way in (short, longer, whole))]
    return next((keys for keys in ways if len(set(keys)) == len(keys)), whole)


def _with_endings(keys: Sequence[str], endings: Sequence[str]) -> list[str]:
    """The keys, those that are there more than once with their endings."""
    counts = Counter(keys)
    return [key + ending if counts[key] > 1 else key for key, ending in zip(keys, endings, strict=True)]


@dataclass(frozen=True)
class FoundImage:
    """An image of a tree that is being indexed: subset, name without ending, file, payload and classes seen.

    The name may have folders before it, which tell images of one name apart. `kind` is what its own labels consist of,
    where that is not what those of the tree do.
    """

    subset: str
    stem: str
    image: Path
    payload: Any
    classes: tuple[str, ...]
    size: tuple[int, int] | None = None
    kind: LabelKind | None = None


def packed_images(payloads: Plain) -> Packed[FoundImage]:
    """No images yet, in a sequence that takes little memory: see `toolkit.packed`."""
    folders = Folders()

    def pack(one: FoundImage) -> tuple[Any, ...]:
        image, payload = folders.told(one.image), payloads.told(one.payload)
        return one.subset, one.stem, image, payload, one.classes, one.size, one.kind

    def unpack(told: tuple[Any, ...]) -> FoundImage:
        subset, stem, image, payload, classes, size, kind = told
        return FoundImage(subset, stem, folders.path(image), payloads.of(payload), classes, size, kind)

    return Packed(pack, unpack)


def make_records(
    found: Sequence[FoundImage],
    load: Callable[[LabelRecord, Rounding], Sequence[Instance]],
    names: dict[int, str],
    *,
    ours: bool,
    kind: LabelKind = "masks",
    payloads: Plain | None = None,
) -> Packed[LabelRecord]:
    """Records of the images of a tree, with unique keys; `kind` says what the labels of defects consist of.

    With `payloads` what `load` needs is kept as that tells.
    """
    return packed_records(_records_of(found, load, names, ours, kind), payloads)


def _records_of(
    found: Sequence[FoundImage],
    load: Callable[[LabelRecord, Rounding], Sequence[Instance]],
    names: dict[int, str],
    ours: bool,
    kind: LabelKind,
) -> Iterator[LabelRecord]:
    names_of = [] if ours else [(one.subset, one.stem, one.image.suffix) for one in found]
    keys = map(_own_key, found) if ours else assign_keys(names_of, ours=False)
    for one, key in zip(found, keys, strict=True):
        parts = key.split("/")
        category = parts[0] if ours and len(parts) == 4 else "product"
        defect = class_of_image(one.classes)
        told = one.kind or kind
        if told == "unlabelled":
            defect = ""
        elif defect == GOOD and kind != "class":
            told = "good"
        sample = Sample(key, one.image, (), category, defect, one.subset, kind=told)
        yield LabelRecord(sample, load, one.payload, names, one.size, ours)


def _own_key(one: FoundImage) -> str:
    return key_of_file_name(one.stem.rpartition("/")[2])


def walk_files(folder: Path) -> Iterator[Path]:
    """All files below a folder, in order; hidden folders, and what operating systems leave behind, are passed over."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in JUNK)
        yield from (Path(parent) / name for name in sorted(files))
