"""What a detector says of an image, COCO truth and results, and mAP by faster-coco-eval. Loads without torch."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from converters.formats.coco.categories import coco_categories
from converters.rasterize import compress_rle, uncompressed_rle
from toolkit.aliases import JsonObject
from toolkit.dataset.keys import file_name
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import Instance, LabelledImage

__all__ = [
    "AveragePrecision",
    "Detections",
    "average_precision",
    "coco_results",
    "coco_truth",
    "run_lengths",
]

Kind = Literal["bbox", "segm"]


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector found in an image, best first.

    Attributes:
        key: the image's unique name.
        path: its file.
        width, height: its size in pixels.
        boxes: float64 (N, 4), x0 y0 x1 y1 in pixels of the image.
        scores: float64 (N,), in [0, 1].
        labels: class name of each.
        masks: the pixels of each as an instance of the same label, where the detector makes masks; else None. A mask
            may be empty, with an area of 0.
        cut: score up to which more may have been found than is kept; 0 where all is.
    """

    key: str
    path: Path
    width: int
    height: int
    boxes: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    labels: tuple[str, ...]
    masks: tuple[Instance, ...] | None = None
    cut: float = 0.0

    def __post_init__(self) -> None:
        counts = {len(self.boxes), len(self.scores), len(self.labels), len(self.masks or self.labels)}
        if len(counts) > 1 or self.boxes.shape != (len(self.labels), 4):
            raise ValueError(f"boxes {self.boxes.shape}, {len(self.scores)} scores, {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.labels)

    def above(self, confidence: float) -> Detections:
        """Those whose score is higher than `confidence`."""
        kept = np.flatnonzero(self.scores > confidence)
        return replace(
            self,
            boxes=self.boxes[kept],
            scores=self.scores[kept],
            labels=tuple(self.labels[place] for place in kept),
            masks=None if self.masks is None else tuple(self.masks[place] for place in kept),
        )


@dataclass(frozen=True)
class AveragePrecision:
    """COCO's figures; nan where there is nothing to find.

    Attributes:
        map50_95: mean over classes, and over IoU .50 to .95 in steps of .05.
        map50: mean over classes, at IoU .50.
        per_class: class name -> (AP over .50 to .95, AP at .50).
        per_size: the same of objects of COCO's sizes, by their pixels, of those that occur: below 32 x 32, 96 x 96.
    """

    map50_95: float
    map50: float
    per_class: dict[str, tuple[float, float]] = field(default_factory=dict)
    per_size: dict[str, tuple[float, float]] = field(default_factory=dict)


def coco_truth(images: Iterable[LabelledImage], classes: Sequence[str]) -> JsonObject:
    """Labels as a COCO dictionary: run lengths that are exact, tight boxes, and the key of each image.

    Args:
        images: labelled images; they are taken one at a time.
        classes: all class names; ids are their order, from 1.

    Raises:
        ToolkitError: an instance is of none of the classes.
    """
    ids = {name: number for number, name in enumerate(classes, 1)}
    rows: list[JsonObject] = []
    annotations: list[JsonObject] = []
    for number, image in enumerate(images, 1):
        name = image.path.name if image.path is not None else f"{file_name(image.key)}.png"
        row = {"id": number, "file_name": name, "key": image.key, "width": image.width, "height": image.height}
        rows.append(row)
        for instance in image.instances:
            if instance.label not in ids:
                told = ", ".join(classes) or "none"
                raise ToolkitError(image.key, f"shows a {instance.label!r}, which is no class", f"known are {told}")
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": ids[instance.label],
                    "iscrowd": 0,
                    "area": instance.area,
                    "bbox": _xywh(instance.bbox),
                    "segmentation": run_lengths(instance, image.width, image.height),
                }
            )
    return {"images": rows, "annotations": annotations, "categories": coco_categories(classes)}


def coco_results(detections: Iterable[Detections], truth: Mapping[str, Any]) -> list[JsonObject]:
    """Detections in COCO's results form, as predictions.json holds them.

    Args:
        detections: of images of the truth, with labels out of its classes.
        truth: what `coco_truth` made: it gives the ids.

    Raises:
        ToolkitError: an image or a label is not in the truth.
    """
    images = {image["key"]: image["id"] for image in truth["images"]}
    ids = {category["name"]: category["id"] for category in truth["categories"]}
    results = []
    for found in detections:
        if found.key not in images:
            raise ToolkitError(found.key, "is no image of the labels", "evaluate on the data that was predicted")
        for place, label in enumerate(found.labels):
            if label not in ids:
                raise ToolkitError(label, "is no class of the labels", f"known are {', '.join(ids)}")
            result = {
                "image_id": images[found.key],
                "category_id": ids[label],
                "bbox": _xywh(found.boxes[place].tolist()),
                "score": float(found.scores[place]),
            }
            if found.masks is not None:
                result["segmentation"] = run_lengths(found.masks[place], found.width, found.height)
            results.append(result)
    return results


def average_precision(
    truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], kind: Kind = "bbox"
) -> AveragePrecision:
    """COCO's average precision, at most 100 detections an image.

    Args:
        truth: a COCO dictionary.
        results: detections in COCO's results form; they are left as they are.
        kind: overlap of boxes or of masks.

    Raises:
        ToolkitError: masks are asked for, and a result has none.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    if kind == "segm" and not all("segmentation" in result for result in results):
        raise ToolkitError("the predictions", "hold boxes without masks", "compare boxes, or use a model with masks")
    names = [category["name"] for category in sorted(truth["categories"], key=lambda one: one["id"])]
    if not truth["annotations"]:
        return AveragePrecision(float("nan"), float("nan"), {name: (float("nan"),) * 2 for name in names})
    known = COCO(copy.deepcopy(dict(truth)))  # it writes into what it is given
    evaluation = COCOeval_faster(known, known.loadRes([copy.deepcopy(dict(one)) for one in results]), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    # Axes: IoU threshold, recall, class, range of area, most detections. -1 stands where there is nothing to find.
    every = evaluation.eval["precision"][:, :, :, :, -1]
    precision = every[:, :, :, 0]
    shown = {name: (_mean(precision[:, :, place]), _mean(precision[:1, :, place])) for place, name in enumerate(names)}
    sized = {
        name: (_mean(every[:, :, :, place]), _mean(every[:1, :, :, place]))
        for place, name in enumerate(evaluation.params.areaRngLbl)
        if place and (every[:, :, :, place] > -1).any()
    }
    return AveragePrecision(_mean(precision), _mean(precision[:1]), shown, sized)


def _mean(precision: npt.NDArray[np.float64]) -> float:
    told = precision[precision > -1]
    return float(told.mean()) if told.size else float("nan")


def _xywh(box: Sequence[float]) -> list[float]:
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]


def run_lengths(instance: Instance, width: int, height: int) -> JsonObject:
    """The pixels of an instance as COCO's run lengths in an image of this size."""
    counts = uncompressed_rle(instance.region, instance.window[:2], height, width)
    return {"size": [height, width], "counts": compress_rle(counts, height, width)}
