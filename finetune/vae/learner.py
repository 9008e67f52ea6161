"""The anomaly detector: a VAE of good images, a threshold from held-out good ones, maps and labels of what differs."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch

from converters.formats.base import check_formats
from finetune.anomaly.maps import (
    ScoredImage,
    draw_map,
    good_threshold,
    gradient_map,
    label_map,
    residual_map,
    save_map,
    smooth,
    ssim_map,
    unique_keys,
    write_map_labels,
)
from finetune.classification.backbones import build_backbone
from finetune.engine.datasets import Example, ImageDataset, open_examples, repeatable_loader
from finetune.engine.runs import Run, read_config, split_sha256, start_run
from finetune.engine.trainer import fit, gather_rows, load_weights, pick_device, seed_all
from finetune.learners import Learner
from finetune.metrics.anomaly import anomaly_metrics
from finetune.vae.config import VaeConfig
from finetune.vae.data import choose_good, has_random_pose, train_views, truth_masks, unit_range
from finetune.vae.gabor_vae import BandVae
from finetune.vae.models import FeatureVae, PixelVae, Vae
from toolkit.dataset.samples import file_name
from toolkit.errors import ToolkitError
from toolkit.files.publish import write_whole
from toolkit.geometry.labels import GOOD
from toolkit.imaging.images import read_header

__all__ = [
    "LEARNER",
    "TrainedVae",
    "VaeConfig",
    "VaeModule",
    "evaluate",
    "load_trained",
    "measure",
    "predict",
    "score_files",
    "score_images",
    "train",
]

NAME = "vae"
Model = Vae | BandVae
Progress = Callable[[int, int], None]
_MOST_DRAWN = 24  # overlays of test images in a run


class VaeModule(lightning.LightningModule):
    """Model, loss and optimiser."""

    def __init__(self, model: Model, config: VaeConfig) -> None:
        """Take a model as it is."""
        super().__init__()
        self.model, self._config = model, config

    def training_step(self, batch: dict[str, Any]) -> torch.Tensor:
        """The negative evidence bound of a batch."""
        return self._step(batch, "train", sample=True)

    def validation_step(self, batch: dict[str, Any]) -> None:
        """That of held-out good images, with the mean of the latents, so that it has no noise."""
        self._step(batch, "val", sample=False)

    def _step(self, batch: dict[str, Any], stage: str, *, sample: bool) -> torch.Tensor:
        images = batch["image"].contiguous(memory_format=torch.channels_last)
        parts: dict[str, torch.Tensor] = self.model.loss(images, sample=sample)
        for name, value in parts.items():
            told = f"{stage}_{name}"
            self.log(told, value, on_step=False, on_epoch=True, batch_size=len(images), sync_dist=stage == "val")
        return parts["loss"]

    def configure_optimizers(self) -> Any:
        """AdamW; the rate rises over the first steps, and falls to a hundredth as a cosine from a third of the way."""
        steps = max(1, int(self.trainer.estimated_stepping_batches))
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        optimiser = torch.optim.AdamW(trained, self._config.lr, weight_decay=1e-5)

        def rate(step: int) -> float:
            fall = max(0.0, min(1.0, (step / steps - 1 / 3) * 1.5))
            return min(1.0, (step + 1) / 50) * max(0.01, 0.5 * (1 + math.cos(math.pi * fall)))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Keep a rare large gradient from undoing an epoch."""
        self.clip_gradients(optimizer, gradient_clip_val=1.0, gradient_clip_algorithm="norm")


