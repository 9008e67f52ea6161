"""A trained VAE: loading it, and the anomaly maps that it makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from finetune.anomaly import detector
from finetune.anomaly.detector import Detector, describe_file, score_files
from finetune.anomaly.maps import ScoredImage
from finetune.anomaly.thresholds import threshold_of
from finetune.engine.checkpoints import load_weights
from finetune.engine.devices import pick_device
from finetune.engine.prediction import Prediction
from finetune.engine.runs import Run, read_config
from finetune.engine.splits import ImageRecord
from finetune.vae.config import VaeConfig
from finetune.vae.gabor_vae import GaborVae, Model
from finetune.vae.models import FeatureVae, PixelVae
from finetune.vae.scores import gradient_map, residual_map, ssim_map
from toolkit.errors import ToolkitError

__all__ = [
    "TrainedVae",
    "build_model",
    "check_score",
    "load_predictor",
    "load_trained",
    "make_maps",
    "score_files",
    "score_images",
]


@dataclass(frozen=True, eq=False)
class TrainedVae(Detector):
    """What a run left, ready for use.

    Attributes:
        model: in evaluation mode, on `device`.
    """

    model: Model


def score_images(
    model: Model, examples: Sequence[ImageRecord], config: VaeConfig, device: torch.device
) -> list[ScoredImage]:
    """As `finetune.anomaly.detector.score_images`, of a model in evaluation mode and the score that `config` names."""
    return detector.score_images(partial(make_maps, model, config), examples, config, device)


def make_maps(model: Model, config: VaeConfig, images: torch.Tensor) -> torch.Tensor:
    """Anomaly maps of a batch by the score that `config` names, before the blur.

    Args:
        model: in evaluation mode.
        config: settings, of which score, model and grad_steps are used.
        images: float32 (B, 3, side, side), RGB in [0, 1].

    Raises:
        ToolkitError: the score is of another model.
    """
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


def load_trained(run: Run) -> TrainedVae:
    """The model of a run, with the weights of its best epoch.

    Raises:
        ToolkitError: the run did not go to its end, or its files are damaged.
    """
    config = read_config(run, VaeConfig)
    threshold = threshold_of(run)
    model = build_model(config, run)[0]
    load_weights(model, run.best_checkpoint, under="model")
    device = pick_device(config.device)
    model = model.to(device).eval()
    return TrainedVae(partial(make_maps, model, config), config, device, threshold, model)


def load_predictor(run: Run) -> Callable[[Path], Prediction]:
    """The model of a run, ready for one image file after the other.

    Raises:
        ToolkitError: as `load_trained`.
    """
    return partial(describe_file, load_trained(run))


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
    from finetune.backbones.backbone import build_backbone, untrained_backbone  # here: the others need none

    if run is None:
        backbone = build_backbone(config.backbone, config.weights, 1, image_size=config.image_size)
    else:
        backbone = untrained_backbone(run, config, 1)
    return FeatureVae(config.shape, backbone, beta=config.beta), backbone.weights_facts()
