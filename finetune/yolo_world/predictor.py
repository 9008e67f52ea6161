"""A trained detector at work: boxes, and masks where the model makes them, of its own classes or of other words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from finetune.engine.devices import pick_device
from finetune.engine.facts import Facts
from finetune.engine.prediction import Prediction
from finetune.engine.runs import Run, read_config
from finetune.metrics.detection import Detections
from finetune.yolo_world.config import NAME, YoloWorldConfig
from finetune.yolo_world.prompts import HASH, TextEmbeddings, encode_phrases, read_table
from finetune.yolo_world.runtime import load_ultralytics, read_ultralytics
from toolkit.dataset.keys import unique_keys
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import Instance
from toolkit.imaging.images import read_image

__all__ = ["Detector", "checkpoint_of", "load_detector", "load_predictor"]

MOST = 100
"""Detections in an image, at most; COCO's figures look at no more."""

_BATCH = 8
_OVERLAP = 0.7  # IoU of boxes of one class from which on the lower score goes


@dataclass(frozen=True)
class _Words:
    """What is looked for: the label of each, and its phrase."""

    labels: tuple[str, ...]
    phrases: tuple[str, ...]


def _words(words: Sequence[str]) -> _Words:
    phrases = tuple(" ".join(word.split()) for word in words)
    if not all(phrases):
        raise ToolkitError("words", "one of them is empty", "name what to look for")
    if not phrases:
        raise ToolkitError("words", "there are none", "name what to look for")
    twice = next((phrase for phrase in phrases if phrases.count(phrase) > 1), None)
    if twice is not None:
        raise ToolkitError("words", f"{twice!r} is named twice", "name it once")
    return _Words(tuple(words), phrases)


class WordFacts(Facts):
    """Of a detector besides.

    Attributes:
        phrases: class -> phrase.
        encoder_used: "model=weights" of the text encoder.
        masks: whether it makes masks.
    """

    phrases: dict[str, str]
    encoder_used: str = ""
    masks: bool = False


class Detector:
    """A trained model that is ready for use.

    Attributes:
        classes: what it was trained on.
        masks: whether it makes masks.
    """

    def __init__(self, run: Run, config: YoloWorldConfig, table: TextEmbeddings, phrases: dict[str, str]) -> None:
        """Load the best checkpoint of a run.

        Args:
            run: where it is.
            config: its settings.
            table: features of its phrases.
            phrases: class -> phrase.

        Raises:
            ToolkitError: there is no checkpoint, it is damaged, or there is no such device.
        """
        load_ultralytics()
        self._device = pick_device(config.device)
        self._run, self._config, self._table = run, config, table
        self._checkpoint = checkpoint_of(run)
        read_ultralytics(self._checkpoint)
        self._trained = _Words(tuple(phrases), tuple(phrases.values()))
        self._ready: tuple[_Words, Any] | None = None
        self.classes = self._trained.labels
        self.masks = run.facts(WordFacts).masks

    def detect(
        self, images: Sequence[Path], *, words: Sequence[str] | None = None, confidence: float = 0.25
    ) -> Iterator[Detections]:
        """Look for defects in image files, one after the other.

        Args:
            images: the files.
            words: other things to look for, which become the labels; None for the classes it was trained on.
            confidence: scores above it are found, in [0, 1].

        Raises:
            ToolkitError: an image cannot be read, or the words have no features.
        """
        wanted = self._trained if words is None else _words(words)
        model = self._model(wanted)
        paths = [Path(path) for path in images]
        for batch in _batches(zip(unique_keys(paths), paths, strict=True), self._config.bits):
            found = model.predict(
                [pixels for _, _, pixels in batch],
                conf=confidence,
                iou=_OVERLAP,
                imgsz=self._config.image_size,
                max_det=MOST,
                device=str(self._device).removeprefix("cuda:"),
                retina_masks=self.masks,
                verbose=False,
                save=False,
            )
            for (key, path, pixels), result in zip(batch, found, strict=True):
                yield _detections(key, path, pixels, result, wanted.labels, self.masks)

    def _model(self, wanted: _Words) -> Any:
        """A model that looks for these words. Another one each time: ultralytics melts them into it."""
        if self._ready is None or self._ready[0] != wanted:
            from ultralytics.models import YOLO

            from finetune.yolo_world.trainer import set_text

            features = self._features(wanted.phrases)
            model = YOLO(str(self._checkpoint))
            set_text(model.model, list(wanted.phrases), features)
            self._ready = wanted, model
        return self._ready[1]

    def _features(self, phrases: Sequence[str]) -> torch.Tensor:
        missing = [phrase for phrase in phrases if phrase not in self._table.features]
        if missing:
            told, prompts = self._run.facts(WordFacts), self._config.prompts
            if prompts not in ("clip", HASH) and not Path(prompts).is_file():
                self._table.stacked(missing)  # which says what is missing
            encoder, _, weights = told.encoder_used.partition("=")
            added = encode_phrases(missing, prompts, encoder=encoder, weights=weights)
            if added.encoder != self._table.encoder and prompts != HASH:
                remedy = "use the weights that it was trained with"
                problem = f"makes features of {added.encoder}, the run was trained with {self._table.encoder}"
                raise ToolkitError(f"prompts {prompts}", problem, remedy)
            self._table = TextEmbeddings(self._table.encoder, {**self._table.features, **added.features})
        return self._table.stacked(phrases)


