"""How well a SAM does on labelled images, beside the same model before training; the files and pictures of that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from finetune.engine.devices import mixed_seed
from finetune.engine.distributed import gather_rows
from finetune.engine.runs import Row, Run, open_run
from finetune.metrics.curves import draw_curves
from finetune.metrics.detection import coco_truth
from finetune.sam.config import SamConfig
from finetune.sam.embeddings import EmbeddingCache
from finetune.sam.metrics import size_class, summarise
from finetune.sam.plots import Shown, draw_instances, draw_scores
from finetune.sam.predictor import Segmenter, evaluate_image, mask_ap
from toolkit.errors import ToolkitError
from toolkit.files.publish import write_whole
from toolkit.geometry.labels import LabelledImage
from toolkit.imaging.images import read_image

__all__ = ["Evaluated", "detector_ap", "evaluate_images", "write_report"]

_MOST_SHOWN = 8


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What came out.

    Attributes:
        metrics: as in metrics.json.
        rows: one for each instance, as in predictions.csv.
        images: the images with instances that they are of.
        segmenter: the tuned model.
        classes: names of the classes.
    """

    metrics: Row
    rows: list[dict[str, Any]]
    images: Sequence[LabelledImage]
    segmenter: Segmenter
    classes: tuple[str, ...]


def evaluate_images(
    tuned: Segmenter,
    untuned: Segmenter,
    images: Sequence[LabelledImage],
    config: SamConfig,
    digests: Mapping[Path, str],
    cache: EmbeddingCache | None,
) -> Evaluated:
    """Figures of every instance; where several processes work together, each takes its share and all get all of it.

    Args:
        tuned, untuned: the model after training and before.
        images: with instances and files.
        config: settings, of which seed and whether the encoder changed are used.
        digests: SHA-256 of each image file, for the cache.
        cache: embeddings, or None.

    Raises:
        ToolkitError: an image cannot be read.
    """
    rank, world = 0, 1
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    found: list[tuple[int, list[dict[str, Any]]]] = []
    for place in range(rank, len(images), world):
        image = images[place]
        path = _file(image)
        embedding = tuned.embed(path) if cache is None else cache.read(digests[path])[None].float()
        other = embedding if config.frozen else untuned.embed(path)
        seed = mixed_seed(config.seed, place)
        pairs = zip(
            evaluate_image(tuned, image, embedding, seed), evaluate_image(untuned, image, other, seed), strict=True
        )
        found.append((place, list(_rows(image, pairs))))
    rows = [row for _, some in gather_rows(found) for row in some]
    classes = tuple(sorted({row["label"] for row in rows}))
    metrics: Row = {**summarise(rows, classes), "images": len(images)}
    return Evaluated(metrics, rows, images, tuned, classes)


def _file(image: LabelledImage) -> Path:
    if image.path is None:
        raise ToolkitError(image.key, "has no image file", "convert with --images hardlink")
    return image.path


def _rows(image: LabelledImage, pairs: Iterable[tuple[dict[str, float], dict[str, float]]]) -> Iterable[dict[str, Any]]:
    for number, (instance, (after, before)) in enumerate(zip(image.instances, pairs, strict=True)):
        x0, y0, x1, y1 = instance.window
        about = {"key": image.key, "subset": image.subset, "instance": number, "label": instance.label}
        about |= {"area": instance.area, "size": size_class(instance.area), "x0": x0, "y0": y0, "x1": x1, "y1": y1}
        yield {**about, **after, **{f"untuned_{name}": value for name, value in before.items()}}


def detector_ap(
    tuned: Segmenter, untuned: Segmenter, images: Sequence[LabelledImage], detector: str
) -> dict[str, float]:
    """COCO's mask AP with the boxes of a detector: mask_map50_95, mask_map50, and the same untuned.

    Args:
        tuned, untuned: the model after training and before.
        images: labelled ones, with those that show nothing.
        detector: a run of yolo or yolo-world.

    Raises:
        ToolkitError: there is no such run, or it knows other classes.
    """
    from finetune.detectors import open_detector

    found = open_detector(open_run(detector)).detect([_file(image) for image in images], confidence=0.001)
    boxes = [replace(one, key=image.key) for one, image in zip(found, images, strict=True)]
    labels = {instance.label for image in images for instance in image.instances} | {
        label for one in boxes for label in one.labels
    }
    truth = coco_truth(images, sorted(labels))
    figures: dict[str, float] = {}
    for start, segmenter in (("", tuned), ("untuned_", untuned)):
        precision = mask_ap(segmenter, boxes, truth)
        figures |= {f"{start}mask_map50_95": precision.map50_95, f"{start}mask_map50": precision.map50}
    return figures


def write_report(run: Run, judged: Evaluated, seconds: float) -> None:
    """Predictions, pictures and figures of a run; this ends it."""
    run.write_predictions(judged.rows)
    curves = draw_curves(run.log_rows())
    if curves is not None:
        write_whole(run.plots / "curves.png", curves)
    if judged.rows:
        write_whole(run.plots / "instances.png", draw_instances(_chosen(judged)))
        write_whole(run.plots / "iou.png", draw_scores(judged.metrics, judged.classes))
    run.write_metrics(judged.metrics, seconds=seconds)


def _chosen(judged: Evaluated) -> list[Shown]:
    """Instances to look at: of each class the one whose IoU is in the middle, then those at a quarter, and so on."""
    by_class = {
        name: sorted((row for row in judged.rows if row["label"] == name), key=lambda row: (row["iou_box"], row["key"]))
        for name in judged.classes
    }
    picked: dict[tuple[str, int], dict[str, Any]] = {}
    for share in (0.5, 0.25, 0.75, 0.1, 0.9):
        for rows in by_class.values():
            row = rows[int(share * len(rows))]
            if len(picked) < _MOST_SHOWN:
                picked.setdefault((row["key"], row["instance"]), row)
    images = {image.key: image for image in judged.images}
    return [_shown(judged.segmenter, images[key], row) for (key, _), row in picked.items()]


def _shown(segmenter: Segmenter, image: LabelledImage, row: Mapping[str, Any]) -> Shown:
    path, instance = _file(image), image.instances[row["instance"]]
    masks, _ = segmenter.segment(path, np.array([instance.bbox]))
    return Shown(
        np.ascontiguousarray(read_image(path, segmenter.encoder.depth)[:, :, ::-1]),
        instance.bbox,
        instance.whole(image.width, image.height),
        masks[0],
        instance.label,
        row["iou_box"],
        row["untuned_iou_box"],
    )
