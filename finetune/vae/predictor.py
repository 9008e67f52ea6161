"""A trained VAE: loading it, and the anomaly maps that it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader

from finetune.anomaly.maps import ScoredImage, label_map, smooth
from finetune.classification.backbones import build_backbone, untrained_backbone
from finetune.engine.checkpoints import load_weights
from finetune.engine.datasets import Batch, ImageDataset, repeatable_loader
from finetune.engine.devices import pick_device
from finetune.engine.distributed import gather_rows
from finetune.engine.facts import Facts
from finetune.engine.prediction import Prediction
from finetune.engine.runs import Run, read_config
from finetune.engine.splits import ImageRecord
from finetune.vae.config import VaeConfig
from finetune.vae.data import unit_range
from finetune.vae.gabor_vae import GaborVae, Model
from finetune.vae.models import FeatureVae, PixelVae
from finetune.vae.module import VaeModule
from finetune.vae.scores import gradient_map, residual_map, ssim_map
from toolkit.dataset.keys import unique_keys
from toolkit.dataset.samples import GOOD
from toolkit.errors import ToolkitError
from toolkit.files.typed import Finite
from toolkit.imaging.images import read_header

__all__ = [
    "TrainedVae",
    "as_good",
    "build_model",
    "check_score",
    "image_loader",
    "load_predictor",
    "load_trained",
    "score_files",
    "score_images",
]


def score_files(ready: TrainedVae, images: Sequence[Path]) -> list[ScoredImage]:
    """Anomaly maps of image files, in their order.

    Raises:
        ToolkitError: a file is named twice, or as `score_images`.
    """
    paths = [Path(path) for path in images]
    examples = [ImageRecord(key, path, GOOD, "", "test") for key, path in zip(unique_keys(paths), paths, strict=True)]
    return score_images(ready.model, examples, ready.config, ready.device)


def score_images(
    model: Model, examples: Sequence[ImageRecord], config: VaeConfig, device: torch.device
) -> list[ScoredImage]:
    """Anomaly maps of images; where several processes work together, each takes its share and all get all of it.

    Args:
        model: in evaluation mode, on `device`.
        examples: the images.
        config: settings, of which score, smoothing, min_area, image_size, batch_size and workers are used.
        device: where to compute.

    Raises:
        ToolkitError: an image cannot be read or has fewer pixels than `min_area`, or the score is of another model.
    """
    rows: list[tuple[int, npt.NDArray[np.float32]]] = []
    for batch in image_loader(examples, config):
        images = batch["image"].to(device).contiguous(memory_format=torch.channels_last)
        maps = smooth(_maps(model, images, config), config.smoothing * config.image_size)
        rows += zip(batch["index"].tolist(), maps.float().cpu().numpy(), strict=True)
    scored = []
    for index, scores in gather_rows(rows):
        one, header = examples[index], read_header(examples[index].image)
        size = header.width, header.height
        if config.min_area > header.width * header.height:
            raise ToolkitError(one.image, f"has fewer pixels than min_area={config.min_area}", "use a smaller min_area")
        scored.append(ScoredImage(one.key, one.image, *size, scores, one.subset, config.min_area))
    return scored


def _maps(model: Model, images: torch.Tensor, config: VaeConfig) -> torch.Tensor:
    check_score(config)
    if config.score == "residual" or not isinstance(model, PixelVae):
        return residual_map(model, images)
    if config.score == "ssim":
        return ssim_map(model, images)
    return gradient_map(model, images, steps=config.grad_steps)


def check_score(config: VaeConfig) -> None:
    """Refuse a score that is of another model."""
    if config.model != "pixel" and config.score != "residual":
        remedy = f"use score=residual with model={config.model}"
        raise ToolkitError(f"score {config.score}", "is of a pixel VAE", remedy)


@dataclass(frozen=True, eq=False)
class TrainedVae:
    """What a run left, ready for use.

    Attributes:
        model: in evaluation mode, on `device`.
        config: its settings.
        device: where it computes.
        threshold: scores above it are anomalies.
    """

    model: Model
    config: VaeConfig
    device: torch.device
    threshold: float


class _Facts(Facts):
    threshold: Finite


def load_trained(run: Run) -> TrainedVae:
    """The model of a run, with the weights of its best epoch.

    Raises:
        ToolkitError: the run did not go to its end, or its files are damaged.
    """
    config = read_config(run, VaeConfig)
    if "threshold" not in run.environment():
        raise ToolkitError(run.root, "has no threshold: it did not go to its end", "train it with --resume")
    threshold = run.facts(_Facts).threshold
    module = VaeModule(build_model(config, run)[0], config)
    load_weights(module, run.best_checkpoint)
    device = pick_device(config.device)
    return TrainedVae(module.model.to(device).eval(), config, device, threshold)


def load_predictor(run: Run) -> Callable[[Path], Prediction]:
    """The model of a run, ready for one image file after the other.

    Raises:
        ToolkitError: as `load_trained`.
    """
    ready = load_trained(run)

    def predict(path: Path) -> Prediction:
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

    return predict


def build_model(config: VaeConfig, run: Run | None = None) -> tuple[Model, dict[str, str | None]]:
    """A model, and what environment.json says of the weights of its backbone.

    Args:
        config: settings.
        run: whose trained weights are yet to be filled in; None for a model that is to be trained.
    """
    if config.model == "bands":
        return GaborVae(config.shape, beta=config.beta), {"weights_sha256": None}
    if config.model == "pixel":
        return PixelVae(config.shape, loss=config.loss, beta=config.beta), {"weights_sha256": None}
    if run is None:
        backbone = build_backbone(config.backbone, config.weights, 1, image_size=config.image_size)
    else:
        backbone = untrained_backbone(run, config, 1)
    return FeatureVae(config.shape, backbone, beta=config.beta), backbone.weights_facts()


def image_loader(examples: Sequence[ImageRecord], config: VaeConfig) -> DataLoader[Batch]:
    """Batches of images as the model takes them, in their order."""
    dataset = ImageDataset(as_good(examples), [GOOD], config.image_size, unit_range)
    return repeatable_loader(dataset, batch_size=config.batch_size, shuffle=False, workers=config.workers)


def as_good(examples: Iterable[ImageRecord]) -> list[ImageRecord]:
    """Examples without their class, which an anomaly detector does not know."""
    return [ImageRecord(one.key, one.image, GOOD, one.category, one.subset) for one in examples]
