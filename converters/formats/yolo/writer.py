"""YOLO labels: boxes, polygons and oriented boxes, one text file an image.

Polygons go through pixel centres, as their reader fills them (see `converters.rasterize`). Coordinates are those of the
pixel's corner plus a quarter, so that truncating and rounding give the same pixel. The training loader of ultralytics
puts further points on the straight lines between vertices before it truncates. On rows, columns and falling diagonals
these land on the pixels of the line; on a rising diagonal step they cross a row and a column at different places, and
touch a third pixel, unless both crossings lie half-way: there the offset is just under a half.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import yaml

from converters.formats.base import Encoded, Pixels, Settings, TreeShape
from converters.rasterize import fill_pixels
from toolkit.dataset.samples import file_name
from toolkit.geometry.contours import centre_rings, oriented_box, uncut_rings
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.geometry.simplify import Region, simplify_regions

__all__ = [
    "YoloDetect",
    "YoloObb",
    "YoloSegment",
    "contains_instance",
    "data_yaml",
    "image_name",
    "pixel_rings",
    "quoted",
]

_QUARTER = 0.25
_LOADER_POINTS, _MOST_PADDING = 1000, 64
_LARGE = 4096  # pixels: beyond, six decimals of a normalised coordinate are too coarse
_YamlDumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # libyaml's writes the same, ten times as fast
_CSV_MARKS = re.compile(r'[,"\r\n]')
_SIZES = ("images.csv", "name,subset,width,height")

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


def image_name(image: LabelledImage) -> str:
    """File name of an image in a label tree: its key, with the ending of its file in lower case."""
    return _named(image.key, image.path.name if image.path is not None else ".png")


@lru_cache(maxsize=256)  # every format asks for the name of the same image
def _named(key: str, source: str) -> str:
    return file_name(key) + ("." + source.rpartition(".")[2]).lower()


def data_yaml(classes: Sequence[str], subsets: Sequence[str], **more: str) -> bytes:
    """The dataset file that ultralytics reads. Without `path`, so that folders are found beside the file itself."""
    folders = {name: f"images/{name}" for name in subsets}
    if "train" not in folders:
        folders["train"] = f"images/{subsets[0]}"
    comment = ""
    if "val" not in folders:
        stand_in = "test" if "test" in folders else "train"
        folders["val"] = f"images/{stand_in}"
        comment = f"# no val subset: {stand_in} stands in for it, since ultralytics asks for one\n"
    document: dict[str, object] = {name: folders[name] for name in ("train", "val", "test") if name in folders}
    document |= {**more, "names": dict(enumerate(classes))}
    text = yaml.dump(document, Dumper=_YamlDumper, sort_keys=False, allow_unicode=True, width=1000)
    return (comment + str(text)).encode()


def _decimals(image: LabelledImage) -> int:
    return 6 if max(image.width, image.height) <= _LARGE else 8


def _encoded(
    image: LabelledImage, lines: Sequence[str], settings: Settings, fidelity: Pixels | None, bridges: int = 0
) -> Encoded:
    name = image_name(image)
    text = ("\n".join(lines) + "\n").encode() if lines else b""
    row = b""
    if settings.images == "none":
        row = f"{quoted(name)},{image.subset},{image.width},{image.height}".encode()
    label = f"labels/{image.subset}/{name.rpartition('.')[0]}.txt"
    return Encoded(
        f"images/{image.subset}/{name}",
        ((label, text),),
        row=row,
        objects=len(lines),
        fidelity=fidelity if lines else None,
        bridges=bridges,
    )


def quoted(cell: str) -> str:
    """A cell of a CSV line, in quotes where it needs them."""
    return '"' + cell.replace('"', '""') + '"' if _CSV_MARKS.search(cell) else cell


class _Yolo:
    """What the three kinds of YOLO tree share."""

    def shape(self, settings: Settings, subsets: Sequence[str]) -> TreeShape:
        """A data.yaml; and, in trees without images, their sizes, which normalised coordinates do not tell."""
        table = _SIZES if settings.images == "none" else None
        return TreeShape(table=table, closing=(("data.yaml", data_yaml(settings.classes, subsets)),))


class YoloDetect(_Yolo):
    """Rows of class, centre and size of the tight box, as shares of the image's width and height."""

    def encode(self, image: LabelledImage, settings: Settings) -> Encoded:
        """The tight half-open box of each instance. Equal boxes of one class are told apart in the last decimal."""
        lines: list[str] = []
        seen: set[str] = set()
        digits = _decimals(image)
        right = 0
        for instance in image.instances:
            x0, y0, x1, y1 = instance.bbox
            centre = f"{(x0 + x1) / 2 / image.width:.{digits}f} {(y0 + y1) / 2 / image.height:.{digits}f}"
            width = (x1 - x0) / image.width
            step = 0
            while True:  # ultralytics drops a row that stands twice
                shown = f"{width - step * 10**-digits:.{digits}f} {(y1 - y0) / image.height:.{digits}f}"
                line = f"{settings.class_id(instance.label)} {centre} {shown}"
                if line not in seen:
                    break
                step += 1
            seen.add(line)
            lines.append(line)
            right += _box_is_right(line, instance, image)
        return _encoded(image, lines, settings, Pixels(right, len(lines)))


