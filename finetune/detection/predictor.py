"""A trained detector at work: boxes, and masks where the model makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from finetune.detection.config import DetectorConfig
from finetune.detection.runtime import load_ultralytics, read_ultralytics
from finetune.detection.tiles.merging import FAINTEST, merge_tiles
from finetune.engine.devices import pick_device
from finetune.engine.facts import ClassFacts
from finetune.engine.prediction import Prediction
from finetune.engine.runs import Run
from finetune.metrics.detection import Detections
from toolkit.dataset.keys import unique_keys
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import Instance
from toolkit.geometry.tiles import tile_windows
from toolkit.imaging.images import read_image

__all__ = ["DetectorFacts", "TrainedDetector", "checkpoint_of", "confidence_of", "predict_one"]

_BATCH = 8
_MASK_BYTES = 256 << 20  # that masks of a batch may take; those of one image may take more
_OVERLAP = 0.7  # IoU of boxes of one class from which on the lower score goes


_Item = tuple[str, Path, npt.NDArray[np.uint8]]


class DetectorFacts(ClassFacts):
    """Of a detector besides: whether it makes masks."""

    masks: bool = False


class TrainedDetector:
    """A trained model that is ready for use.

    Attributes:
        classes: what it was trained on.
        masks: whether it makes masks.
        most: detections in an image, or in a tile of it, that are kept.
    """

    def __init__(self, run: Run, config: DetectorConfig, classes: Sequence[str], *, masks: bool) -> None:
        """Load the best checkpoint of a run.

        Args:
            run: where it is, and whether it looks at tiles.
            config: its settings.
            classes: what it was trained on, in the order of its outputs.
            masks: whether it makes masks.

        Raises:
            ToolkitError: there is no checkpoint, it is damaged, or there is no such device.
        """
        load_ultralytics()
        self._device = pick_device(config.device)
        self._config, self._checkpoint, self._tiles = config, checkpoint_of(run), run.tiles
        read_ultralytics(self._checkpoint)
        self._plain: Any = None
        self.classes = tuple(classes)
        self.masks = masks
        self.most = config.max_detections
        self._masks = self.most if masks else 0

    def detect(
        self, images: Sequence[Path], *, words: Sequence[str] | None = None, confidence: float = 0.25
    ) -> Iterator[Detections]:
        """Look for defects in image files, one after the other; in tiles, if the run has some, put together again.

        Args:
            images: the files.
            words: other things to look for, which become the labels; None for the classes it was trained on.
            confidence: scores above it are found, in [0, 1].

        Raises:
            ToolkitError: an image cannot be read, or the words cannot be looked for.
        """
        model, labels = self._model(words)
        paths = [Path(path) for path in images]
        named = zip(unique_keys(paths), paths, strict=True)
        if self._tiles is not None:
            for key, path in named:
                yield self._across(model, labels, key, path, confidence)
            return
        for batch in _batches(named, self._config.bits, self._masks):
            yield from self._found(model, labels, batch, confidence)

    def _found(
        self, model: Any, labels: Sequence[str], batch: Sequence[_Item], confidence: float
    ) -> Iterator[Detections]:
        """What the model sees in images of one size."""
        found = model.predict(
            [pixels for _, _, pixels in batch],
            conf=confidence,
            iou=_OVERLAP,
            imgsz=self._config.image_size,
            max_det=self.most,
            device=str(self._device).removeprefix("cuda:"),
            retina_masks=self.masks,
            verbose=False,
            save=False,
        )
        for (key, path, pixels), result in zip(batch, found, strict=True):
            one = _detections(key, path, pixels, result, labels, self.masks)
            yield replace(one, cut=float(one.scores.min())) if len(one) >= self.most else one

    def _across(self, model: Any, labels: Sequence[str], key: str, path: Path, confidence: float) -> Detections:
        """What the model sees in the tiles of a photo, which go through it by themselves, in the photo."""
        pixels = read_image(path, self._config.bits)
        height, width = pixels.shape[:2]
        windows = tile_windows(width, height, self._tiles) if self._tiles is not None else ()
        if len(windows) < 2:
            return next(self._found(model, labels, [(key, path, pixels)], confidence))
        found: list[Detections] = []
        x0, y0, x1, y1 = windows[0]
        most = _most(y1 - y0, x1 - x0, self._masks)
        for first in range(0, len(windows), most):
            cut = (pixels[y0:y1, x0:x1] for x0, y0, x1, y1 in windows[first : first + most])
            batch = [(key, path, np.ascontiguousarray(one)) for one in cut]
            found += self._found(model, labels, batch, FAINTEST * confidence)
        whole = merge_tiles([*zip(windows, found, strict=True)], key, path, (width, height)).above(confidence)
        lost = max(one.cut for one in found)
        return replace(whole, cut=lost if lost > confidence else 0.0)

    def _model(self, words: Sequence[str] | None) -> tuple[Any, tuple[str, ...]]:
        """A model that is ready to predict, and the labels of its classes."""
        if words is not None:
            problem = "are for models of words, and this one knows its own classes alone"
            raise ToolkitError("--words", problem, "leave it out, or use a run of yolo-world")
        if self._plain is None:
            from ultralytics.models import YOLO

            model: Any = YOLO(str(self._checkpoint))
            if len(model.names) != len(self.classes):
                problem = f"is of {len(model.names)} classes, and environment.json names {len(self.classes)}"
                raise ToolkitError(self._checkpoint, problem, "train again")
            self._plain = model
        return self._plain, self.classes


def checkpoint_of(run: Run) -> Path:
    """The checkpoint of a run's best epoch.

    Raises:
        ToolkitError: there is none.
    """
    best = run.checkpoints / "best.pt"
    if not best.is_file():
        raise ToolkitError(run.root, "has no checkpoint: it did not go to its end", "train it with --resume")
    return best


def confidence_of(run: Run, config: DetectorConfig) -> float:
    """The score from which on a run shows a detection: its own, or the one that it was opened with."""
    return config.confidence if run.threshold is None else run.threshold


def predict_one(detector: TrainedDetector, confidence: float) -> Callable[..., Prediction]:
    """A detector as what tells of one image file after the other, with other words or its own classes."""

    def predict(path: Path, *, words: Sequence[str] | None = None) -> Prediction:
        found = next(detector.detect([path], words=words, confidence=confidence))
        return Prediction(
            path, found.width, found.height, found.labels, found.scores, found.boxes, instances=found.masks
        )

    return predict


def _batches(images: Iterable[tuple[str, Path]], depth: int | None, masks: int) -> Iterator[list[_Item]]:
    """Decoded images of one size at a time, so that what is found does not depend on the neighbours in a batch.

    With so many masks in an image they are fewer where they are large: each mask has the image's size, for a while.
    """
    batch: list[_Item] = []
    for key, path in images:
        pixels = read_image(path, depth)
        height, width = pixels.shape[:2]
        most = _most(height, width, masks)
        if batch and (len(batch) >= most or batch[0][2].shape != pixels.shape):
            yield batch
            batch = []
        batch.append((key, path, pixels))
    if batch:
        yield batch


def _most(height: int, width: int, masks: int) -> int:
    """Images of this size, with so many masks in each, that go through the model at once."""
    return min(_BATCH, max(1, _MASK_BYTES // (masks * height * width))) if masks else _BATCH


def _detections(
    key: str, path: Path, pixels: npt.NDArray[np.uint8], result: Any, labels: Sequence[str], masked: bool
) -> Detections:
    height, width = pixels.shape[:2]
    boxes = result.boxes.xyxy.cpu().numpy().astype(np.float64).reshape(-1, 4)
    named = tuple(labels[int(number)] for number in result.boxes.cls.tolist())
    masks = None
    if result.masks is not None:
        planes = result.masks.data.cpu().numpy()
        masks = tuple(_instance(*one) for one in zip(planes, boxes, named, strict=True))
    elif masked:
        masks = ()
    scores = result.boxes.conf.cpu().numpy().astype(np.float64)
    return Detections(key, path, width, height, boxes, scores, named, masks)


def _instance(plane: npt.NDArray[np.uint8], box: npt.NDArray[np.float64], label: str) -> Instance:
    """The pixels of a mask (H, W), which is 0 outside its box, as an instance; of an empty one too."""
    left, top = np.floor(box[:2]).astype(int)
    right, bottom = np.ceil(box[2:]).astype(int)
    part = np.ascontiguousarray(plane[top:bottom, left:right]) > 0
    x, y, width, height = cv2.boundingRect(part.view(np.uint8)) if part.size else (0, 0, 0, 0)
    crop = np.ascontiguousarray(part[y : y + height, x : x + width])
    x, y = x + int(left), y + int(top)
    return Instance(label, (x, y, x + width, y + height), crop, int(np.count_nonzero(crop)))
