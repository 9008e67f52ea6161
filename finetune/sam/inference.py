"""SAM on images that are new: prompted by the boxes of a label tree that they stand in, or by a grid of points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from segment_anything import SamAutomaticMaskGenerator

from converters.formats.label_tree import LabelRecord, LabelTree
from converters.formats.registry import find_format
from converters.sources import read_labels
from finetune.engine.prediction import Prediction
from finetune.engine.runs import Row
from finetune.engine.shares import ImageFile, PredictedFile, files_to_predict
from finetune.sam.config import SamConfig
from finetune.sam.plots import draw_masks
from finetune.sam.predictor import Segmenter
from toolkit.dataset.keys import file_name
from toolkit.dataset.samples import GOOD
from toolkit.errors import ToolkitError
from toolkit.files.reach import LinkError
from toolkit.geometry.instances import crop_to_bbox
from toolkit.geometry.labels import LabelledImage
from toolkit.imaging.images import encode_map, read_header, read_image

__all__ = ["THING", "predict_image", "predict_share", "prompted_classes", "prompted_files"]

THING = "object"
"""Class of what is found without a box."""

_ABOVE = 4  # folders between an image and the label tree that it stands in, at most
_MOST_NUMBERED = 255  # instances that a mask of 8 bits can tell apart
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Found = tuple[str, Bools, list[str], Floats]


def predict_share(
    segmenter: Segmenter, config: SamConfig, share: Sequence[ImageFile], *, pictures: bool = True
) -> list[PredictedFile]:
    """Segment some image files; as `finetune.sam.learner.predict`.

    Raises:
        ToolkitError: an image or its labels cannot be read.
    """
    told = []
    for one in share:
        boxes = None if one.record is None else one.record.labelled()
        found = _everything(segmenter, config, one.path) if boxes is None else _boxed(segmenter, boxes)
        prompts, masks, labels, _ = found
        picture = read_image(one.path, config.bits)
        name = f"{file_name(one.key)}.png"
        cut = [crop_to_bbox(mask, label) for mask, label in zip(masks, labels, strict=True)]
        instances = tuple(one for one in cut if one is not None)
        label = instances[0].label if instances else GOOD
        labelled = LabelledImage(one.key, one.path, picture.shape[1], picture.shape[0], instances, "test", label)
        row: Row = {"file": one.file, "prompts": prompts, "instances": len(instances), "mask": f"masks/{name}"}
        files = [(f"masks/{name}", _numbered(masks, picture.shape[:2]))]
        if pictures:
            row["overlay"] = f"overlays/{name}"
            files.append((f"overlays/{name}", draw_masks(picture, masks)))
        told.append(PredictedFile(row, tuple(files), labelled))
    return told


def prompted_files(images: Sequence[Path]) -> list[ImageFile]:
    """Image files with their labels in the trees that they stand in, and the keys that all have there, if they do.

    Raises:
        ToolkitError: a file is named twice.
    """
    known_of = _box_source()
    known = [known_of(Path(path)) for path in images]
    own = [one.sample.key for one in known if one is not None]
    files = files_to_predict(images, own if len(set(own)) == len(images) else None)
    return [replace(file, record=record) for file, record in zip(files, known, strict=True)]


def prompted_classes(files: Iterable[ImageFile]) -> list[str]:
    """Names of all that can be found in image files: the classes of their boxes, and `THING` where some have none.

    Raises:
        ToolkitError: labels cannot be read.
    """
    found: set[str] = set()
    for one in files:
        found |= {THING} if one.record is None else {box.label for box in one.record.labelled().instances}
    return sorted(found) or [THING]


def predict_image(
    segmenter: Segmenter, config: SamConfig, path: Path, *, boxes: npt.ArrayLike | None = None
) -> Prediction:
    """Segment one image file.

    Args:
        segmenter, config: of the run.
        path: the file.
        boxes: (N, 4), x0 y0 x1 y1 in pixels; None takes the boxes of the label tree that the image stands in, or cuts
            out everything.

    Raises:
        ToolkitError: the image or its labels cannot be read, or the boxes are none.
    """
    header = read_header(path)
    if boxes is None:
        known = _box_source()(path)
        _, masks, labels, fits = (
            _everything(segmenter, config, path) if known is None else _boxed(segmenter, known.labelled())
        )
    else:
        masks, fits = segmenter.segment(path, _as_boxes(boxes))
        labels = [THING] * len(masks)
    cut = [crop_to_bbox(mask, label) for mask, label in zip(masks, labels, strict=True)]
    instances = tuple(one for one in cut if one is not None)
    return Prediction(
        path,
        header.width,
        header.height,
        classes=tuple(one.label for one in instances),
        scores=fits[[one is not None for one in cut]],
        boxes=np.array([one.bbox for one in instances], np.float64).reshape(-1, 4),
        instances=instances,
    )


def _as_boxes(given: npt.ArrayLike) -> Floats:
    boxes = np.asarray(given, np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
        raise ToolkitError("boxes", f"are an array of {boxes.shape}", "give (N, 4), x0 y0 x1 y1 in pixels")
    return boxes


def _boxed(segmenter: Segmenter, known: LabelledImage) -> Found:
    if known.path is None:
        raise ToolkitError(known.key, "has no image file", "convert with --images hardlink")
    boxes = np.array([one.bbox for one in known.instances], np.float64).reshape(-1, 4)
    masks, fits = segmenter.segment(known.path, boxes)
    return "boxes", masks, [one.label for one in known.instances], fits


def _everything(segmenter: Segmenter, config: SamConfig, path: Path) -> Found:
    generator = SamAutomaticMaskGenerator(
        segmenter.sam,
        points_per_side=config.points_per_side,
        pred_iou_thresh=config.predicted_iou,
        stability_score_thresh=config.stability,
    )
    picture = read_image(path, config.bits)
    found = generator.generate(np.ascontiguousarray(picture[:, :, ::-1]))
    # Largest first, so that what lies within another is numbered and drawn over it.
    found.sort(key=lambda one: (-one["area"], one["bbox"]))
    masks = [np.asarray(one["segmentation"], np.bool_) for one in found]
    shape = (len(masks), *picture.shape[:2])
    fits = np.array([one["predicted_iou"] for one in found], np.float64)
    return "points", np.stack(masks) if masks else np.zeros(shape, np.bool_), [THING] * len(masks), fits


def _numbered(masks: Bools, shape: tuple[int, ...]) -> bytes:
    """A PNG of 8 bits: 0 where nothing is, else the number of the instance from 1; those past 255 all have that."""
    numbers = np.zeros(shape[:2], np.uint8)
    for number, mask in enumerate(masks, 1):
        numbers[mask] = min(number, _MOST_NUMBERED)
    return encode_map(numbers)


def _box_source() -> Callable[[Path], LabelRecord | None]:
    """A function that looks an image file up in the label tree that it stands in; None where it stands in none.

    Ground truth masks of a dataset are no prompts.
    """

    @cache
    def tree_at(folder: Path) -> LabelTree | None:
        try:
            tree = read_labels(folder, suspect=False)  # above an image may stand all that there is on a disk
        except LinkError:
            raise
        except (ToolkitError, OSError):  # folders that may not be looked into, or go away
            return None
        found = find_format(tree.kind)
        return tree if found.counts_instances and found.holds != "classes" else None

    @cache
    def entries(folder: Path) -> dict[Path, LabelRecord]:
        tree = tree_at(folder)
        return {} if tree is None else {entry.sample.image.resolve(): entry for entry in tree.records}

    def find(path: Path) -> LabelRecord | None:
        whole = path.resolve()
        for folder in whole.parents[1 : _ABOVE + 1]:
            if whole in (known := entries(folder)):
                return known[whole]
        return None

    return find