def _box_is_right(line: str, instance: Instance, image: LabelledImage) -> bool:
    """Whether a row gives the tight box to a hundredth of a pixel."""
    cx, cy, w, h = (float(value) for value in line.split()[1:])
    sides = ((cx - w / 2) * image.width, (cy - h / 2) * image.height)
    far = ((cx + w / 2) * image.width, (cy + h / 2) * image.height)
    return all(abs(a - b) <= 0.01 for a, b in zip((*sides, *far), instance.bbox, strict=True))


class YoloObb(_Yolo):
    """Rows of class and the four corners of the smallest rectangle, at any angle, around the pixel squares."""

    def encode(self, image: LabelledImage, settings: Settings) -> Encoded:
        """The smallest rectangle of each instance, widened by a few millionths so that rounding cuts nothing off."""
        digits = _decimals(image)
        lines = []
        right = 0
        for instance in image.instances:
            corners = _obb_corners(instance, image, digits)
            shown = " ".join(f"{value:.{digits}f}" for value in (corners / (image.width, image.height)).ravel())
            lines.append(f"{settings.class_id(instance.label)} {shown}")
            written = np.array(shown.split(), np.float64).reshape(4, 2) * (image.width, image.height)
            right += contains_instance(written, instance)
        return _encoded(image, lines, settings, Pixels(right, len(lines)))


def _obb_corners(instance: Instance, image: LabelledImage, digits: int) -> FloatArray:
    """Corners (4, 2) in pixels. The upright box where the turned one reaches so far out that readers refuse it."""
    x0, y0, x1, y1 = instance.bbox
    corners = oriented_box(instance.mask) + np.array([x0, y0])
    size = np.array([image.width, image.height])
    span, middle = np.ptp(corners, axis=0) / size, (corners.max(axis=0) + corners.min(axis=0)) / 2 / size
    if (span > 1).any() or (middle < 0).any() or (middle > 1).any():
        return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float64)
    outward = corners - corners.mean(axis=0)
    margin = 2 * max(image.width, image.height) * 10.0**-digits
    sides = np.stack([corners[1] - corners[0], corners[3] - corners[0]])
    units = sides / np.linalg.norm(sides, axis=1, keepdims=True)
    return np.asarray(corners + np.sign(np.round(outward @ units.T, 9)) @ units * margin, np.float64)


def contains_instance(corners: FloatArray, instance: Instance) -> bool:
    """Whether a rectangle, corners (4, 2) in order and in pixels, contains every pixel square of an instance."""
    rows, columns = np.nonzero(instance.mask)
    x, y = columns + instance.bbox[0], rows + instance.bbox[1]
    squares = np.concatenate([np.stack([x + dx, y + dy], axis=1) for dx in (0, 1) for dy in (0, 1)])
    sides = np.roll(corners, -1, axis=0) - corners
    turn = np.sign(sides[0, 0] * sides[1, 1] - sides[0, 1] * sides[1, 0]) or 1.0
    for corner, (dx, dy) in zip(corners, sides, strict=True):
        distance = turn * (dx * (squares[:, 1] - corner[1]) - dy * (squares[:, 0] - corner[0]))
        if (distance < -1e-6 * np.hypot(dx, dy)).any():
            return False
    return True


