"""CVAT's shapes -> instances: as CVAT's own exports make pixels of them, with pycocotools; masks as they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from converters.formats.cvat.document import AREAS, Shape, place_of
from converters.formats.cvat.values import number, points, run_lengths, whole
from converters.formats.label_tree import InstanceList, LabelRecord
from converters.rasterize import Crop, Rounding, fill_edges_crop
from toolkit.errors import ToolkitError
from toolkit.geometry.instances import crop_to_bbox
from toolkit.geometry.labels import Instance, paint, window_of
from toolkit.geometry.oriented import turned_box, turned_corners

__all__ = ["is_upright", "load_cvat"]

Size = tuple[int, int]
_NOTHING: Crop = (np.zeros((0, 0), np.bool_), (0, 0))


class _Drawn(NamedTuple):
    shape: Shape
    instance: Instance


def load_cvat(entry: LabelRecord, rounding: Rounding) -> InstanceList:
    """Instances of an image, the lowest first. What marks no pixel of the image is left out and named.

    Raises:
        ToolkitError: a shape is malformed.
    """
    if entry.payload is None:
        return InstanceList()
    path, shapes = entry.payload
    size, left_out = entry.image_size(), list[str]()
    drawn: list[_Drawn] = []
    for shape in shapes:
        name = f"{shape.kind} {shape.number}" + (f" ({shape.label})" if shape.label else "")
        if shape.kind not in AREAS:
            left_out.append(f"{name} has no area")
            continue
        try:
            instance = _instance(shape, size)
        except ValueError as error:
            place = place_of(path, entry.sample.image.name, shape)
            raise ToolkitError(place, str(error), "correct or remove it") from error
        if instance is None:
            left_out.append(f"{name} marks no pixel of the image")
        else:
            drawn.append(_Drawn(shape, replace(instance, attributes=dict(shape.attributes))))
    joined = _join(drawn, size, left_out)
    joined.sort(key=lambda one: one.shape.depth)
    return InstanceList((one.instance for one in joined), left_out, settled=True)


def is_upright(shape: Shape) -> bool:
    """Whether a shape is a box with upright sides, and no other shape; one whose angle is no number is said later."""
    if shape.kind != "box":
        return False
    try:
        return turned_box((0, 0, 1, 1), _angle(shape.told[4])) is not None
    except ValueError:
        return True


def _angle(text: str) -> float:
    return number("rotation", text) if text.strip() else 0.0


def _instance(shape: Shape, size: Size) -> Instance | None:
    """The object of a shape; None where it marks no pixel of the image.

    Raises:
        ValueError: something in it is no number, or not what its kind has.
    """
    if shape.kind == "box":
        x0, y0, x1, y1 = (
            number(name, text) for name, text in zip(("xtl", "ytl", "xbr", "ybr"), shape.told[:4], strict=True)
        )
        angle = _angle(shape.told[4])
        if x1 < x0 or y1 < y0:
            raise ValueError(f"is a box {x1 - x0:g} wide and {y1 - y0:g} high")
        upright = turned_box((x0, y0, x1, y1), angle)
        if upright is not None:
            return Instance.of_box(shape.label, upright, size)
        crop = fill_edges_crop([turned_corners((x0, y0, x1, y1), angle)], size[1], size[0])
    elif shape.kind == "polygon":
        ring = points(shape.told[0])
        crop = fill_edges_crop([ring], size[1], size[0]) if len(ring) >= 3 else _NOTHING
    elif shape.kind == "mask":
        crop = _mask(shape.told, size)
    else:
        crop = _ellipse(shape.told, size)
    return crop_to_bbox(crop[0], shape.label, crop[1])


def _mask(told: Sequence[str], size: Size) -> Crop:
    """A mask: run lengths row by row within its box, the first of what is not marked."""
    box = []
    for name, text in zip(("left", "top", "width", "height"), told[1:], strict=True):
        value = whole(text)
        if value is None:
            raise ValueError(f"has the {name} {text[:40]!a}, no whole number")
        box.append(value)
    left, top, width, height = box
    if width < 1 or height < 1:
        raise ValueError(f"is a mask {width} wide and {height} high")
    if left < 0 or top < 0 or left + width > size[0] or top + height > size[1]:
        raise ValueError(
            f"is a mask of columns {left} to {left + width} and rows {top} to {top + height}, "
            f"in an image of {size[0]} x {size[1]}"
        )
    runs = run_lengths(told[0], width * height)
    marked = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return marked.reshape(height, width), (left, top)


def _ellipse(told: Sequence[str], size: Size) -> Crop:
    """An ellipse as CVAT's exports draw it: with OpenCV, its middle and its radii rounded.

    Source: `EllipsesToMasks` of CVAT's dataset manager.
    """
    values = [number(name, text) for name, text in zip(("cx", "cy", "rx", "ry"), told[:4], strict=True)]
    (x, y, across, along), angle = map(round, values), _angle(told[4])
    if across < 0 or along < 0:
        raise ValueError(f"is an ellipse of the radii {values[2]:g} and {values[3]:g}")
    reach = max(across, along) + 2
    left, top = max(0, x - reach), max(0, y - reach)
    right, bottom = min(size[0], x + reach + 1), min(size[1], y + reach + 1)
    if right <= left or bottom <= top:
        return _NOTHING
    canvas = np.zeros((bottom - top, right - left), np.uint8)
    cv2.ellipse(canvas, (x - left, y - top), (across, along), angle, 0, 360, (1,), thickness=-1)
    return canvas.view(np.bool_), (left, top)


def _join(drawn: Sequence[_Drawn], size: Size, left_out: list[str]) -> list[_Drawn]:
    """Shapes of one class and one group as one object, as CVAT's COCO export has them, at the place of the topmost."""
    groups: dict[tuple[str, int], list[_Drawn]] = {}
    for one in drawn:
        if one.shape.group:
            groups.setdefault((one.shape.label, one.shape.group), []).append(one)
    tops = {key: max(members, key=lambda one: one.shape.depth) for key, members in groups.items()}
    joined: list[_Drawn] = []
    for one in drawn:
        key = (one.shape.label, one.shape.group)
        members = groups.get(key, [])
        if len(members) < 2:
            joined.append(one)
        elif tops[key] is one:
            joined.append(_Drawn(one.shape, _one_object(members, size, left_out)))
    return joined