def train(data: Path, config: VaeConfig, out: Path, resume: bool = False, progress: Progress | None = None) -> Run:
    """Train on good images, set the threshold on held-out ones, and test.

    Args:
        data: dataset root with one product, category folder or label tree.
        config: settings.
        out: the run directory.
        resume: go on with a run that was interrupted.
        progress: called with (epochs done, epochs).

    Raises:
        ToolkitError: data, split, weights or device are at fault, there are defects in train or too few good images,
            or training fails.
    """
    check_formats(_formats(config))
    config.shape.check()
    _check_score(config)
    examples = open_examples(data, config.split)
    good = choose_good(examples, config.hold_out, config.seed)
    device = pick_device(config.device)
    seed_all(config.seed)
    model, digest = _build(config, config.weights)
    augment = config.augment
    if augment == "auto":
        augment = "turn" if has_random_pose(good.train, config.seed) else "none"
    facts = {
        "weights": config.weights if config.model == "feature" else "none",
        "weights_sha256": digest,
        "augment": augment,
        "held_out": good.how,
        "map_resolution": "maps at image_size, enlarged bilinearly to each image for pixel figures and labels",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "notes": list(examples.notes),
    }
    run = start_run(out, NAME, config, subsets=examples.subsets, data=data, resume=resume, **facts)
    if run.finished:
        return run
    module = VaeModule(model.to(memory_format=torch.channels_last), config)
    batches = repeatable_loader(
        ImageDataset(_as_good(good.train), [GOOD], config.image_size, train_views(augment), seed=config.seed),
        batch_size=config.batch_size,
        shuffle=True,
        seed=config.seed,
        workers=config.workers,
    )
    if isinstance(model, BandVae):
        model.calibrate(batch["image"] for batch in batches)  # which also decodes the images, once
    load_weights(module, fit(module, batches, _loader(good.held_out, config), run, config, progress=progress).best)
    model = module.model.to(device).eval()
    threshold = good_threshold(
        [one.score for one in score_images(model, good.held_out, config, device)], config.percentile
    )
    run.note(threshold=threshold)
    _report(run, model, examples.subset("test"), config, device, threshold, data)
    return run


def evaluate(run: Run, data: Path | None = None) -> dict[str, Any]:
    """Test an anomaly detector, on one or several processes.

    Args:
        run: what `train` made.
        data: None for the data that it was trained on; test images are used, or all where there are none.

    Returns:
        As metrics.json.

    Raises:
        ToolkitError: the run or the data are at fault.
    """
    ready = load_trained(run)
    root = Path(ready.environment["data"]) if data is None else Path(data)
    examples = open_examples(root, ready.config.split)
    if data is None and split_sha256(examples.subsets) != ready.environment["split_sha256"]:
        raise ToolkitError(root, "is not as it was: other images or another split", "name the data")
    chosen = examples.subset("test") or list(examples.examples)
    scored = score_images(ready.model, chosen, ready.config, ready.device)
    return measure(chosen, scored, root, ready.threshold)


def predict(run: Run, images: Sequence[Path], out: Path) -> list[dict[str, Any]]:
    """Look for anomalies in image files: maps/*.npz, overlays/*.png, labels/FORMAT/, and a row for each image.

    Args:
        run: what `train` made.
        images: the files.
        out: folder to write into.

    Returns:
        Rows of file, score, threshold, anomalous (0 or 1), instances, and the files of map and overlay.

    Raises:
        ToolkitError: the run is at fault, or an image cannot be read.
    """
    ready = load_trained(run)
    scored = score_files(ready, images)
    rows: list[dict[str, Any]] = []
    for image in scored:
        map_file, overlay = f"maps/{file_name(image.key)}.npz", f"overlays/{file_name(image.key)}.png"
        save_map(out / map_file, image, ready.threshold)
        write_whole(out / overlay, draw_map(image, ready.threshold))
        found = {"file": str(image.path), **_row(image, ready.threshold)}
        rows.append({**found, "map": map_file, "overlay": overlay})
    write_map_labels(scored, ready.threshold, out / "labels", _formats(ready.config), overwrite=True)
    return rows


LEARNER = Learner(VaeConfig, train, evaluate, predict)


def score_files(ready: TrainedVae, images: Sequence[Path]) -> list[ScoredImage]:
    """Anomaly maps of image files, in their order.

    Raises:
        ToolkitError: a file is named twice, or as `score_images`.
    """
    paths = [Path(path) for path in images]
    examples = [Example(key, path, GOOD, "", "test") for key, path in zip(unique_keys(paths), paths, strict=True)]
    return score_images(ready.model, examples, ready.config, ready.device)


