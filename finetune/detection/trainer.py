"""ultralytics' trainers with text features of our own, checkpoints and log in a run directory, and no telemetry.

What they learn from is class attributes of a subclass that each run makes: under DDP ultralytics hands the class to
other processes by cloudpickle, and starts anew from the settings; what stands on an instance is lost.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any, ClassVar

import torch

from finetune.detection.runtime import ModelSource, load_ultralytics
from finetune.engine.devices import pick_device
from finetune.engine.runs import Run
from finetune.yolo_world.config import NAME, YoloWorldConfig
from finetune.yolo_world.prompts import TextEmbeddings
from toolkit.aliases import Progress
from toolkit.errors import ToolkitError

load_ultralytics()  # which has to go before the first import of ultralytics

from ultralytics.engine.trainer import BaseTrainer  # noqa: E402
from ultralytics.models.yolo.segment import SegmentationValidator  # noqa: E402
from ultralytics.models.yolo.world.train import WorldTrainer, on_pretrain_routine_end  # noqa: E402
from ultralytics.models.yolo.yoloe.train_seg import YOLOESegTrainer  # noqa: E402
from ultralytics.nn.modules import Detect  # noqa: E402

__all__ = ["make_trainer", "set_text", "trainer_settings"]

_OPTIMIZERS = {"adamw": "AdamW", "adam": "Adam", "sgd": "SGD", "auto": "auto"}
_AUGMENT: dict[str, dict[str, float]] = {
    "stock": {},
    "mild": {"mosaic": 0.0, "hsv_h": 0.005, "hsv_s": 0.2, "hsv_v": 0.2, "translate": 0.05, "scale": 0.1},
    "none": {"mosaic": 0.0, "hsv_h": 0.0, "hsv_s": 0.0, "hsv_v": 0.0, "translate": 0.0, "scale": 0.0, "fliplr": 0.0},
}


class _Prompted(BaseTrainer):
    """What the two trainers have in common; goes before ultralytics' class.

    Attributes:
        features: phrase -> features.
        encoder: the text encoder they are from.
        run_root: the run directory.
        progress: called with (epochs done, epochs), in the process that trains.
    """

    text_embeddings: Any
    features: ClassVar[Mapping[str, torch.Tensor]] = {}
    encoder: ClassVar[str] = ""
    run_root: ClassVar[Path] = Path()
    progress: ClassVar[Any] = None

    def __init__(self, cfg: Any = None, overrides: dict[str, Any] | None = None, _callbacks: Any = None) -> None:
        from ultralytics.utils import DEFAULT_CFG

        super().__init__(DEFAULT_CFG if cfg is None else cfg, overrides, _callbacks)
        made = self.wdir
        self.wdir: Path = self.run_root / "checkpoints"
        self.last, self.best = self.wdir / "last.pt", self.wdir / "best.pt"
        if made.is_dir() and not any(made.iterdir()):
            made.rmdir()
        self._epoch_started = time.monotonic()

    def run_callbacks(self, event: str) -> None:
        """Run callbacks of this project and the one of ultralytics' models; leave out trackers and analytics."""
        for callback in self.callbacks.get(event, []):
            if not callback.__module__.startswith(("ultralytics.utils.callbacks", "ultralytics.utils.events")):
                callback(self)

    def set_text_embeddings(self, datasets: list[Any], batch: int | None) -> None:
        """Take the features that were given, where ultralytics computes them or reads them from a cache."""
        self.text_embeddings = {phrase: vector.to(self.device) for phrase, vector in self.features.items()}

    def save_model(self) -> bool:
        """Write checkpoints that are whole or not there, so that a run can be killed at any time."""
        kept = self.last, self.best
        self.last, self.best = (path.with_suffix(".part") for path in kept)
        parts = self.last, self.best
        stock: Any = super()
        try:
            saved = stock.save_model()
        finally:
            self.last, self.best = kept
        for part, path in zip(parts, kept, strict=True):
            if part.exists():
                os.replace(part, path)
        return bool(saved)

    def save_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write the row of an epoch to the run's log.csv too; stop where the loss is no number."""
        stock: Any = super()
        stock.save_metrics(metrics)
        now = time.monotonic()
        validated = self.args.val or self.epoch + 1 >= self.epochs
        told = {name: value for name, value in metrics.items() if validated or name.startswith(("train/", "lr/"))}
        row = _log_row(self.epoch, told, now - self._epoch_started)
        self._epoch_started = now
        Run(self.run_root, NAME).log_epoch(row)
        if not math.isfinite(float(row["train_loss"])):
            remedy = "lower lr (--set lr=...), or use --set precision=32"
            raise ToolkitError(self.run_root, f"the loss is not a number in epoch {row['epoch']}", remedy)
        progress = self.progress
        if progress is not None:
            progress(self.epoch + 1, self.epochs)


