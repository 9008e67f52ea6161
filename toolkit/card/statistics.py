"""What goes into a dataset card: each image comes down to a small record, and statistics add the records up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from toolkit.aliases import FloatArray
from toolkit.card.distributions import HEAT_CELLS, Distribution, coverage_grid, distribution
from toolkit.dataset.inspection import read_sample
from toolkit.dataset.samples import GOOD, Sample
from toolkit.errors import Problem, ToolkitError
from toolkit.geometry.instances import box_instances, find_instances
from toolkit.geometry.labels import Instance, LabelledImage, paint, window_of
from toolkit.imaging.images import ImageHeader, depth_of, read_header

__all__ = ["ClassFigures", "DatasetStatistics", "LabelReader", "Record", "area_distributions", "observe"]

_BYTE = 8  # bits

LabelReader = Callable[[], LabelledImage]
"""Reads the labels of one image that do not stand in masks; raises ToolkitError where they are at fault."""


@dataclass(frozen=True, eq=False)
class ClassFigures:
    """What the masks of one class, or of all classes, are like.

    Attributes:
        images: images that show it and are sound.
        instances: how many there are of it; in masks these are the 8-connected components.
        area_px: areas of the instances, in pixels.
        area_percent: the same, in percent of the image.
        heat: float64 (64, 64), rows from top to bottom: mean over the images of how much of each cell is marked.
        centre: centre of gravity of `heat`, (x, y) from 0 to 1 across the image.
        peak: the cell where most is marked, (x, y) of its centre from 0 to 1, and the mean share marked there.
    """

    images: int
    instances: int
    area_px: Distribution
    area_percent: Distribution
    heat: FloatArray
    centre: tuple[float, float]
    peak: tuple[float, float, float]

    def as_json(self) -> dict[str, object]:
        """The figures by name, without the heat map itself."""
        return {
            "images": self.images,
            "instances": self.instances,
            "area_px": self.area_px.as_json(),
            "area_percent": self.area_percent.as_json(),
            "centre": dict(zip("xy", self.centre, strict=True)),
            "peak": dict(zip(("x", "y", "share"), self.peak, strict=True)),
        }


@dataclass(frozen=True, eq=False)
class MaskSummary:
    """What is marked in one image, of one class or of all: areas of the instances, and how much of each cell."""

    areas: tuple[int, ...]
    grid: FloatArray


@dataclass(frozen=True, eq=False)
class Record:
    """What one image comes down to.

    Attributes:
        sample: which image.
        problems: what is wrong with its files.
        header: size and channels (0 without an image file); None if its files are at fault.
        marked: class -> what is marked; empty for good and for faulty images.
        every: all that is marked, whatever the class; None where nothing is.
        area: pixels of all that is marked.
        components: 8-connected components of all that is marked.
        depth: bits that the image is read with, as `toolkit.imaging.images.read_image` says; 0 where it is not known.
        left_out: what its labels list and what marks no pixel.
    """

    sample: Sample
    problems: tuple[Problem, ...]
    header: ImageHeader | None
    marked: dict[str, MaskSummary]
    every: MaskSummary | None = None
    area: int = 0
    components: int = 0
    depth: int = 0
    left_out: int = 0

    @property
    def classes(self) -> list[str]:
        """Classes that the image counts for; none if nobody labelled it, or its label is at fault and names none."""
        if self.sample.kind == "unlabelled" or (self.problems and not self.sample.defect):
            return []
        return sorted(self.marked) or list(self.sample.labels) or [self.sample.defect]


def observe(sample: Sample, labels: LabelReader | None = None) -> Record:
    """Read one image's size and masks, or its labels, and measure them. Faults end up in the record.

    Args:
        sample: which image.
        labels: reads them, where they do not stand in masks.
    """
    try:
        labelled = None if labels is None else labels()
        header, instances = _masked(sample) if labelled is None else _labelled(labelled)
        depth = _depth(sample, header)
    except ToolkitError as error:
        return Record(sample, error.problems, _header_alone(sample), {})
    left_out = len(labelled.left_out) if labelled is not None else 0
    if not instances:
        return Record(sample, (), header, {}, depth=depth, left_out=left_out)
    size = header.width, header.height
    names = {instance.label for instance in instances}
    whole, offset = _union(instances)
    every = MaskSummary(tuple(instance.area for instance in instances), coverage_grid(whole, offset, size))
    marked = dict.fromkeys(names, every)
    if len(names) > 1:
        marked = {name: _measure([one for one in instances if one.label == name], size) for name in names}
    components = cv2.connectedComponents(whole.view(np.uint8), connectivity=8)[0] - 1 if labels else len(instances)
    return Record(sample, (), header, marked, every, int(np.count_nonzero(whole)), components, depth, left_out)


def _masked(sample: Sample) -> tuple[ImageHeader, Sequence[Instance]]:
    """Size and instances of a sample whose labels are masks; each component is an instance.

    Raises:
        BadInputError: its files are at fault.
    """
    found = read_sample(sample)
    parts = (find_instances(mask, label).instances for label, mask in found.masks.items())
    boxes = box_instances(sample, (found.header.width, found.header.height))
    return found.header, [*(instance for part in parts for instance in part), *boxes]


def _labelled(image: LabelledImage) -> tuple[ImageHeader, Sequence[Instance]]:
    """Size and instances of an image of a label tree.

    Raises:
        ToolkitError: the image cannot be read, or is not the size that the labels are for.
    """
    if image.path is None:
        return ImageHeader(image.width, image.height, 0), image.instances
    header = read_header(image.path)
    if (header.width, header.height) != (image.width, image.height):
        problem = f"is {header.width} x {header.height} pixels, its labels are for {image.width} x {image.height}"
        raise ToolkitError(image.path, problem, "label it again, or put the image back that was labelled")
    return header, image.instances


def _depth(sample: Sample, header: ImageHeader) -> int:
    """Bits that an image is read with; its pixels are looked at where it has more than 8. 0 without an image file."""
    if not header.channels:
        return 0
    return depth_of(sample.image) if header.bits > _BYTE else _BYTE


def _header_alone(sample: Sample) -> ImageHeader | None:
    """Size of an image whose mask or labels are at fault; None if the image is."""
    try:
        return read_header(sample.image)
    except ToolkitError:
        return None


def _union(instances: Sequence[Instance]) -> tuple[npt.NDArray[np.bool_], tuple[int, int]]:
    """All pixels of some instances, at least one: bool (h, w) of their common box, and where it begins, (x, y)."""
    if len(instances) == 1:
        return instances[0].region, instances[0].window[:2]
    window = window_of(instances)
    return paint(instances, [True] * len(instances), window, np.bool_), window[:2]


def _measure(instances: Sequence[Instance], size: tuple[int, int]) -> MaskSummary:
    mask, offset = _union(instances)
    return MaskSummary(tuple(instance.area for instance in instances), coverage_grid(mask, offset, size))


class Aggregator:
    """Sums over the images that show a class, or any class."""

    def __init__(self) -> None:
        self.images = 0
        self.areas: Counter[tuple[int, int]] = Counter()  # (area, pixels of the image): equal ones are kept once
        self.grid = np.zeros((HEAT_CELLS, HEAT_CELLS))

    def add(self, marked: MaskSummary, pixels: int) -> None:
        """Add one image of so many pixels."""
        self.images += 1
        self.areas.update((area, pixels) for area in marked.areas)
        self.grid += marked.grid

    def figures(self) -> ClassFigures | None:
        """What the sums say; None if nothing was added."""
        px, percent = area_distributions(self.areas)
        if px is None or percent is None:
            return None
        heat = self.grid / self.images
        places = (np.arange(HEAT_CELLS) + 0.5) / HEAT_CELLS
        x, y = (round(float(heat.sum(axis=axis) @ places / heat.sum()), 4) for axis in (0, 1))
        row, column = divmod(int(heat.round(6).argmax()), HEAT_CELLS)  # rounded: equal cells stay equal
        peak = (round(float(places[column]), 4), round(float(places[row]), 4), round(float(heat[row, column]), 4))
        return ClassFigures(self.images, px.count, px, percent, heat, (x, y), peak)


def area_distributions(areas: Counter[tuple[int, int]]) -> tuple[Distribution | None, Distribution | None]:
    """Distributions in pixels and in percent of (area, pixels of the image) -> times."""
    px: Counter[float] = Counter()
    percent: Counter[float] = Counter()
    for (area, pixels), times in areas.items():
        px[area] += times
        percent[100 * area / pixels] += times
    return distribution(px), distribution(percent)


class DatasetStatistics:
    """Adds records up; nothing of an image is kept but counts, and its areas where no other image has the same.

    Attributes:
        images: subset -> images.
        counted: (product, class, subset) -> images.
        sizes: (product, width, height, channels) -> images.
        depths: bits that an image is read with -> images.
        several: images that show several classes.
        left_out: what labels list and what marks no pixel.
        defect_images: images that show a defect.
        per_image, components: number of instances, of components, in an image -> images.
        areas: (all that is marked in an image, pixels of the image) -> images.
        every: what is marked, of all classes together; `by_class` of each.
        problems: what is wrong with the files.
    """

    def __init__(self) -> None:
        self.images: Counter[str] = Counter()
        self.counted: Counter[tuple[str, str, str]] = Counter()
        self.sizes: Counter[tuple[str, int, int, int]] = Counter()
        self.depths: Counter[int] = Counter()
        self.several = self.left_out = self.defect_images = 0
        self.per_image: Counter[int] = Counter()
        self.components: Counter[int] = Counter()
        self.areas: Counter[tuple[int, int]] = Counter()
        self.every = Aggregator()
        self.by_class: dict[str, Aggregator] = defaultdict(Aggregator)
        self.problems: list[Problem] = []

    def add(self, record: Record, subset: str) -> None:
        """Add one image, which belongs to `subset`."""
        product, header = record.sample.category, record.header
        self.problems += record.problems
        self.images[subset] += 1
        self.counted.update((product, name, subset) for name in record.classes)
        self.several += len(record.classes) > 1
        self.left_out += record.left_out
        self.defect_images += record.classes not in ([GOOD], [])
        if header is None:
            return
        self.sizes[product, header.width, header.height, header.channels] += 1
        if record.depth:
            self.depths[record.depth] += 1
        if record.every is not None:
            pixels = header.width * header.height
            self.areas[record.area, pixels] += 1
            self.per_image[len(record.every.areas)] += 1
            self.components[record.components] += 1
            self.every.add(record.every, pixels)
            for name, marked in record.marked.items():
                self.by_class[name].add(marked, pixels)
