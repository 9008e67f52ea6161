"""How well labels that models made agree with those that people made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from converters.formats.base import Settings
from converters.sources import open_source
from finetune.engine.runs import file_sha256
from finetune.metrics.detection import average_precision, coco_truth
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import Instance, LabelledImage

__all__ = ["Truth", "label_metrics", "mask_iou", "open_truth"]


@dataclass(frozen=True, eq=False)
class Truth:
    """What people labelled.

    Attributes:
        images: path as it was asked for -> its labels.
        alike: whether all classes count as one, since none of the labels' names is theirs.
    """

    images: dict[Path, LabelledImage]
    alike: bool

    def fitted(self, image: LabelledImage, name: str) -> LabelledImage:
        """The image with its one class called `name`, where classes are not compared."""
        if not self.alike:
            return image
        return replace(image, instances=tuple(replace(one, label=name) for one in image.instances))


def open_truth(root: Path, images: Sequence[Path], classes: Sequence[str]) -> Truth:
    """Find the labels of image files in a dataset or label tree: the same file, or one with the same bytes.

    Args:
        root: a dataset root or a label tree.
        images: the files.
        classes: names that the compared labels have.

    Raises:
        ToolkitError: `root` is neither, or knows one of the images not at all.
    """
    source = open_source(root)
    members = source.members
    files = [member.sample.image for member in members]
    places = {path.resolve(): place for place, path in enumerate(files)}
    elsewhere = any(path.resolve() not in places for path in images)
    by_bytes = {file_sha256(path): place for place, path in enumerate(files) if path.is_file()} if elsewhere else {}
    settings = Settings(classes=tuple(source.classes()))
    found = {}
    for path in images:
        place = places.get(path.resolve())
        if place is None:
            place = by_bytes.get(file_sha256(path))
        if place is None:
            raise ToolkitError(path, f"is not in {root}", "name the labels of these images with --against")
        found[path] = members[place].read(settings).image
    names = {one.label for image in found.values() for one in image.instances}
    return Truth(found, not names & set(classes))


def label_metrics(
    labelled: Mapping[Path, LabelledImage], scores: Mapping[Path, Sequence[float]], truth: Truth, classes: Sequence[str]
) -> dict[str, float | int]:
    """Figures of labels against the truth.

    Args:
        labelled: path -> labels.
        scores: path -> how sure each instance is.
        truth: of the same images.
        classes: names that labels can have.

    Returns:
        map50, map50_95 (boxes), mask_map50, mask_map50_95 (masks), mask_iou: of all labelled and all truly defective
        pixels together, instance_iou: mean over the true instances of the IoU with the label that fits best, 0 where
        none does; and counts.
    """
    true = {path: truth.fitted(truth.images[path], classes[0]) for path in labelled}
    names = list(dict.fromkeys([*classes, *(one.label for image in true.values() for one in image.instances)]))
    known = coco_truth((replace(true[path], key=labelled[path].key) for path in labelled), names)
    results = _results(labelled, scores, names)
    boxes, masks = average_precision(known, results, "bbox"), average_precision(known, results, "segm")
    both = either = 0
    best: list[float] = []
    for path, image in labelled.items():
        own, wanted = image.marked(), true[path].marked()
        both += int(np.count_nonzero(own & wanted))
        either += int(np.count_nonzero(own | wanted))
        best += [_best_iou(one, image) for one in true[path].instances]
    return {
        "map50": boxes.map50,
        "map50_95": boxes.map50_95,
        "mask_map50": masks.map50,
        "mask_map50_95": masks.map50_95,
        "mask_iou": both / either if either else 1.0,
        "instance_iou": float(np.mean(best)) if best else float("nan"),
        "true_instances": len(best),
        "instances": sum(len(image.instances) for image in labelled.values()),
    }


def _results(
    labelled: Mapping[Path, LabelledImage], scores: Mapping[Path, Sequence[float]], names: Sequence[str]
) -> list[dict[str, Any]]:
    """Labels in COCO's results form."""
    written = coco_truth(labelled.values(), names)
    flat = [score for path in labelled for score in scores[path]]
    keys = ("image_id", "category_id", "bbox", "segmentation")
    return [
        {**{key: one[key] for key in keys}, "score": score}
        for one, score in zip(written["annotations"], flat, strict=True)
    ]


def _best_iou(wanted: Instance, image: LabelledImage) -> float:
    return max((mask_iou(wanted, one) for one in image.instances), default=0.0)


def mask_iou(first: Instance, second: Instance) -> float:
    """IoU of the pixels of two objects in an image, in [0, 1]."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = first.window, second.window
    x0, y0, x1, y1 = max(ax0, bx0), max(ay0, by0), min(ax1, bx1), min(ay1, by1)
    if x0 >= x1 or y0 >= y1:
        return 0.0
    own = first.region[y0 - ay0 : y1 - ay0, x0 - ax0 : x1 - ax0]
    other = second.region[y0 - by0 : y1 - by0, x0 - bx0 : x1 - bx0]
    both = int(np.count_nonzero(own & other))
    return both / (first.area + second.area - both)