class PromptedWorldTrainer(_Prompted, WorldTrainer):
    """YOLO-World's trainer with features that were given."""

    def get_model(self, cfg: Any = None, weights: torch.nn.Module | None = None, verbose: bool = True) -> Any:
        """The stock model; the callback that would compute text features gives way to one that takes ours."""
        # WorldDetect first takes the form of whatever detector this process built last, and with it other random
        # numbers, before it takes its own; a run must not depend on that.
        Detect.legacy = False
        model = super().get_model(cfg, weights, verbose)
        event = "on_pretrain_routine_end"
        self.callbacks[event] = [one for one in self.callbacks[event] if one is not on_pretrain_routine_end]
        self.add_callback(event, _set_text_of_average)
        return model


class PromptedYoloeTrainer(_Prompted, YOLOESegTrainer):
    """YOLOE's trainer with features that were given, for boxes and masks."""

    def get_model(self, cfg: Any = None, weights: torch.nn.Module | None = None, verbose: bool = True) -> Any:
        """The stock model, whose loss is built for as many phrases as a batch brings."""
        model = super().get_model(cfg, weights, verbose)
        model.model[-1].nc = min(self.data["nc"], 80)
        return model

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
        """The stock dataset, and the features of its phrases."""
        dataset = super().build_dataset(img_path, mode, batch)
        if mode == "train":
            self.set_text_embeddings([dataset], batch)
        return dataset

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Move a batch to the device, and add the features of its phrases."""
        with_text: Any = WorldTrainer.preprocess_batch
        prepared: dict[str, Any] = with_text(self, batch)
        return prepared

    def get_validator(self) -> Any:
        """The plain validator: YOLOE's own would compute text features itself."""
        return SegmentationValidator(
            self.test_loader, save_dir=self.save_dir, args=copy(self.args), _callbacks=self.callbacks
        )

    def validate(self) -> Any:
        """Validate with phrases as the trained part of the text side sees them now."""
        _set_text_of_average(self)
        stock: Any = super()
        return stock.validate()


def _set_text_of_average(trainer: Any) -> None:
    """Give the averaged model, which is validated and saved, the phrases of the dataset."""
    phrases = list(trainer.data["names"].values())
    features = torch.stack([trainer.features[phrase] for phrase in phrases]).to(trainer.device)
    set_text(trainer.ema.ema, phrases, features)
    trainer.ema.ema.text_encoder = trainer.encoder


def set_text(model: Any, phrases: list[str], features: torch.Tensor) -> None:
    """Make a model look for phrases, without a text encoder.

    Args:
        model: YOLO-World or YOLOE.
        phrases: what to look for.
        features: float32 (N, 512), on the model's device.
    """
    with torch.no_grad():
        if hasattr(model, "txt_feats"):
            model.txt_feats = features[None]
            model.model[-1].nc = len(phrases)
        else:
            weight = next(model.parameters())
            model.set_classes(phrases, model.model[-1].get_tpe(features[None].to(weight.dtype)).detach())
    if hasattr(model, "names"):
        model.names = dict(enumerate(phrases))


