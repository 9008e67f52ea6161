"""One item -> what the page needs of it: a row for the index, marks for its tile, exact paths for its full view."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from toolkit.aliases import BoolArray, FloatArray
from toolkit.errors import Problem, ToolkitError
from toolkit.gallery.items import GalleryItem, GalleryPage, Shown
from toolkit.gallery.pictures import Picture, open_picture, thumbnail_size
from toolkit.gallery.vectors import box_path, corners_path, mask_path, shrink
from toolkit.geometry.labels import Box, Instance, LabelledImage, paint, window_of
from toolkit.geometry.oriented import oriented_box

__all__ = ["Rendered", "render"]

_MOST_ON_TILE = 60  # boxes; more of them hide the picture
_MANY = 50  # instances of which a raster is sooner made than each is scaled down


@dataclass(frozen=True, eq=False)
class Rendered:
    """One item as it goes to disk.

    Attributes:
        row: what the index and the tile say of it, as JSON values.
        detail: what the full view draws, as JSON: text takes the least memory while it waits to be written.
        picture: thumbnail and image; None where there is no image, or it cannot be read.
        image: the image file.
    """

    row: dict[str, object]
    detail: bytes
    picture: Picture | None
    image: Path | None


def render(item: GalleryItem, page: GalleryPage) -> Rendered:
    """Read an item and draw it. What is wrong with its files is told in its row."""
    problems: list[Problem] = []
    picture, shown = None, None
    if item.image is not None:
        try:
            picture = open_picture(item.image)
        except ToolkitError as error:
            problems += error.problems
    try:
        shown = item.load()
        problems += shown.problems
    except ToolkitError as error:
        problems += (problem for problem in error.problems if problem not in problems)
    if shown is not None and picture is not None:
        labelled = shown.labelled
        if (labelled.width, labelled.height) != (picture.width, picture.height):
            sizes = f"{picture.width} x {picture.height} pixels, but its labels are for {labelled.width} x"
            problems.append(Problem(str(item.image), f"is {sizes} {labelled.height}", "label the image again"))
    width, height = _size(shown, picture)
    corners = _corners(shown, page)
    row = {
        "key": item.key,
        "subset": item.subset,
        "product": item.product,
        "classes": _classes(item, shown, page),
        "instances": len(shown.labelled.instances) if shown else 0,
        "area": _area(shown.labelled.instances, page) if shown else 0,
        "size": [width, height],
        "iou": shown.difference.iou if shown and shown.difference else None,
        "doubt": round(shown.doubt, 4) if shown and shown.doubt is not None else None,
        "suspect": round(item.suspect.score, 4) if item.suspect is not None else None,
        "place": item.place,
        "problems": [_told(problem, page.roots) for problem in dict.fromkeys(problems)],
        "image": picture.suffix if picture else "",
        "tile": _tile(shown, page, corners) if shown else {},
    }
    return Rendered(row, orjson.dumps(_detail(item, shown, page, corners)), picture, item.image)


def _size(shown: Shown | None, picture: Picture | None) -> tuple[int, int]:
    """Width and height of the canvas: that of the labels, whose coordinates they are."""
    if shown is not None:
        return shown.labelled.width, shown.labelled.height
    return (picture.width, picture.height) if picture is not None else (0, 0)


def _classes(item: GalleryItem, shown: Shown | None, page: GalleryPage) -> list[str]:
    """Classes that the image is found under."""
    if shown is None:
        return [item.image_class] if item.image_class else []
    labels = {instance.label for instance in shown.labelled.instances}
    if not labels or page.shapes == "classes":
        return [shown.labelled.image_label]
    return sorted(labels, key=lambda label: (_class_id(label, page), label))


def _area(instances: Sequence[Instance], page: GalleryPage) -> int:
    """Labelled pixels; among masks, boxes have none."""
    return sum(one.area for one in instances if one.mask is not None or "fill" in page.layers)


def _class_id(label: str, page: GalleryPage) -> int:
    return page.classes.index(label) if label in page.classes else len(page.classes)


def _told(problem: Problem, roots: Sequence[Path]) -> str:
    """A problem in a line, files named from the roots on: the page may be read on another machine."""
    text = " ".join(str(problem).split())
    for root in roots:
        text = text.replace(f"{root}{os.sep}", "")
    return text


def _boxes(shown: Shown) -> list[tuple[float, float, float, float]]:
    return list(shown.boxes) if shown.boxes is not None else [i.bbox for i in shown.labelled.instances]


def _corners(shown: Shown | None, page: GalleryPage) -> list[FloatArray]:
    """Corners of the oriented boxes, (4, 2) each; none where the page shows none."""
    if shown is None or "oriented" in page.layers:
        return []
    if shown.corners is not None:
        return list(shown.corners)
    return [oriented_box(one.region) + np.array(one.window[:2], np.float64) for one in shown.labelled.instances]


def _tile(shown: Shown, page: GalleryPage, corners: Sequence[FloatArray]) -> dict[str, object]:
    """Paths at the size of the thumbnail: for each class fill, boxes and oriented boxes; then source and difference."""
    labelled = shown.labelled
    size = thumbnail_size(labelled.width, labelled.height)
    scale = size[0] / labelled.width
    marks = []
    boxes = _boxes(shown)
    for label in sorted({one.label for one in labelled.instances}, key=lambda name: (_class_id(name, page), name)):
        order = [place for place, one in enumerate(labelled.instances) if one.label == label]
        large = sorted(order, key=lambda place: -labelled.instances[place].area)[:_MOST_ON_TILE]
        drawn = [one for n in order if (one := labelled.instances[n]).mask is not None]
        fill = _small_path(drawn, labelled.width, labelled.height) if drawn else ""
        mark = {
            "class": label,
            "fill": fill if "fill" not in page.layers else "",
            "box": box_path((boxes[n] for n in large), scale) if "box" not in page.layers else "",
            "oriented": corners_path((corners[n] for n in large), scale) if corners else "",
            "alone": "" if "fill" in page.layers else box_path(_alone(labelled, boxes, large), scale),
        }
        marks.append({name: value for name, value in mark.items() if value})
    tile: dict[str, object] = {"marks": marks} if marks else {}
    if shown.source is not None and shown.source.any():
        tile["source"] = _small_mask(shown.source, (0, 0), labelled.width, labelled.height)
    if shown.difference is not None:
        for name in ("lost", "gained"):
            mask = getattr(shown.difference, name)
            if mask.any():
                tile[name] = _small_mask(mask, shown.difference.offset, labelled.width, labelled.height)
        if shown.difference.renamed:
            size, offset = (labelled.width, labelled.height), shown.difference.offset
            others = sorted(shown.difference.renamed.items())
            tile["renamed"] = [{"class": label, "path": _small_mask(mask, offset, *size)} for label, mask in others]
    return tile


def _alone(labelled: LabelledImage, boxes: Sequence[Box], places: Sequence[int]) -> list[Box]:
    """Boxes of the objects that have no mask: among masks they are shown in place of an outline."""
    return [boxes[place] for place in places if labelled.instances[place].mask is None]


def _small_path(instances: list[Instance], width: int, height: int) -> str:
    if len(instances) > _MANY:  # then once for all of them
        window = window_of(instances)
        return _small_mask(paint(instances, [True] * len(instances), window, np.bool_), window[:2], width, height)
    small = _canvas(width, height)
    for one in instances:
        shrink(one.region, one.window[:2], (width, height), small)
    return mask_path(small)


def _small_mask(mask: BoolArray, offset: tuple[int, int], width: int, height: int) -> str:
    small = _canvas(width, height)
    shrink(mask, offset, (width, height), small)
    return mask_path(small)


def _canvas(width: int, height: int) -> BoolArray:
    columns, rows = thumbnail_size(width, height)
    return np.zeros((rows, columns), np.bool_)


def _detail(
    item: GalleryItem, shown: Shown | None, page: GalleryPage, corners: Sequence[FloatArray]
) -> dict[str, object]:
    """Exact paths of every layer that the labels have."""
    against: dict[str, object] = {"suspect": item.suspect.as_json()} if item.suspect is not None else {}
    if shown is None:
        return {"instances": [], **against}
    boxes = _boxes(shown)
    instances = []
    for place, one in enumerate(shown.labelled.instances):
        told: dict[str, object] = {
            "class": one.label,
            "area": one.area,
            "box": [round(side, 3) for side in boxes[place]],
        }
        if "fill" not in page.layers and one.mask is not None:
            told["fill"] = mask_path(one.region, one.window[:2])  # `one.outline` would be kept
        if shown.scores is not None:
            told["score"] = round(shown.scores[place], 4)
        if corners:
            told["oriented"] = corners_path([corners[place]])
        instances.append(orjson.Fragment(orjson.dumps(told)))  # text takes the least memory
    detail: dict[str, object] = {"instances": instances, **against}
    if shown.source is not None:
        detail["source"] = mask_path(shown.source)
    found = shown.difference
    if found is not None:
        detail["lost"] = {"path": mask_path(found.lost, found.offset), "pixels": int(np.count_nonzero(found.lost))}
        detail["gained"] = {
            "path": mask_path(found.gained, found.offset),
            "pixels": int(np.count_nonzero(found.gained)),
        }
        detail["renamed"] = [
            {"class": label, "path": mask_path(mask, found.offset), "pixels": int(np.count_nonzero(mask))}
            for label, mask in sorted(found.renamed.items())
        ]
    return detail