class YoloSegment(_Yolo):
    """Rows of class and polygon; one row for each part of an instance that does not touch the others."""

    def encode(self, image: LabelledImage, settings: Settings) -> Encoded:
        """Rows that fill to the instance's pixels, and the pixels that they do fill."""
        lines: list[str] = []
        intersection = union = bridges = 0
        for instance in image.instances:
            label = f"{settings.class_id(instance.label)} "
            rings, added = pixel_rings(instance, settings)
            rows = [_row(ring, instance, image) for ring in rings]
            lines += [label + text for text, _ in rows]
            filled = fill_pixels([read_back for _, read_back in rows], *instance.mask.shape)
            both = int(np.count_nonzero(filled & instance.mask))
            intersection += both
            union += int(np.count_nonzero(filled)) + instance.area - both
            bridges += added
        return _encoded(image, lines, settings, Pixels(intersection, union), bridges)


def pixel_rings(instance: Instance, settings: Settings) -> tuple[list[IntArray], int]:
    """Rings through the pixels of an instance, (K, 2) x, y in its crop, and how many pixels bridges add to it."""
    outline = instance.outline
    rings = centre_rings(outline)
    if settings.min_iou < 1:
        regions = [Region(outer, tuple(holes)) for outer, holes in uncut_rings(outline, "centre")]
        height, width = instance.mask.shape
        fewer = simplify_regions(
            regions, instance.mask, lambda found: fill_pixels(found, height, width), settings.min_iou
        )
        rings = fewer or rings
    if not settings.join_parts or len(rings) == 1:
        return rings, 0
    before = fill_pixels(rings, *instance.mask.shape)
    joined = _bridge(rings)
    added = np.count_nonzero(fill_pixels([joined], *instance.mask.shape)) - np.count_nonzero(before)
    return [joined], int(added)


def _bridge(rings: list[IntArray]) -> IntArray:
    """One ring out of several: each in turn is hung on by a double line between the two nearest vertices."""
    joined, waiting = rings[0], rings[1:]
    while waiting:
        distances = [_nearest(joined, ring) for ring in waiting]
        number = min(range(len(waiting)), key=lambda k: distances[k][0])
        _, here, there = distances[number]
        ring = waiting.pop(number)
        detour = np.concatenate([np.roll(ring, -there, axis=0), ring[there : there + 1], joined[here : here + 1]])
        joined = np.concatenate([joined[: here + 1], detour, joined[here + 1 :]])
    return joined


def _nearest(one: IntArray, other: IntArray) -> tuple[int, int, int]:
    """Squared distance and indices of the nearest two vertices of two rings."""
    best = (2**62, 0, 0)
    for start in range(0, len(one), 512):  # in blocks, so that long rings stay small in memory
        block = one[start : start + 512]
        squared = ((block[:, None, :] - other[None, :, :]) ** 2).sum(axis=2)
        place = int(squared.argmin())
        i, j = divmod(place, len(other))
        best = min(best, (int(squared[i, j]), start + i, j))
    return best


