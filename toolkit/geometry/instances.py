"""Mask -> instances: connected components, grouped as asked, small ones left out and reported."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from toolkit.dataset.samples import Sample
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import Instance
from toolkit.geometry.parts import Part, Parts
from toolkit.imaging.masks import Mask

__all__ = [
    "Found",
    "Grouping",
    "box_instances",
    "crop_to_bbox",
    "find_instances",
    "not_too_large",
    "parse_grouping",
]


_OUTSIDE = 1.0  # pixels by which a box may leave its image, as rounding makes it


@dataclass(frozen=True)
class Grouping:
    """Which components of a mask make one instance.

    Attributes:
        kind: "components" (each its own), "image" (all one), or "merge".
        gap: for "merge": components with at most this many background pixels between them belong together, counted
            along rows, columns and diagonals (Chebyshev distance).
    """

    kind: str = "components"
    gap: int = 0


@dataclass(frozen=True, eq=False)
class Found:
    """The instances in one mask.

    Attributes:
        instances: ordered by the first pixel of each, row by row.
        components: number of 8-connected components in the mask.
        too_small: areas of the components that were left out, in pixels.
        too_large: areas of those that were left out as too large.
    """

    instances: tuple[Instance, ...]
    components: int
    too_small: tuple[int, ...]
    too_large: tuple[int, ...] = ()

    def __add__(self, other: Found) -> Found:
        return Found(
            self.instances + other.instances,
            self.components + other.components,
            self.too_small + other.too_small,
            self.too_large + other.too_large,
        )


def parse_grouping(text: str) -> Grouping:
    """Read "components", "image" or "merge:GAP".

    Raises:
        ToolkitError: anything else.
    """
    if text in ("components", "image"):
        return Grouping(text)
    match = re.fullmatch(r"merge:(\d+)", text)
    if not match:
        raise ToolkitError(
            "--instances", f"{text!r} is none of the ways to group", "use components, image or merge:GAP"
        )
    return Grouping("merge", int(match[1]))


def find_instances(
    mask: Mask, label: str, grouping: Grouping | None = None, min_area: int = 0, max_area: int | None = None
) -> Found:
    """Split a mask into instances.

    Args:
        mask: what is marked.
        label: class name of the instances.
        grouping: which 8-connected components belong together; each its own if None.
        min_area, max_area: components of fewer, or of more, pixels are left out and reported.
    """
    crop, offset = mask.crop, (mask.x, mask.y)
    if not crop.size:
        return Found((), 0, ())
    if grouping is None or grouping.kind == "components":
        return _find_parts(crop != 0, offset, label, min_area, max_area)
    count, found_components, found_stats, _ = cv2.connectedComponentsWithStats(crop, connectivity=8, ltype=cv2.CV_32S)
    components, stats = np.asarray(found_components, np.int32), np.asarray(found_stats, np.int32)
    areas = stats[1:, cv2.CC_STAT_AREA]
    small = areas < min_area
    large = areas > (areas.max(initial=0) if max_area is None else max_area)
    kept = ~(small | large)
    if not kept.all():
        keep = np.concatenate([[False], kept])
        components = np.where(keep[components], components, 0).astype(np.int32)
    groups = _group(components, np.flatnonzero(kept) + 1, grouping)
    found = [_cut_out(components, members, stats, offset, label) for members in groups if len(members)]
    too_small, too_large = (tuple(int(area) for area in areas[which]) for which in (small, large))
    return Found(tuple(sorted(found, key=_first_pixel)), count - 1, too_small, too_large)


_MOST_TRACED = 20_000  # parts of a mask whose common outline is kept: of more it takes too much memory


def _find_parts(
    marked: npt.NDArray[np.bool_], offset: tuple[int, int], label: str, min_area: int, max_area: int | None
) -> Found:
    """Each 8-connected part of what is marked, from `offset` (x, y) on, as an instance."""
    parts = Parts(marked)
    found: list[Instance] = []
    too_small: list[int] = []
    too_large: list[int] = []
    dx, dy = offset
    keep = len(parts) <= _MOST_TRACED
    for number, (x0, y0, x1, y1) in enumerate(parts.boxes):
        mask = parts.mask(number) if len(parts) > 1 else marked
        area = int(np.count_nonzero(mask))
        if area < min_area:
            too_small.append(area)
        elif max_area is not None and area > max_area:
            too_large.append(area)
        else:
            box = (x0 + dx, y0 + dy, x1 + dx, y1 + dy)
            found.append(Instance(label, box, mask, area, part=Part(parts, number) if keep else None))
    return Found(tuple(found), len(parts), tuple(too_small), tuple(too_large))


def _placed(crop: npt.NDArray[np.generic], offset: tuple[int, int]) -> tuple[int, int, int, int]:
    """Half-open box of a crop that begins at `offset` (x, y)."""
    return offset[0], offset[1], offset[0] + crop.shape[1], offset[1] + crop.shape[0]


def _group(
    components: npt.NDArray[np.int32], present: npt.NDArray[np.int64], grouping: Grouping
) -> list[npt.NDArray[np.int64]]:
    """Numbers of the components of each instance, out of those `present`."""
    if grouping.kind == "image":
        return [present]
    # Grown by GAP in all, two components with at most GAP pixels between them touch.
    padded = np.pad((components > 0).astype(np.uint8), grouping.gap + 1)
    grown = cv2.dilate(padded, np.ones((grouping.gap + 1, grouping.gap + 1), np.uint8))
    _, joined = cv2.connectedComponents(grown, connectivity=8)
    inner = joined[grouping.gap + 1 : -grouping.gap - 1, grouping.gap + 1 : -grouping.gap - 1]
    group_of = np.zeros(present.max(initial=0) + 1, np.int64)
    group_of[components] = np.where(components > 0, inner, 0)
    return [present[group_of[present] == group] for group in np.unique(group_of[present])]


def _cut_out(
    components: npt.NDArray[np.int32],
    members: npt.NDArray[np.int64],
    stats: npt.NDArray[np.int32],
    offset: tuple[int, int],
    label: str,
) -> Instance:
    """The instance made of some components, with the tight box of them all."""
    left, top = stats[members, cv2.CC_STAT_LEFT], stats[members, cv2.CC_STAT_TOP]
    x0, y0 = int(left.min()), int(top.min())
    x1 = int((left + stats[members, cv2.CC_STAT_WIDTH]).max())
    y1 = int((top + stats[members, cv2.CC_STAT_HEIGHT]).max())
    window = components[y0:y1, x0:x1]
    mask = window == members[0] if len(members) == 1 else np.isin(window, members)
    dx, dy = offset
    return Instance(label, (x0 + dx, y0 + dy, x1 + dx, y1 + dy), mask, int(stats[members, cv2.CC_STAT_AREA].sum()))


def _first_pixel(instance: Instance) -> tuple[int, int]:
    """Row and column of the topmost, leftmost pixel: an order that does not depend on how components are numbered."""
    return instance.window[1], instance.window[0] + int(instance.region[0].argmax())


def crop_to_bbox(mask: npt.NDArray[np.bool_], label: str, offset: tuple[int, int] = (0, 0)) -> Instance | None:
    """The instance of the True pixels of `mask` (H, W) placed at `offset` (x, y); None if there are none."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8)) if mask.size else (0, 0, 0, 0)
    if not width:
        return None
    crop = mask[y : y + height, x : x + width].copy()  # a view would keep the whole raster in memory
    box = _placed(crop, (x + offset[0], y + offset[1]))
    return Instance(label, box, crop, int(np.count_nonzero(crop)))


