"""ultralytics' trainers with checkpoints and log in a run directory, and no telemetry.

What they learn from is class attributes of a subclass that each run makes: under DDP ultralytics hands the class to
other processes by cloudpickle, and starts anew from the settings; what stands on an instance is lost.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import torch

from finetune.detection.config import DetectorConfig
from finetune.detection.models import ModelSource
from finetune.detection.runtime import load_ultralytics
from finetune.detection.stock import MASKS_ONLY
from finetune.engine.devices import pick_device
from finetune.engine.outputs.loggers import PROJECT, LoggerName, mlflow_place
from finetune.engine.runs import Run
from toolkit.aliases import Progress
from toolkit.errors import ToolkitError

load_ultralytics()  # which has to go before the first import of ultralytics

from ultralytics.engine.trainer import BaseTrainer  # noqa: E402

__all__ = ["RunTrainer", "make_trainer", "trainer_settings"]

_OPTIMIZERS = {
    "adamw": "AdamW",
    "sgd": "SGD",
    "musgd": "MuSGD",
    "adam": "Adam",
    "adamax": "Adamax",
    "nadam": "NAdam",
    "radam": "RAdam",
    "rmsprop": "RMSProp",
    "auto": "auto",
}
_ADAMS = ("adamw", "adam", "adamax", "nadam", "radam")
_TRACKERS = {
    "tensorboard": "ultralytics.utils.callbacks.tensorboard",
    "mlflow": "ultralytics.utils.callbacks.mlflow",
    "wandb": "ultralytics.utils.callbacks.wb",
}
_AUGMENT: dict[str, dict[str, float]] = {
    "stock": {},
    "mild": {"mosaic": 0.0, "hsv_h": 0.005, "hsv_s": 0.2, "hsv_v": 0.2, "translate": 0.05, "scale": 0.1},
    "none": {"mosaic": 0.0, "hsv_h": 0.0, "hsv_s": 0.0, "hsv_v": 0.0, "translate": 0.0, "scale": 0.0, "fliplr": 0.0},
}


class RunTrainer(BaseTrainer):
    """What all trainers have in common; goes before ultralytics' class.

    Attributes:
        run_root: the run directory.
        learner: whose run it is.
        progress: called with (epochs done, epochs), in the process that trains.
        logger: where figures go besides, by ultralytics' own callbacks.
    """

    run_root: ClassVar[Path] = Path()
    learner: ClassVar[str] = ""
    progress: ClassVar[Any] = None
    logger: ClassVar[LoggerName] = "none"

    def __init__(self, cfg: Any = None, overrides: dict[str, Any] | None = None, _callbacks: Any = None) -> None:
        from ultralytics.utils import DEFAULT_CFG, RANK
        from ultralytics.utils.callbacks import get_default_callbacks

        known = _callbacks or get_default_callbacks()
        if RANK in {-1, 0}:
            for event, callback in _tracker(self.logger, self.run_root).items():
                known[event].append(callback)
        super().__init__(DEFAULT_CFG if cfg is None else cfg, overrides, known)
        made = self.wdir
        self.wdir: Path = self.run_root / "checkpoints"
        self.last, self.best = self.wdir / "last.pt", self.wdir / "best.pt"
        if made.is_dir() and not any(made.iterdir()):
            made.rmdir()
        if self.logger != "none":
            self.args.name = self.run_root.name
        self._epoch_started = time.monotonic()

    def run_callbacks(self, event: str) -> None:
        """Run callbacks of this project, the one of ultralytics' models and the logger's; leave out all others."""
        for callback in self.callbacks.get(event, []):
            stock = callback.__module__.startswith(("ultralytics.utils.callbacks", "ultralytics.utils.events"))
            if not stock or callback.__module__ == _TRACKERS.get(self.logger):
                callback(self)

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
        Run(self.run_root, self.learner).log_epoch(row)
        if not math.isfinite(float(row["train_loss"])):
            remedy = "lower lr (--set lr=...), or use --set precision=32"
            raise ToolkitError(self.run_root, f"the loss is not a number in epoch {row['epoch']}", remedy)
        progress = self.progress
        if progress is not None:
            progress(self.epoch + 1, self.epochs)


def _tracker(name: LoggerName, root: Path) -> Mapping[str, Any]:
    """Event -> ultralytics' own callback of a logger.

    Raises:
        ToolkitError: its package cannot be loaded.
    """
    if name == "none":
        return {}
    module = import_module(_TRACKERS[name])
    if not module.callbacks:
        remedy = f"pip install {name}, or use --set logger=none"
        raise ToolkitError(f"logger {name}", "its package cannot be loaded", remedy)
    if name == "mlflow":
        module.mlflow.set_tracking_uri(mlflow_place(root))
    # TensorBoard's traces a graph as training starts, after which YOLOE's head counts 80 classes.
    return {event: one for event, one in module.callbacks.items() if event != "on_train_start"}


def make_trainer(
    base: type[RunTrainer],
    run: Run,
    config: DetectorConfig,
    source: ModelSource,
    data: Path,
    known: Mapping[str, object] | None = None,
    *,
    validate: bool = True,
    resume: bool = False,
    progress: Progress | None = None,
) -> Any:
    """A trainer that is ready for `train()`.

    Args:
        base: its class.
        run: where checkpoints, plots and the log go.
        config: settings.
        source: the model.
        data: YAML file of a YOLO tree.
        known: further attributes of the class.
        validate: after each epoch; else after the last alone, which then is the best.
        resume: go on from RUN/checkpoints/last.pt.
        progress: called with (epochs done, epochs).

    Raises:
        ToolkitError: there is no such device, or ultralytics takes no such setting.
    """
    settings = trainer_settings(run, config, source, data) | {"val": validate}
    if resume:
        settings |= {"resume": str(run.checkpoints / "last.pt")}
    alone = config.devices == 1  # a progress bar cannot be sent to other processes
    told = {
        **(known or {}),
        "run_root": run.root.resolve(),
        "learner": run.learner,
        "logger": config.logger,
        "progress": staticmethod(progress) if progress is not None and alone else None,
        "__module__": base.__module__,
    }
    return type("OwnTrainer", (base,), told)(overrides=settings)


def trainer_settings(run: Run, config: DetectorConfig, source: ModelSource, data: Path) -> dict[str, object]:
    """Settings as ultralytics names them.

    Raises:
        ToolkitError: there is no such device, or ultralytics takes no such setting.
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
        **({} if config.logger == "none" else {"project": PROJECT}),
    }
    if config.optimizer in _ADAMS:
        told |= {"momentum": 0.9, "warmup_bias_lr": 0.0}  # as ultralytics sets them when it chooses AdamW itself
    told |= _AUGMENT[config.augment.preset] | config.train
    _check_taken(told, config, masks=source.masks)
    return told