def _row(ring: IntArray, instance: Instance, image: LabelledImage) -> tuple[str, IntArray]:
    """A ring as text, normalised x and y in turn, at least three points; and the ring that a reader makes of it."""
    points = ring + instance.bbox[:2]
    columns, rows = points[:, 0].tolist(), points[:, 1].tolist()
    digits = _decimals(image)
    across, down = _axis(image.width, digits, _QUARTER), _axis(image.height, digits, _QUARTER)
    pairs = [f"{across.shown[x]} {down.shown[y]}" for x, y in zip(columns, rows, strict=True)]
    read_back = np.stack([across.pixels[points[:, 0]], down.pixels[points[:, 1]]], axis=1)
    near_half = _near_half(max(image.width, image.height))
    fine_across, fine_down = _axis(image.width, 8, near_half), _axis(image.height, 8, near_half)
    steps = points - points[np.arange(-1, len(points) - 1)]  # steps[k] leads to vertex k
    diagonal = np.flatnonzero(steps[:, 0] * steps[:, 1])
    offsets = np.full(len(points), _QUARTER)
    for k in diagonal[(steps[diagonal, 0] != steps[diagonal, 1])].tolist():
        for end in (k - 1, k):
            offsets[end] = near_half
            pairs[end] = f"{fine_across.shown[columns[end]]} {fine_down.shown[rows[end]]}"
            read_back[end] = fine_across.pixels[columns[end]], fine_down.pixels[rows[end]]
    if min(columns) == max(columns) or min(rows) == max(rows):
        # A ring without width has a box without area, which loaders throw away: two more corners in the last pixel.
        x, y = columns[-1], rows[-1]
        pairs += [f"{fine_across.shown[x]} {fine_down.shown[y]}", f"{fine_across.shown[x]} {down.shown[y]}"]
    padding = _padding(len(pairs), diagonal, steps, offsets, max(image.width, image.height)) if len(diagonal) else 0
    pairs += pairs[-1:] * max(3 - len(pairs), padding)
    return " ".join(pairs), read_back - instance.bbox[:2]


def _near_half(size: int) -> float:
    """The offset nearest to a half that, in single precision, still rounds down up to `size` pixels."""
    return 0.5 - max(5e-4, size * 1.2e-7)


def _padding(length: int, diagonal: IntArray, steps: IntArray, offsets: FloatArray, size: int) -> int:
    """How often to repeat the last vertex so that the training loader samples no diagonal step where it crosses.

    A diagonal step passes from pixel to pixel through a corner. Where it crosses the row and where it crosses the
    column agree but for rounding; a sample in between falls on a third pixel. The loader's samples stand at even
    distances over the ring, so a vertex more or less moves them all.

    Args:
        length: vertices of the row.
        diagonal: numbers of the vertices that diagonal steps lead to.
        steps: (K, 2), the way to each vertex from the one before.
        offsets: (K,), place of each vertex in its pixel, the same along x and y.
        size: longer side of the image in pixels, which the error of a written coordinate goes with.
    """
    before, after = offsets[diagonal - 1][:, None], offsets[diagonal][:, None]
    forwards = steps[diagonal] > 0
    # From n + before to n + 1 + after, or back: the share of the way at which the whole number between is crossed.
    crossing = np.where(forwards, (1 - before) / (1 + after - before), before / (1 + before - after))
    slack = 2e-6 * size + 1e-5
    low, high = crossing.min(axis=1) - slack, crossing.max(axis=1) + slack
    fewest, best = len(diagonal) + 1, 0
    for extra in range(_MOST_PADDING):
        total = length + extra
        samples = _LOADER_POINTS - (total + 1)  # as `ultralytics.utils.ops.resample_segments` counts them
        if samples < 2:
            break
        step, share = np.divmod(np.linspace(0, total, samples), 1)
        leads_to = np.searchsorted(diagonal, (step + 1) % total)
        leads_to[leads_to == len(diagonal)] = 0
        met = (diagonal[leads_to] == (step + 1) % total) & (share > low[leads_to]) & (share < high[leads_to])
        if met.sum() < fewest:
            fewest, best = int(met.sum()), extra
        if not fewest:
            break
    return best


class _Axis(NamedTuple):
    """Text of the normalised coordinate of every pixel along a side, and the pixels that readers make of the text."""

    shown: list[str]
    pixels: IntArray


@lru_cache(maxsize=32)
def _axis(size: int, digits: int, offset: float) -> _Axis:
    """The coordinates of a side of `size` pixels, read back in single precision as ultralytics does.

    Where truncating and rounding would not agree, the pixel read back is -1, which no mask holds.
    """
    shown = [f"{(pixel + offset) / size:.{digits}f}" for pixel in range(size)]
    values = np.array(shown, np.float32) * np.float32(size)
    pixels = values.astype(np.int64)
    return _Axis(shown, np.where(pixels == np.rint(values), pixels, -1))
