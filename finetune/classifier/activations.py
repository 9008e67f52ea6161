"""What a classifier looked at in images, at the proportions that they have: of whole ones, or of all their tiles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from finetune.classification.inference import Predictions, evaluating, image_views, view_batches
from finetune.classification.views.framing import filled_part
from finetune.classification.views.tiles import TileDataset
from finetune.classifier.config import ClassifierConfig
from finetune.classifier.gradcam import class_activation
from finetune.classifier.module import ClassifierModule
from finetune.classifier.plots import ActivationMap
from toolkit.geometry.labels import Window
from toolkit.imaging.images import read_image

__all__ = ["activation_maps"]

_LEAST_SHOWN = 224  # px; smaller images are enlarged in pictures
FloatMap = npt.NDArray[np.float32]


def activation_maps(
    module: ClassifierModule, predictions: Predictions, config: ClassifierConfig, device: torch.device
) -> list[ActivationMap]:
    """What the classifier looked at in each image.

    Where it looks at tiles, the map of each weighs as much as the tile speaks for the class, and where some overlap the
    highest value stands.
    """
    shown = [_shown(example.image, config.image_size, config.bits) for example in predictions.examples]
    found: dict[int, FloatMap] = {}
    for place, window, attention in _views(module, predictions, config, device):
        picture, (height, width) = shown[place]
        canvas = found.setdefault(place, np.zeros(picture.shape[:2], np.float32))
        x0, y0, x1, y1 = window or (0, 0, width, height)
        if config.resize == "letterbox" and window is None:
            left, top, right, bottom = filled_part((height, width), attention.shape)
            attention = attention[top:bottom, left:right]
        ys, xs = canvas.shape[0] / height, canvas.shape[1] / width
        left, top, right, bottom = round(x0 * xs), round(y0 * ys), round(x1 * xs), round(y1 * ys)
        size = max(1, right - left), max(1, bottom - top)
        part = canvas[top : top + size[1], left : left + size[0]]
        np.maximum(part, cv2.resize(attention, size)[: part.shape[0], : part.shape[1]], out=part)
    return [
        ActivationMap(
            shown[place][0],
            found[place],
            example.label,
            predictions.classes[predictions.predicted[place]],
            float(predictions.probabilities[place, predictions.predicted[place]]),
        )
        for place, example in enumerate(predictions.examples)
    ]


def _views(
    module: ClassifierModule, predictions: Predictions, config: ClassifierConfig, device: torch.device
) -> Iterator[tuple[int, Window | None, FloatMap]]:
    """Place of the image, the tile of it or None for all, and where that speaks for the predicted class."""
    views = image_views(predictions.examples, config)
    for numbers, images in view_batches(views, config):
        items = [views.items[one] if isinstance(views, TileDataset) else (one, None) for one in numbers]
        classes = torch.from_numpy(predictions.predicted[[place for place, _ in items]]).to(device)
        maps = class_activation(module.model, config.backbone, images.to(device), classes)
        if isinstance(views, TileDataset):
            with evaluating(module):
                chances = module(images.to(device)).softmax(dim=1).gather(1, classes.view(-1, 1))
            maps *= chances.float().cpu().numpy()[:, :, None]
        for (place, window), attention in zip(items, maps, strict=True):
            yield place, window, attention


def _shown(path: Path, image_size: int, depth: int | None) -> tuple[npt.NDArray[np.uint8], tuple[int, int]]:
    """An image as pictures show it, RGB, its longer side as long as needed, and its own height and width."""
    image = read_image(path, depth)
    height, width = image.shape[:2]
    scale = max(image_size, _LEAST_SHOWN) / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale <= 1 else cv2.INTER_LINEAR)
    return np.ascontiguousarray(resized[:, :, ::-1]), (height, width)
