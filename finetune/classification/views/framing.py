"""What of an image a network sees: all of it, squashed or in a letterbox, or squares of it, one after the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from finetune.classification.config import BackboneConfig
from toolkit.geometry.labels import Window
from toolkit.imaging.images import read_image

__all__ = ["filled_part", "frame", "image_reader", "input_size", "tile_windows"]

Picture = npt.NDArray[np.uint8]

_FILL = 127  # grey beside a picture in a letterbox
_MULTIPLE = 32  # px; what backbones halve five times


def input_size(config: BackboneConfig) -> tuple[int, int]:
    """Height and width of what the network sees, in pixels."""
    if config.aspect == 1:
        return config.image_size, config.image_size
    root = math.sqrt(config.aspect)
    height, width = (max(1, round(config.image_size * part / _MULTIPLE)) * _MULTIPLE for part in (1 / root, root))
    return height, width


def image_reader(config: BackboneConfig) -> Callable[[Path], Picture] | None:
    """What reads a whole image as the network sees it: path -> uint8 (height, width, 3), RGB.

    None where it is squashed to a square, which `ImageDataset` does by itself.
    """
    if config.aspect == 1 and config.resize == "squash":
        return None
    asked: dict[str, Any] = {"letterbox": config.resize == "letterbox", "depth": config.bits}
    return partial(_read_framed, size=input_size(config), **asked)


def _read_framed(path: Path, size: tuple[int, int], letterbox: bool, depth: int | None) -> Picture:
    return frame(read_image(path, depth), size, letterbox=letterbox)


def frame(picture: Picture, size: tuple[int, int], *, letterbox: bool = False) -> Picture:
    """A picture, or a part of one, at the size that the network sees.

    Args:
        picture: uint8 (H, W, 3), BGR.
        size: height and width in pixels.
        letterbox: keep the proportions, and fill the rest with grey; else they change.

    Returns:
        uint8 (height, width, 3), RGB.
    """
    x0, y0, x1, y1 = filled_part(picture.shape[:2], size) if letterbox else (0, 0, size[1], size[0])
    shrink = y1 - y0 <= picture.shape[0] and x1 - x0 <= picture.shape[1]
    how = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    resized = cv2.resize(picture, (x1 - x0, y1 - y0), interpolation=how)[:, :, ::-1]
    if resized.shape[:2] == size:
        return np.ascontiguousarray(resized)
    framed = np.full((*size, 3), _FILL, np.uint8)
    framed[y0:y1, x0:x1] = resized
    return framed


def filled_part(shape: tuple[int, ...], size: tuple[int, int]) -> Window:
    """Where a picture of `shape` (height, width) lies in a letterbox of `size` (height, width): in its middle."""
    scale = min(size[0] / shape[0], size[1] / shape[1])
    height, width = (max(1, min(room, round(side * scale))) for side, room in zip(shape, size, strict=True))
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    return left, top, left + width, top + height


def tile_windows(width: int, height: int, side: int, overlap: float) -> list[Window]:
    """Squares that cover an image, row by row, evenly spread.

    Args:
        width, height: of the image, in pixels.
        side: of the squares; the shorter side of an image that is smaller.
        overlap: share of the side by which two that follow each other overlap, at least.
    """
    side = min(side, width, height)
    columns, rows = (_starts(length, side, overlap) for length in (width, height))
    return [(x, y, x + side, y + side) for y in rows for x in columns]


def _starts(length: int, side: int, overlap: float) -> list[int]:
    steps = math.ceil((length - side) / max(1.0, side * (1 - overlap)))
    return [round(step * (length - side) / max(1, steps)) for step in range(steps + 1)]
