"""The one trainer: Lightning, with runs that repeat to the bit, can be killed and resumed, and end with a clear error.

A run that is resumed ends with the numbers of one left alone: an epoch begins with a seed made of the seed of the
run and the number of the epoch, and training goes on from the end of the last epoch that was finished.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from torch.utils.data import DataLoader

from finetune.engine.checkpoints import read_checkpoint
from finetune.engine.config import TrainedConfig
from finetune.engine.datasets import Batch
from finetune.engine.devices import (
    lay_out,
    memory_full,
    own_arithmetic,
    pick_device,
    precision_of,
    reading_processes,
    seed_all,
)
from finetune.engine.distributed import AUTO
from finetune.engine.learner import check_patience
from finetune.engine.outputs.loggers import lightning_logger
from finetune.engine.remarks.telling import tell
from finetune.engine.runs import Run
from toolkit.aliases import Progress
from toolkit.errors import ToolkitError

__all__ = ["Fit", "fit"]

_QUIET = ("lightning", "lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")


@dataclass(frozen=True)
class Fit:
    """How a training ended.

    Attributes:
        best: checkpoint of the best epoch by the figure that was watched; the last one where none was.
        epochs: epochs trained, of earlier parts of the run too.
        seconds: wall time of this part of the run.
        score: the best figure; None where none was watched.
    """

    best: Path
    epochs: int
    seconds: float
    score: float | None


def fit(
    module: lightning.LightningModule,
    train: DataLoader[Batch],
    val: DataLoader[Batch] | None,
    run: Run,
    config: TrainedConfig,
    *,
    monitor: str = "val_loss",
    mode: str = "min",
    accumulate: int = 1,
    progress: Progress | None = None,
    callbacks: Sequence[Callback] = (),
) -> Fit:
    """Train, or go on with a run that was interrupted.

    Args:
        module: model, loss and optimiser; `training_step` returns the loss, figures are given to `self.log`.
        train: batches to train on; with an `EpochSampler`, for a run that can be repeated.
        val: batches to choose the best epoch on; without them the last epoch is the best.
        run: where checkpoints and logs go; a checkpoint that stands there is gone on from.
        config: epochs, seed, device, precision, patience.
        monitor: the figure to choose by; `mode` says whether "min" or "max" is best.
        accumulate: batches whose gradients are put together in a step.
        progress: called with (epochs done, epochs).
        callbacks: what else happens beside the training.

    Raises:
        ToolkitError: patience without validation images, no such device, the loss is no number, memory or the disk is
            full.
    """
    check_patience(config, val)
    started, watched = time.monotonic(), monitor if val is not None else None
    best = ModelCheckpoint(run.checkpoints, "best", monitor=watched, mode=mode, enable_version_counter=False)
    _tell_reading(run, config)
    with _quiet(), _explained(run, config), _suited(module, config):
        trainer = _trainer(run, config, [*callbacks, *_callbacks(run, config, best, progress)], accumulate)
        seed_all(config.seed)
        last = run.checkpoints / "last.ckpt"
        resumed = last if last.is_file() else None
        ended = None if resumed is None else _ended_early(read_checkpoint(resumed))
        if ended is None:
            with _interruptible():
                trainer.fit(module, train, val, ckpt_path=resumed, weights_only=True)
    epochs, score = ended or (trainer.current_epoch, best.best_model_score)
    return Fit(run.best_checkpoint, epochs, time.monotonic() - started, None if score is None else float(score))


@contextmanager
def _suited(module: torch.nn.Module, config: TrainedConfig) -> Iterator[None]:
    """Weights and arithmetic as the device likes them."""
    device = pick_device(config.device)
    lay_out(module, device)
    with own_arithmetic(device):
        yield


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C stays what it is: Lightning makes an exit of it, and then ignores the signal for good."""
    main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if main_thread else None
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        raise
    finally:
        if handler is not None:
            signal.signal(signal.SIGINT, handler)


def _callbacks(run: Run, config: TrainedConfig, best: ModelCheckpoint, progress: Progress | None) -> list[Callback]:
    """What happens beside the training; `best` is left out where it watches nothing."""
    on_card = pick_device(config.device).type == "cuda"
    callbacks: list[Callback] = [
        _Repeatable(config.seed),
        _FiniteLoss(run, at_once=not on_card),
        _EpochLog(run, progress),
    ]
    if best.monitor:
        callbacks.append(best)
    if config.patience and best.monitor:
        callbacks.append(EarlyStopping(best.monitor, mode=best.mode, patience=config.patience, check_finite=False))
    # Last, so that what the other callbacks know of the epoch is in it.
    return [*callbacks, ModelCheckpoint(run.checkpoints, "last", save_top_k=1, enable_version_counter=False)]