def _check_taken(told: Mapping[str, object], config: DetectorConfig, *, masks: bool) -> None:
    """Refuse settings that change nothing, and values out of the ranges that ultralytics knows.

    Raises:
        ToolkitError: there is one.
    """
    from ultralytics.cfg import get_cfg

    of_masks = next((name for name in config.train if name in MASKS_ONLY and not masks), None)
    if of_masks is not None:
        problem = f"changes nothing: {config.model} learns boxes, and no masks"
        raise ToolkitError(f"train.{of_masks}", problem, "leave it out, or use a model with masks")
    for name, value in config.train.items():
        try:
            get_cfg(overrides={name: value})
        except (TypeError, ValueError) as error:
            problem = f"is not taken by ultralytics: {' '.join(str(error).split())[:160].rstrip('.')}"
            raise ToolkitError(f"train.{name}", problem, "correct the value") from error


def _device(config: DetectorConfig) -> str:
    device = pick_device(config.device)
    if config.devices == 1:
        return str(device.index or 0) if device.type == "cuda" else device.type
    there = torch.cuda.device_count() if device.type == "cuda" else 0
    if config.devices > there:
        remedy = f"use --set devices={max(1, there)} or fewer"
        raise ToolkitError(f"devices {config.devices}", f"there are {there} GPUs", remedy)
    return ",".join(str(number) for number in range(config.devices))


def _precision(config: DetectorConfig) -> str | bool:
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
    masks = {"mask_map50": "metrics/mAP50(M)", "mask_map50_95": "metrics/mAP50-95(M)"}
    row |= {ours: repr(float(metrics[theirs])) for ours, theirs in masks.items() if theirs in metrics}
    return {**row, "seconds": f"{seconds:.3f}"}