def box_instances(sample: Sample, size: tuple[int, int], name: Callable[[str], str] = str) -> tuple[Instance, ...]:
    """The objects of a sample that have a box alone, under names that `name` gives their classes.

    Raises:
        ToolkitError: one of them leaves the image of `size` (width, height) by more than a pixel, or is empty.
    """
    found = []
    for box in sample.boxes:
        instance = Instance.of_box(name(box.label), box.bbox, size, dict(box.attributes))
        x0, y0, x1, y1 = box.bbox
        leaves = min(x0, y0) < -_OUTSIDE or x1 > size[0] + _OUTSIDE or y1 > size[1] + _OUTSIDE
        if instance is None or leaves:
            shown = ", ".join(f"{side:g}" for side in box.bbox)
            what = "leaves" if leaves else "covers nothing of"
            problem = f"a box of {box.label!r} ({shown}) {what} its {size[0]} x {size[1]} pixels"
            raise ToolkitError(sample.image, problem, "correct its labels")
        found.append(instance)
    return tuple(found)


def not_too_large(instances: Iterable[Instance], max_area: int | None) -> Found:
    """Of some instances those of at most `max_area` pixels; the others are reported."""
    every = tuple(instances)
    large = tuple(one.area for one in every if max_area is not None and one.area > max_area)
    return Found(tuple(one for one in every if max_area is None or one.area <= max_area), len(every), (), large)