def _trainer(run: Run, config: TrainedConfig, callbacks: list[Callback], accumulate: int) -> lightning.Trainer:
    accelerator, devices = _accelerator(config)
    return lightning.Trainer(
        accelerator=accelerator,
        devices=devices,
        num_nodes=config.nodes,
        strategy=config.strategy,
        precision=precision_of(config),  # type: ignore[arg-type]
        max_epochs=config.epochs,
        accumulate_grad_batches=accumulate,
        callbacks=callbacks,
        logger=lightning_logger(config.logger, run.root),
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=10,
        num_sanity_val_steps=0,
        deterministic="warn" if config.deterministic else False,
        benchmark=not config.deterministic and accelerator == "gpu",
        use_distributed_sampler=False,
    )


def _ended_early(state: Mapping[str, Any]) -> tuple[int, float] | None:
    """Epochs and best figure of a run that patience ended; the trainer itself would go on with it."""
    told = state.get("callbacks", {})
    stopping = next((told[name] for name in told if name.startswith("EarlyStopping")), None)
    if stopping is None or stopping["wait_count"] < stopping["patience"]:
        return None
    return state["epoch"] + 1, float(stopping["best_score"])


def _accelerator(config: TrainedConfig) -> tuple[str, int | list[int]]:
    device = pick_device(config.device)
    kind = {"cuda": "gpu"}.get(device.type, device.type)
    if device.index is not None and config.devices == 1:
        return kind, [device.index]
    if kind == "gpu" and config.devices > torch.cuda.device_count():
        there = torch.cuda.device_count()
        raise ToolkitError(
            f"devices {config.devices}", f"there are {there} GPUs", f"use --set devices={there} or fewer"
        )
    return kind, config.devices


def _tell_reading(run: Run, config: TrainedConfig) -> None:
    """Leave in the run what "auto" has become; processes that read are said at once, too."""
    number = reading_processes(config)
    if (run.root / "environment.json").is_file():  # not so of a stage of a run
        run.note(workers=number, precision=precision_of(config))
    if config.workers == AUTO and number:
        tell("note", f"{number} processes read images beside the GPU; --set workers=0 starts none")


class _Repeatable(Callback):
    """Makes each epoch begin with a seed of its own, so that it does not matter where a run was taken up."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        seed_all(self._seed, trainer.current_epoch)

    def on_validation_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        seed_all(self._seed, trainer.current_epoch, 1)


class _FiniteLoss(Callback):
    """Ends a training whose loss is no number any more, before a checkpoint of it is written.

    On a GPU it looks at the end of an epoch, as a look at each loss would have the GPU wait for it.
    """

    def __init__(self, run: Run, *, at_once: bool) -> None:
        self._run, self._at_once = run, at_once
        self._first: torch.Tensor | None = None  # step at which the loss was no number, -1 for none

    def on_before_backward(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, loss: torch.Tensor
    ) -> None:
        finite, step = torch.isfinite(loss.detach()), trainer.global_step
        if self._first is None:
            self._first = torch.full_like(finite, -1, dtype=torch.long)
        self._first = torch.where(finite | (self._first >= 0), self._first, step)
        if self._at_once:
            self._check(trainer)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._check(trainer)

    def _check(self, trainer: lightning.Trainer) -> None:
        first = -1 if self._first is None else int(self._first)
        if first >= 0:
            where = f"in epoch {trainer.current_epoch}, step {first}"
            remedy = "lower lr (--set lr=...), or use --set precision=32; checkpoints/last is from before it"
            raise ToolkitError(self._run.root, f"the loss is not a number {where}", remedy)


class _EpochLog(Callback):
    """Writes log.csv, a row for each epoch."""

    def __init__(self, run: Run, progress: Progress | None) -> None:
        self._run, self._progress = run, progress
        self._started = time.monotonic()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._started = time.monotonic()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.is_global_zero:
            figures = {
                name: repr(float(value)) for name, value in trainer.callback_metrics.items() if "_step" not in name
            }
            row = {"epoch": str(trainer.current_epoch), **dict(sorted(figures.items()))}
            row["seconds"] = f"{time.monotonic() - self._started:.3f}"
            self._run.log_epoch(row)
            if self._progress is not None:
                self._progress(trainer.current_epoch + 1, trainer.max_epochs or 0)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's advice off the terminal: what matters is said by our own errors."""
    loggers = [logging.getLogger(name) for name in _QUIET]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning.*")
            warnings.filterwarnings("ignore", message=r".*(num_workers|isinstance\(treespec).*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _explained(run: Run, config: TrainedConfig) -> Iterator[None]:
    """Turn what a user can do something about into an error that says what."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise memory_full(run, config) from error
    except OSError as error:
        remedy = "free space; then --resume goes on"
        raise ToolkitError(error.filename or run.root, f"cannot be written ({error.strerror})", remedy) from error
