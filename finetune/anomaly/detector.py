"""A trained anomaly detector: the maps that it makes of image files, and what it says of one in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader

from finetune.anomaly.config import AnomalyConfig
from finetune.anomaly.data import unit_range
from finetune.anomaly.maps import ScoredImage, label_map, smooth
from finetune.engine.datasets import Batch, ImageDataset, repeatable_loader
from finetune.engine.devices import reading_processes
from finetune.engine.distributed import gather_rows
from finetune.engine.prediction import Prediction
from finetune.engine.splits import ImageRecord
from toolkit.dataset.keys import unique_keys
from toolkit.dataset.samples import GOOD
from toolkit.errors import ToolkitError
from toolkit.imaging.images import read_header

__all__ = [
    "Detector",
    "MapMaker",
    "as_good",
    "describe_file",
    "image_loader",
    "score_files",
    "score_images",
    "scored_image",
]

MapMaker = Callable[[torch.Tensor], torch.Tensor]
"""Images, float32 (B, 3, side, side), RGB in [0, 1] -> anomaly maps before the blur, float32 (B, side, side)."""


@dataclass(frozen=True, eq=False)
class Detector:
    """What a run of an anomaly detector left, ready for use.

    Attributes:
        maps: makes the maps of a batch on `device`.
        config: its settings.
        device: where it computes.
        threshold: scores above it are anomalies.
    """

    maps: MapMaker
    config: AnomalyConfig
    device: torch.device
    threshold: float


def score_files(ready: Detector, images: Sequence[Path]) -> list[ScoredImage]:
    """Anomaly maps of image files, in their order.

    Raises:
        ToolkitError: a file is named twice, or as `score_images`.
    """
    paths = [Path(path) for path in images]
    examples = [ImageRecord(key, path, GOOD, "", "test") for key, path in zip(unique_keys(paths), paths, strict=True)]
    return score_images(ready.maps, examples, ready.config, ready.device)


def score_images(
    maps: MapMaker, examples: Sequence[ImageRecord], config: AnomalyConfig, device: torch.device
) -> list[ScoredImage]:
    """Anomaly maps of images; where several processes work together, each takes its share and all get all of it.

    Args:
        maps: makes the maps of a batch on `device`.
        examples: the images.
        config: settings, of which smoothing, min_area, image_size, batch_size and workers are used.
        device: where to compute.

    Raises:
        ToolkitError: an image cannot be read or has fewer pixels than `min_area`.
    """
    rows: list[tuple[int, npt.NDArray[np.float32]]] = []
    for batch in image_loader(examples, config):
        images = batch["image"].to(device).contiguous(memory_format=torch.channels_last)
        blurred = smooth(maps(images), config.smoothing * config.image_size)
        rows += zip(batch["index"].tolist(), blurred.float().cpu().numpy(), strict=True)
    return [scored_image(examples[index], scores, config) for index, scores in gather_rows(rows)]


def scored_image(one: ImageRecord, scores: npt.NDArray[np.float32], config: AnomalyConfig) -> ScoredImage:
    """An image with its blurred map.

    Raises:
        ToolkitError: it cannot be read, or has fewer pixels than `min_area`.
    """
    header = read_header(one.image)
    if config.min_area > header.width * header.height:
        raise ToolkitError(one.image, f"has fewer pixels than min_area={config.min_area}", "use a smaller min_area")
    size = header.width, header.height
    return ScoredImage(one.key, one.image, *size, scores, one.subset, config.min_area, config.bits)


def describe_file(ready: Detector, path: Path) -> Prediction:
    """What a detector says of one image file.

    Raises:
        ToolkitError: as `score_images`.
    """
    scored = score_files(ready, [path])[0]
    scores, instances = scored.enlarged(), label_map(scored, ready.threshold).instances
    peaks = [scores[y0:y1, x0:x1][one.region].max() for one in instances for x0, y0, x1, y1 in [one.window]]
    return Prediction(
        path,
        scored.width,
        scored.height,
        classes=tuple(one.label for one in instances),
        scores=np.array(peaks, np.float64),
        boxes=np.array([one.bbox for one in instances], np.float64).reshape(-1, 4),
        instances=instances,
        map=scores,
        score=scored.score,
        threshold=ready.threshold,
    )


def image_loader(examples: Sequence[ImageRecord], config: AnomalyConfig) -> DataLoader[Batch]:
    """Batches of images in [0, 1], in their order."""
    dataset = ImageDataset(as_good(examples), [GOOD], config.image_size, unit_range, depth=config.bits)
    return repeatable_loader(dataset, batch_size=config.batch_size, shuffle=False, workers=reading_processes(config))


def as_good(examples: Iterable[ImageRecord]) -> list[ImageRecord]:
    """Examples without their class, which an anomaly detector does not know."""
    return [ImageRecord(one.key, one.image, GOOD, one.category, one.subset) for one in examples]