def load_detector(run: Run) -> Detector:
    """The detector of a run, with the weights of its best epoch.

    Raises:
        ToolkitError: the run is none of a detector, did not go to its end, or its files are damaged.
    """
    if run.learner != NAME:
        raise ToolkitError(run.root, f"is a run of {run.learner}, not of {NAME}", "name a run of a detector")
    phrases = run.facts(WordFacts).phrases
    return Detector(run, read_config(run, YoloWorldConfig), read_table(run.root / "prompts.pt"), phrases)


def checkpoint_of(run: Run) -> Path:
    """The checkpoint of a run's best epoch.

    Raises:
        ToolkitError: there is none.
    """
    best = run.checkpoints / "best.pt"
    if not best.is_file():
        raise ToolkitError(run.root, "has no checkpoint: it did not go to its end", "train it with --resume")
    return best


def load_predictor(run: Run) -> Callable[..., Prediction]:
    """The detector of a run, ready for one image file after the other, with other words or its own.

    Raises:
        ToolkitError: as `load_detector`.
    """
    detector = load_detector(run)
    confidence = read_config(run, YoloWorldConfig).confidence if run.threshold is None else run.threshold

    def predict(path: Path, *, words: Sequence[str] | None = None) -> Prediction:
        found = next(detector.detect([path], words=words, confidence=confidence))
        return Prediction(
            path, found.width, found.height, found.labels, found.scores, found.boxes, instances=found.masks
        )

    return predict


_Item = tuple[str, Path, npt.NDArray[np.uint8]]


def _batches(images: Iterable[tuple[str, Path]], depth: int | None) -> Iterator[list[_Item]]:
    """Decoded images of one size at a time, so that what is found does not depend on the neighbours in a batch."""
    batch: list[_Item] = []
    for key, path in images:
        pixels = read_image(path, depth)
        if batch and (len(batch) == _BATCH or batch[0][2].shape != pixels.shape):
            yield batch
            batch = []
        batch.append((key, path, pixels))
    if batch:
        yield batch


def _detections(
    key: str, path: Path, pixels: npt.NDArray[np.uint8], result: Any, labels: Sequence[str], masked: bool
) -> Detections:
    height, width = pixels.shape[:2]
    boxes = result.boxes.xyxy.cpu().numpy().astype(np.float64).reshape(-1, 4)
    named = tuple(labels[int(number)] for number in result.boxes.cls.tolist())
    masks = None
    if result.masks is not None:
        planes = result.masks.data.cpu().numpy() > 0.5
        masks = tuple(_instance(plane, label) for plane, label in zip(planes, named, strict=True))
    elif masked:
        masks = ()
    scores = result.boxes.conf.cpu().numpy().astype(np.float64)
    return Detections(key, path, width, height, boxes, scores, named, masks)


def _instance(plane: npt.NDArray[np.bool_], label: str) -> Instance:
    """The pixels of a mask (H, W) as an instance; of an empty one too."""
    x, y, width, height = cv2.boundingRect(plane.astype(np.uint8))
    crop = np.ascontiguousarray(plane[y : y + height, x : x + width])
    return Instance(label, (x, y, x + width, y + height), crop, int(np.count_nonzero(crop)))