def score_images(
    model: Model, examples: Sequence[Example], config: VaeConfig, device: torch.device
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
    rows: list[tuple[int, Any]] = []
    for batch in _loader(examples, config):
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
    _check_score(config)
    if config.score == "residual" or not isinstance(model, PixelVae):
        return residual_map(model, images)
    if config.score == "ssim":
        return ssim_map(model, images)
    return gradient_map(model, images, steps=config.grad_steps)


def _check_score(config: VaeConfig) -> None:
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
        environment: what stands in environment.json.
    """

    model: Model
    config: VaeConfig
    device: torch.device
    environment: dict[str, Any]

    @property
    def threshold(self) -> float:
        """Scores above it are anomalies."""
        return float(self.environment["threshold"])


def load_trained(run: Run) -> TrainedVae:
    """The model of a run, with the weights of its best epoch.

    Raises:
        ToolkitError: the run did not go to its end, or its files are damaged.
    """
    config, environment = read_config(run, VaeConfig), run.environment()
    if "threshold" not in environment:
        raise ToolkitError(run.root, "has no threshold: it did not go to its end", "train it with --resume")
    module = VaeModule(_build(config, "none")[0], config)
    best = run.checkpoints / "best.ckpt"
    load_weights(module, best if best.is_file() else run.checkpoints / "last.ckpt")
    device = pick_device(config.device)
    return TrainedVae(module.model.to(device).eval(), config, device, environment)


def _build(config: VaeConfig, weights: str) -> tuple[Model, str | None]:
    """A model, and the hash of the weights of its backbone."""
    if config.model == "bands":
        return BandVae(config.shape, beta=config.beta), None
    if config.model == "pixel":
        return PixelVae(config.shape, loss=config.loss, beta=config.beta), None
    backbone = build_backbone(config.backbone, weights, 1, image_size=config.image_size)
    return FeatureVae(config.shape, backbone, beta=config.beta), backbone.weights_sha256


def _loader(examples: Sequence[Example], config: VaeConfig) -> Any:
    dataset = ImageDataset(_as_good(examples), [GOOD], config.image_size, unit_range)
    return repeatable_loader(dataset, batch_size=config.batch_size, shuffle=False, workers=config.workers)


def _as_good(examples: Iterable[Example]) -> list[Example]:
    """Examples without their class, which an anomaly detector does not know."""
    return [Example(one.key, one.image, GOOD, one.category, one.subset) for one in examples]


def _formats(config: VaeConfig) -> list[str]:
    return [name.strip() for name in config.labels.split(",") if name.strip()]


def _report(
    run: Run,
    model: Model,
    tested: Sequence[Example],
    config: VaeConfig,
    device: torch.device,
    threshold: float,
    data: Path,
) -> None:
    """Predictions, pictures and figures of the test images."""
    scored = score_images(model, tested, config, device)
    pairs = list(zip(tested, scored, strict=True))
    rows = [
        {"key": one.key, "subset": one.subset, "label": one.label, **_row(image, threshold)} for one, image in pairs
    ]
    run.write_predictions(rows)
    for image in sorted(scored, key=lambda image: -image.score)[:_MOST_DRAWN]:
        write_whole(run.plots / "overlays" / f"{file_name(image.key)}.png", draw_map(image, threshold))
    with open(run.root / "log.csv", newline="", encoding="utf-8") as file:
        seconds = sum(float(row["seconds"]) for row in csv.DictReader(file))
    run.write_metrics(measure(tested, scored, data, threshold), seconds=seconds)


def _row(image: ScoredImage, threshold: float) -> dict[str, Any]:
    """What an image scores, and what is labelled in it; by the definition of the score the two agree."""
    found = len(label_map(image, threshold).instances)
    return {
        "score": image.score,
        "threshold": threshold,
        "anomalous": int(image.score > threshold),
        "instances": found,
    }


def measure(
    tested: Sequence[Example], scored: Sequence[ScoredImage], data: Path, threshold: float
) -> dict[str, float | int]:
    """Figures of test images, pixel figures at the size of each image where the data has masks."""
    masks = truth_masks(data)
    defective = [example.label != GOOD for example in tested]

    def pixels() -> Iterable[Any]:
        for image in scored:
            mask = masks[image.key]()
            if mask is not None:
                yield image.enlarged(), mask

    told = any(masks[example.key]() is not None for example in tested[:1])
    figures = anomaly_metrics([image.score for image in scored], defective, pixels if told else None)
    above = np.array([image.score > threshold for image in scored], bool)
    truth = np.array(defective, bool)
    rates = {
        "true_positive_rate": float(above[truth].mean()) if truth.any() else float("nan"),
        "false_positive_rate": float(above[~truth].mean()) if (~truth).any() else float("nan"),
    }
    return {**figures, **rates, "threshold": threshold, "images": len(tested)}
