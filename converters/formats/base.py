"""What goes through every format: the settings of a conversion, one image encoded, and the shape of a label tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from toolkit.aliases import JsonObject
from toolkit.dataset.keys import file_name
from toolkit.dataset.samples import ClassScheme, is_good_word
from toolkit.dataset.splits import SUBSETS
from toolkit.errors import ToolkitError
from toolkit.files.links import ImageMode
from toolkit.geometry.instances import Grouping
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.geometry.tiles import Tiles

__all__ = [
    "AsWritten",
    "Encoded",
    "Holds",
    "ImageMode",
    "InstanceList",
    "Labelled",
    "PanopticLayout",
    "Pixels",
    "Reading",
    "Selection",
    "Settings",
    "SubsetFile",
    "TreeShape",
    "as_folder",
    "check_defect_folder",
    "digest_line",
    "image_name",
    "present_subsets",
]

Holds = Literal["pixels", "boxes", "oriented boxes", "classes"]
"""What the labels of a format consist of."""


PanopticLayout = Literal["flat", "coco"]
"""Maps in panoptic_<subset>/ beside annotations/, or in annotations/panoptic_<subset>/, as COCO's archives unpack."""


@dataclass(frozen=True)
class Selection:
    """Which objects and images of a source are asked for, and under which names.

    Attributes:
        rename: pairs of a class and its new name.
        only: classes, by their new names, whose objects are kept; none for all.
        drop_empty: whether images that show no object are left out.
        max_area: components of more pixels are left out.
        scheme: how the classes were named that it speaks of.
    """

    rename: tuple[tuple[str, str], ...] = ()
    only: tuple[str, ...] = ()
    drop_empty: bool = False
    max_area: int | None = None
    scheme: ClassScheme = "defect"

    def __bool__(self) -> bool:
        return bool(self.described())

    def name_of(self, label: str) -> str:
        """What a class is called from now on."""
        return dict(self.rename).get(label, label)

    def keeps(self, name: str) -> bool:
        """Whether objects of a class, by its new name, are kept."""
        return not self.only or name in self.only

    def described(self) -> JsonObject:
        """What of it is told, as it stands in a manifest."""
        told: JsonObject = {
            "rename": dict(self.rename),
            "only": list(self.only),
            "drop_empty": self.drop_empty,
            "max_area": self.max_area,
        }
        return {name: value for name, value in told.items() if value}