def make_trainer(
    run: Run,
    config: YoloWorldConfig,
    source: ModelSource,
    table: TextEmbeddings,
    data: Path,
    *,
    validate: bool = True,
    resume: bool = False,
    progress: Progress | None = None,
) -> Any:
    """A trainer that is ready for `train()`.

    Args:
        run: where checkpoints, plots and the log go.
        config: settings.
        source: the model.
        table: features of the phrases that `data` names.
        data: YAML file of a YOLO tree.
        validate: after each epoch; else after the last alone, which then is the best.
        resume: go on from RUN/checkpoints/last.pt.
        progress: called with (epochs done, epochs).

    Raises:
        ToolkitError: there is no such device.
    """
    settings = trainer_settings(run, config, source, data) | {"val": validate}
    if resume:
        settings |= {"resume": str(run.checkpoints / "last.pt")}
    base = PromptedYoloeTrainer if source.masks else PromptedWorldTrainer
    alone = config.devices == 1  # a progress bar cannot be sent to other processes
    known = {
        "features": dict(table.features),
        "encoder": table.encoder,
        "run_root": run.root.resolve(),
        "progress": staticmethod(progress) if progress is not None and alone else None,
        "__module__": __name__,
    }
    return type("RunTrainer", (base,), known)(overrides=settings)


def trainer_settings(run: Run, config: YoloWorldConfig, source: ModelSource, data: Path) -> dict[str, object]:
    """Settings as ultralytics names them.

    Raises:
        ToolkitError: there is no such device.
    """
    frozen = {"none": None, "backbone": source.stages[0], "neck": source.stages[1]}[config.freeze]
    pretrained: str | bool = str(source.weights.resolve()) if source.weights is not None else not source.random
    told: dict[str, object] = {
        "task": "segment" if source.masks else "detect",
        "mode": "train",
        "model": source.model,
        "pretrained": pretrained,
        "data": str(data.resolve()),
        "epochs": config.epochs,
        "batch": config.batch_size,
        # With few images, gradients summed over ultralytics' nominal 64 would leave one step to several epochs.
        "nbs": config.batch_size,
        "imgsz": config.image_size,
        "lr0": config.lr,
        "optimizer": _OPTIMIZERS[config.optimizer],
        "weight_decay": config.weight_decay,
        "seed": config.seed,
        "workers": config.workers,
        "patience": config.patience,
        "freeze": frozen,
        "amp": _precision(config),
        "device": _device(config),
        "close_mosaic": min(10, config.epochs // 10),
        "plots": config.plots,
        "exist_ok": True,
        "verbose": False,
        "save_dir": str((run.plots / "ultralytics").resolve()),
    }
    if config.optimizer in ("adamw", "adam"):
        told |= {"momentum": 0.9, "warmup_bias_lr": 0.0}  # as ultralytics sets them when it chooses AdamW itself
    return told | _AUGMENT[config.augment.preset]


def _device(config: YoloWorldConfig) -> str:
    device = pick_device(config.device)
    if config.devices == 1:
        return str(device.index or 0) if device.type == "cuda" else device.type
    there = torch.cuda.device_count() if device.type == "cuda" else 0
    if config.devices > there:
        remedy = f"use --set devices={max(1, there)} or fewer"
        raise ToolkitError(f"devices {config.devices}", f"there are {there} GPUs", remedy)
    return ",".join(str(number) for number in range(config.devices))


def _precision(config: YoloWorldConfig) -> str | bool:
    """What ultralytics calls it; 16-bit floats of the other kind it would try out on a model that it downloads."""
    wanted = config.precision == "bf16-mixed" or (
        config.precision == "auto"
        and pick_device(config.device).type == "cuda"
        and torch.cuda.is_bf16_supported(including_emulation=False)
    )
    return "bf16" if wanted else False


def _log_row(epoch: int, metrics: Mapping[str, Any], seconds: float) -> dict[str, str]:
    """A row of log.csv: what was not measured in this epoch is empty."""
    row = {"epoch": str(epoch)}
    for stage in ("train", "val"):
        parts = {name: float(value) for name, value in metrics.items() if name.startswith(f"{stage}/")}
        row |= {name.replace("/", "_"): repr(value) for name, value in parts.items()}
        row[f"{stage}_loss"] = repr(sum(parts.values())) if parts else ""
    named = {"map50": "metrics/mAP50(B)", "map50_95": "metrics/mAP50-95(B)", "lr": "lr/pg0"}
    row |= {ours: repr(float(metrics[theirs])) if theirs in metrics else "" for ours, theirs in named.items()}
    return {**row, "seconds": f"{seconds:.3f}"}