def _one_object(members: Sequence[_Drawn], size: Size, left_out: list[str]) -> Instance:
    """What several shapes make up: the pixels of all, or, of boxes alone, the box that holds them."""
    label = members[0].shape.label
    told = _told([one.instance.attributes for one in members])
    top = max(one.shape.depth for one in members)
    told |= {"z_order": str(top)} if "z_order" in told else {}
    masked = [one.instance for one in members if one.instance.mask is not None]
    if not masked:
        lefts, tops, rights, bottoms = zip(*(one.instance.bbox for one in members), strict=True)
        box = min(lefts), min(tops), max(rights), max(bottoms)
        found = Instance.of_box(label, box, size, told)
    else:
        boxes = (one.shape for one in members if one.instance.mask is None)
        left_out += (f"box {one.number} ({label}) is of one object with what has pixels" for one in boxes)
        window = window_of(masked)
        pixels = paint(masked, [True] * len(masked), window, np.bool_)
        found = crop_to_bbox(pixels, label, window[:2])
    if found is None:  # none is empty
        raise ValueError("is a group without a pixel")
    return replace(found, attributes=told)


def _told(attributes: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What several shapes say; what they say differently one after the other."""
    found: dict[str, list[str]] = {}
    for told in attributes:
        for name, value in told.items():
            found.setdefault(name, []).append(value)
    return {name: "; ".join(dict.fromkeys(values)) for name, values in found.items()}