@dataclass(frozen=True)
class Settings:
    """How a conversion is done; all of it goes into the manifest.

    Attributes:
        classes: names of the instance classes; their order gives the ids.
        scheme: how classes were named.
        grouping: which components make an instance.
        min_area: components of fewer pixels are left out.
        min_iou: 1 keeps every vertex; below 1 asks for the fewest vertices that keep that IoU.
        join_parts: whether parts of an instance that do not touch become one YOLO row, over bridges.
        segmentation: COCO segmentations as polygons or as run lengths.
        images: how images get into the trees.
        threshold: grey values of this or more are defect; None: masks must be binary.
        selection: which objects and images are asked for.
        panoptic_layout: where the maps of panoptic trees lie: in folders of the tree, or of its annotations.
        tiles: how images are cut into tiles; None where they are not.
    """

    classes: tuple[str, ...]
    scheme: ClassScheme = "defect"
    grouping: Grouping = field(default_factory=Grouping)
    min_area: int = 0
    min_iou: float = 1.0
    join_parts: bool = False
    segmentation: Literal["polygon", "rle"] = "polygon"
    images: ImageMode = "hardlink"
    threshold: int | None = None
    selection: Selection = field(default_factory=Selection)
    panoptic_layout: PanopticLayout = "flat"
    tiles: Tiles | None = None

    def class_id(self, name: str) -> int:
        """Index of a class, from 0."""
        return self._class_ids[name]

    def fits(self, area: int) -> bool:
        """Whether a component of so many pixels is kept."""
        most = self.selection.max_area
        return area >= self.min_area and (most is None or area <= most)

    def beyond(self, areas: Iterable[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of some areas those that are too small, and those that are too large."""
        others = [area for area in areas if not self.fits(area)]
        small = tuple(area for area in others if area < self.min_area)
        return small, tuple(area for area in others if area >= self.min_area)

    @cached_property
    def _class_ids(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.classes)}

    def described(self) -> JsonObject:
        """The settings as they stand in a manifest."""
        grouping = f"merge:{self.grouping.gap}" if self.grouping.kind == "merge" else self.grouping.kind
        return {
            "classes": self.scheme,
            "instances": grouping,
            "min_area": self.min_area,
            "min_iou": self.min_iou,
            "join_parts": self.join_parts,
            "segmentation": self.segmentation,
            "images": self.images,
            "threshold": self.threshold,
            **self.selection.described(),  # what is not told is left out: older trees do not speak of it
            **({"panoptic_layout": self.panoptic_layout} if self.panoptic_layout != "flat" else {}),
            **({"tiles": self.tiles.described()} if self.tiles is not None else {}),
        }


VocBoxes = Literal["inclusive1", "edges0"]
"""Corners of Pascal VOC boxes: the first and last pixel, counted from 1; or edges, counted from 0."""

WithoutLabel = Literal["good", "unlabelled"]
"""What an image is that has no label."""


@dataclass(frozen=True)
class Reading:
    """How a label tree is read, where its own files do not say.

    Attributes:
        voc_boxes: what corners of Pascal VOC boxes are; None: what the boxes of the whole tree tell.
        without_label: what an image is that nothing says anything of; None: as the format has it.
        alone: whether the labels count, whatever masks or folders of good images say; or the format of those that do.
    """

    voc_boxes: VocBoxes | None = None
    without_label: WithoutLabel | None = None
    alone: bool | str = False

    @property
    def format(self) -> str:
        """The format of the labels that count; "" for the first that is recognised."""
        return self.alone if isinstance(self.alone, str) else ""

    @classmethod
    def of(cls, told: Mapping[str, object]) -> Reading:
        """What stands under `labels` in a layout.

        Raises:
            ToolkitError: it names something else, or a value that there is not.
        """
        known = {"voc_boxes": get_args(VocBoxes), "without_label": get_args(WithoutLabel), "alone": (True, False)}
        for name, value in told.items():
            if name not in known:
                raise ToolkitError(f"labels.{name}", "is not known", f"use {' or '.join(known)}")
            if value is not None and value not in known[name] and not (name == "alone" and isinstance(value, str)):
                remedy = f"use {' or '.join(map(str, known[name]))}"
                raise ToolkitError(f"labels.{name}", f"cannot be {value!r:.40}", remedy)
        return cls(**told)  # type: ignore[arg-type]

    @classmethod
    def of_layout(cls, layout: object) -> Reading | None:
        """What a layout says of label trees, where that is all that it says; else None. "labels" says that it is one.

        Raises:
            ToolkitError: as `of`.
        """
        if layout == "labels":
            return cls(alone=True)
        told = layout["labels"] if isinstance(layout, Mapping) and layout.keys() == {"labels"} else None
        return cls.of(told) if told else None

    def only(self, names: Sequence[str]) -> Reading:
        """What of it is told of these."""
        return Reading(**{name: value for name, value in self.described().items() if name in (*names, "alone")})

    def described(self) -> JsonObject:
        """What of it is told, as it stands in a layout."""
        told = {"voc_boxes": self.voc_boxes, "without_label": self.without_label, "alone": self.alone or None}
        return {name: value for name, value in told.items() if value is not None}


class Pixels(NamedTuple):
    """What a label kept of the pixels of an image: sizes of the intersection and of the union with the true mask."""

    intersection: int
    union: int

    @property
    def iou(self) -> float:
        """Intersection over union; 1 where both are empty."""
        return self.intersection / self.union if self.union else 1.0


@dataclass(frozen=True)
class Encoded:
    """One image in one format.

    Attributes:
        image: where the image goes, relative to the tree.
        files: label files, path relative to the tree and content.
        annotations: JSON members of each annotation, without braces and without ids.
        header: JSON members of the image's own record, without braces and without its id.
        row: line for the format's table, without a line end.
        lines: lines for files that images share, such as lists of a subset: path in the tree, and line without its end.
        objects: how many labelled objects a reader will find.
        fidelity: pixels kept; for boxes 1 of 1 where the box is right; None where there is nothing to compare.
        skipped: components that this format cannot show: (reason, area in pixels).
        bridges: pixels that bridges between parts add.
        rectangles: objects of which the source has a box alone, and that are drawn as rectangles.
        covered: pixels of objects that a map of one value a pixel gives to another object.
        upright: whether the image is put there as a copy that stands upright.
        dropped: of each attribute that the format does not keep, how many objects have it.
        entry: its part of the file of its subset: what stands before and after its number there, which is from 0.
        declares: classes, and attributes of their objects, that the head of that file must declare.
    """

    image: str
    files: tuple[tuple[str, bytes], ...] = ()
    annotations: tuple[bytes, ...] = ()
    header: bytes = b""
    row: bytes = b""
    objects: int = 0
    fidelity: Pixels | None = None
    skipped: tuple[tuple[str, int], ...] = ()
    bridges: int = 0
    rectangles: int = 0
    covered: int = 0
    upright: bool = False
    lines: tuple[tuple[str, bytes], ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    entry: tuple[bytes, bytes] | None = None
    declares: tuple[tuple[str, str], ...] = ()


class SubsetFile(NamedTuple):
    """A file with the labels of a subset: its path, and what stands before (by what they declare) and after entries."""

    path: str
    head: Callable[[Sequence[tuple[str, str]]], bytes]
    tail: bytes


@dataclass(frozen=True)
class TreeShape:
    """Files of a label tree beside the label files of single images.

    Attributes:
        table: name and first line of a CSV with a row for each image.
        table_is_label: whether the table carries labels, and so belongs to their hash.
        json_file: path of the JSON file of a subset, for formats that have one; "{}" stands for the subset.
        json_lists: for such a file, the members that are not the lists of images and annotations.
        json_tasks: whether that file is one list, of images that hold their own annotations.
        numbered: whether annotations in it have ids of their own, counted from 1.
        closing: files written last: path and content.
        subset_files: of each subset the file that the entries of its images are in, one after the other.
    """

    table: tuple[str, str] | None = None
    table_is_label: bool = False
    json_file: str | None = None
    json_lists: JsonObject = field(default_factory=dict)
    json_tasks: bool = False
    numbered: bool = True
    closing: tuple[tuple[str, bytes], ...] = ()
    subset_files: Mapping[str, SubsetFile] = field(default_factory=dict)


class AsWritten(NamedTuple):
    """Boxes of an image's instances as they stand in the label file, in the order of the instances.

    Attributes:
        boxes: upright boxes (x0, y0, x1, y1) in pixels; None where the file has none.
        corners: corners (4, 2) of oriented boxes in pixels, in order; None where the file has none.
    """

    boxes: tuple[tuple[float, float, float, float], ...] | None = None
    corners: tuple[npt.NDArray[np.float64], ...] | None = None


@dataclass(frozen=True, eq=False)
class Labelled:
    """An image and its instances, the components in its mask, and the areas of those below the minimum area.

    `too_large`: areas of those above the largest area that is asked for.
    `turned`: a mask was made for the pixels as stored, and turned as the image's EXIF orientation says.
    `inverted`: more than half of the image is marked, its corners included.
    `both_ways`: its masks fit the upright picture and the pixels as stored, which are not the same.
    `lies`: whether the image file has an EXIF orientation to be turned by; None where that was not looked at.
    """

    image: LabelledImage
    found: int
    too_small: tuple[int, ...] = ()
    turned: bool = False
    inverted: bool = False
    both_ways: bool = False
    lies: bool | None = None
    too_large: tuple[int, ...] = ()


def digest_line(path: str, digest: str) -> bytes:
    """A line of what `labels_sha256` is the hash of: path of a label file, NUL, SHA-256 of its content."""
    return f"{path}\0{digest}\n".encode()


def as_folder(label: str, key: str) -> str:
    """A class name as the name of a folder.

    Raises:
        ToolkitError: it cannot be one, or would lead elsewhere; `key` is the image that it belongs to.
    """
    if label in ("", ".", "..") or any(mark in label for mark in "/\\\0"):
        raise ToolkitError(key, f"the class {label!r} cannot be a folder's name", "rename the class")
    return label


def check_defect_folder(label: str, key: str) -> None:
    """Refuse a folder of defects that every reader takes for good images; `key` is the image that belongs to it.

    Raises:
        ToolkitError: the name is a word for good.
    """
    if is_good_word(label):
        problem = f"shows the class {label!r}, and a folder of that name means images without a defect"
        raise ToolkitError(key, problem, "rename the class, or use --classes binary")


def present_subsets(subsets: Sequence[str]) -> list[str]:
    """The given subsets in the order train, val, test."""
    return [name for name in SUBSETS if name in subsets]


def image_name(image: LabelledImage) -> str:
    """File name of an image in a label tree: its key, with the ending of its file in lower case."""
    return _named(image.key, image.path.name if image.path is not None else ".png")


@lru_cache(maxsize=256)  # every format asks for the name of the same image
def _named(key: str, source: str) -> str:
    return file_name(key) + ("." + source.rpartition(".")[2]).lower()


class InstanceList(list[Instance]):
    """Instances of an image, and what else there is to say of them.

    Attributes:
        left_out: a line for each thing that the labels list and that marks none of the image's pixels.
        settled: whether any rounding of the labels' coordinates gives the same pixels.
    """

    def __init__(
        self, instances: Iterable[Instance] = (), left_out: Iterable[str] = (), *, settled: bool = False
    ) -> None:
        super().__init__(instances)
        self.left_out = tuple(left_out)
        self.settled = settled
