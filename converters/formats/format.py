"""What a label format is: one record, which all the rest of the program reads."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from converters.formats.base import AsWritten, Encoded, Holds, Reading, Settings, TreeShape, digest_line
from converters.formats.label_tree import LabelRecord, LabelTree
from converters.rasterize import ROUNDINGS, Rounding
from toolkit.dataset.samples import LabelKind
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import Instance, LabelledImage, flag_value

__all__ = ["Format", "Load"]

Load = Callable[[LabelRecord, Rounding], Sequence[Instance]]
"""What reads the labels of an image."""


def _no_count(image: LabelledImage, settings: Settings) -> int | None:
    return None


def _nothing_written(record: LabelRecord, shown: LabelledImage) -> AsWritten:
    return AsWritten()


def _no_faults(record: LabelRecord, instances: Sequence[Instance]) -> list[str]:
    return []


def _not_written(image: LabelledImage, settings: Settings) -> Encoded:
    raise ToolkitError("--to", "names a format that is read, and not written", "use another one")


def _no_shape(settings: Settings, subsets: Sequence[str]) -> TreeShape:
    return TreeShape()


def _never(root: Path) -> bool:
    return False


@dataclass(frozen=True)
class Format:
    """All that the rest of the program needs to know of a label format.

    Pure functions turn labels into bytes; all that touches the disk is the same for every format.

    Attributes:
        name: as `--to` and manifests have it.
        holds: what its labels consist of.
        index: a tree of this format below a folder, or in a file, read as told.
        encode: one image's labels as bytes; a format that is only read has no such function.
        shape: the files around them; it is told the subsets that hold images, in the order train, val, test.
        reads: what it heeds of a `Reading`.
        label_files: patterns of the files that `labels_sha256` is over.
        rank: of several trees of one conversion the gallery shows the one of the lowest rank, which tells the most.
        recognise: whether a folder is such a tree, by a sign that no other format has.
        recognise_file: whether a file holds the labels of many images in this format.
        sidecar: ending of its files, where each is of the one image that it is called like; "" where it is of many.
        marks: whether such a file names something in its image, by a look at it.
        told_family: of formats whose files are one tool's, and no second labels of the same images.
        suspect: whether a folder looks like such a tree, where no format recognises it.
        is_dataset: whether such a tree is a dataset as well, and tells more as one.
        roundings: ways in which its readers make pixels of its coordinates; it counts as good as the worst of them.
        count: objects that a label file should hold; None where the format does not tell objects apart.
        as_written: boxes as they stand in the file.
        self_faults: what labels say wrongly of their own instances (or of those that they were simplified from).
        takes_boxes: whether it can show an object of which there is a box alone.
        keeps: names of the attributes of objects that it writes and reads again; None: any.
        flags: attributes that it has a place for as yes or no; other words are kept as text.
        tells_classes: whether the labels themselves, and not the folders, say which class is marked.
        tells_good: whether a good image leaves a trace in a tree without images.
        counts_instances: whether the instances that a reader finds are those that the manifest counts.
        class_folders: whether its folders are classes, so that one whose name is a word for good is read as good.
        seen_by: programs that open such files, and what each makes of an image's labels; None: what `index` does.
        boxes_by: those of them that see the boxes of its labels alone.
        keeps_subsets: whether a reader finds each image in the subset that it was written for.
        turns_photos: whether all its readers turn an image as its EXIF orientation says; else it is copied upright.
    """

    name: str
    holds: Holds
    index: Callable[[Path, Reading], LabelTree]
    rank: int
    encode: Callable[[LabelledImage, Settings], Encoded] = _not_written
    shape: Callable[[Settings, Sequence[str]], TreeShape] = _no_shape
    label_files: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    recognise: Callable[[Path], bool] = _never
    recognise_file: Callable[[Path], bool] = _never
    sidecar: str = ""
    marks: Callable[[Path], bool] = _never
    told_family: str = ""
    suspect: Callable[[Path], bool] = _never
    is_dataset: Callable[[Path], bool] = _never
    roundings: tuple[Rounding, ...] = ROUNDINGS[:1]
    count: Callable[[LabelledImage, Settings], int | None] = _no_count
    as_written: Callable[[LabelRecord, LabelledImage], AsWritten] = _nothing_written
    self_faults: Callable[[LabelRecord, Sequence[Instance]], list[str]] = _no_faults
    takes_boxes: bool = False
    keeps: tuple[str, ...] | None = ()
    flags: tuple[str, ...] = ()
    tells_classes: bool = True
    tells_good: bool = True
    counts_instances: bool = True
    class_folders: bool = False
    seen_by: Mapping[str, Load | None] = field(default_factory=dict)
    boxes_by: tuple[str, ...] = ()
    keeps_subsets: bool = True
    turns_photos: bool = True

    @property
    def family(self) -> str:
        """What the files of one tool have in common: the name, where nothing else is said."""
        return self.told_family or self.name

    @property
    def writes(self) -> bool:
        """Whether it is written, and not only read."""
        return self.encode is not _not_written

    def can_show(self, kind: LabelKind) -> bool:
        """Whether its labels can say what labels of this kind say."""
        if self.holds == "classes" or kind in ("masks", "good"):
            return True
        return kind == "boxes" and self.takes_boxes

    def drops(self, image: LabelledImage) -> Counter[str]:
        """Of each attribute that it does not keep, how many objects of an image have it; flags whose words are none."""
        kept = self.keeps
        if kept is None:
            told = (pair for one in image.instances for pair in one.attributes.items() if pair[0] in self.flags)
            return Counter(f"{name} as a flag" for name, text in told if flag_value(text) is None)
        return Counter(name for one in image.instances for name in one.attributes if name not in kept)

    def holds_in(self, tree: LabelTree) -> Holds:
        """What the labels of a tree of this format consist of: of a format of pixels they may be boxes, or classes."""
        kinds = {record.sample.kind for record in tree.records} - {"good", "unlabelled"}
        if self.holds == "pixels" and kinds in ({"boxes"}, {"class"}):
            return "boxes" if kinds == {"boxes"} else "classes"
        return self.holds

    def labels_sha256(self, root: Path) -> str:
        """SHA-256 over lines of path, NUL and SHA-256 of each label file below `root`, sorted."""
        whole = hashlib.sha256()
        files = (path for pattern in self.label_files for path in root.glob(pattern))
        # A line begins with its path, which NUL ends: lines in order are paths in order.
        for name in sorted(path.relative_to(root).as_posix() for path in files if path.is_file()):
            with open(root / name, "rb") as file:
                whole.update(digest_line(name, hashlib.file_digest(file, "sha256").hexdigest()))
        return whole.hexdigest()
