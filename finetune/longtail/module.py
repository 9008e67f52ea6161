"""How the long-tail classifier is trained: the loss of each method, its sampling, and the two stages of cRT."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import lightning
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from finetune.backbones.backbone import hold_batch_statistics
from finetune.classification.heads import reset_head
from finetune.classification.inference import TrainValSplit
from finetune.classification.optimizers import choose_optimizer, weight_averaging
from finetune.classification.views.datasets import labelled_images
from finetune.engine.checkpoints import load_weights
from finetune.engine.datasets import Batch, repeatable_loader
from finetune.engine.devices import reading_processes, seed_all
from finetune.engine.distributed import gather_rows
from finetune.engine.runs import Run
from finetune.engine.splits import ImageRecords
from finetune.engine.trainer import Fit, fit
from finetune.engine.transforms import eval_transform, train_transform
from finetune.longtail.config import LongtailConfig
from finetune.longtail.data import Tail
from finetune.longtail.losses import (
    adjust_logits,
    balanced_softmax_loss,
    branch_members,
    class_balanced_weights,
    logit_adjusted_loss,
    reslt_loss,
)
from finetune.longtail.models import LongtailNet, PlainHead, ResLTHead
from toolkit.aliases import Progress
from toolkit.files.publish import write_json
from toolkit.files.typed import Name, Record, read_json

__all__ = ["LongtailModule", "first_stage", "fit_longtail"]

MONITOR = "val_balanced_accuracy"


class LongtailModule(lightning.LightningModule):
    """Net, loss and optimiser of one method."""

    counts: torch.Tensor
    members: torch.Tensor

    def __init__(
        self,
        features: nn.Module,
        channels: int,
        tail: Tail,
        config: LongtailConfig,
        frozen: Sequence[nn.Module] = (),
    ) -> None:
        """Put a fresh head on features.

        Args:
            features: (B, 3, H, W) -> (B, channels, h, w).
            channels: of the features.
            tail: training images and group of each class.
            config: the method and its numbers.
            frozen: parts of the features that keep their weights and batch statistics.
        """
        super().__init__()
        classes = len(tail.counts)
        head = (
            ResLTHead(channels, classes, config.branches, config.head)
            if config.method == "reslt"
            else PlainHead(channels, classes, config.head)
        )
        self.net = LongtailNet(features, head)
        self.config, self.tail = config, tail
        self._frozen = tuple(frozen)
        self._rows: list[tuple[int, tuple[int, int]]] = []
        self.register_buffer("counts", torch.tensor(tail.counts), persistent=False)
        self.register_buffer("members", branch_members(tail.groups, config.branches), persistent=False)
        self.train()

    def retrain_classifier(self, epochs: int) -> None:
        """Begin the second stage of cRT: the features stay as they are, and the classifier is a new one."""
        warmup = min(self.config.warmup, epochs - 1)
        self.config = self.config.model_copy(update={"epochs": epochs, "warmup": warmup})
        self._frozen = (self.net.features,)
        self.net.features.requires_grad_(False)
        seed_all(self.config.seed, 2)
        reset_head(self.net.head.classifier)
        self.train()

    def train(self, mode: bool = True) -> LongtailModule:
        """Switch between training and use; what is frozen stays in use, with the batch statistics that it has."""
        super().train(mode)
        for part in self._frozen:
            part.eval()
        return self

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss of the method, from the logits (R, B, K) of the branches and the labels (B,)."""
        config, smoothing = self.config, self.config.label_smoothing
        if config.method == "reslt":
            return reslt_loss(logits, labels, self.members, config.alpha or 0.0, smoothing)
        if config.method == "balanced-softmax":
            return balanced_softmax_loss(logits[0], labels, self.counts, smoothing)
        if config.method == "logit-adjustment" and config.adjust == "loss":
            return logit_adjusted_loss(logits[0], labels, self.counts, config.tau or 0.0, smoothing)
        return cross_entropy(logits[0], labels, label_smoothing=smoothing)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) -> logits (B, K) to predict from: the sum over the branches, adjusted if the method says so."""
        logits = self.net.fused(images)
        if self.config.method == "logit-adjustment" and self.config.adjust == "prediction":
            return adjust_logits(logits, self.counts, self.config.tau or 0.0)
        return logits

    def training_step(self, batch: Batch) -> torch.Tensor:
        """The loss of a batch."""
        if len(batch["label"]) == 1:
            hold_batch_statistics(self.net)
        loss = self.loss(self.net(batch["image"]), batch["label"])
        self.train()
        self.log("train_loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(batch["label"]))
        return loss

    def validation_step(self, batch: Batch) -> None:
        """Remember what is predicted."""
        predicted = self(batch["image"]).argmax(dim=1).tolist()
        triples = zip(batch["index"].tolist(), batch["label"].tolist(), predicted, strict=True)
        self._rows += [(index, (label, chosen)) for index, label, chosen in triples]

    def on_validation_epoch_end(self) -> None:
        """Balanced accuracy over the images of all processes."""
        pairs = torch.tensor([pair for _, pair in gather_rows(self._rows)])
        self._rows = []
        labels, right = pairs[:, 0], pairs[:, 0] == pairs[:, 1]
        recalls = [right[labels == label].double().mean() for label in labels.unique()]
        self.log(MONITOR, torch.stack(recalls).mean().float())

    def configure_optimizers(self) -> Any:
        """Optimiser and schedule that the config names, over what is not frozen."""
        return choose_optimizer(self.net.features.parameters(), self.net.head.parameters(), self.config)


def fit_longtail(
    module: LongtailModule,
    chosen: TrainValSplit,
    examples: ImageRecords,
    run: Run,
    config: LongtailConfig,
    progress: Progress | None = None,
) -> Fit:
    """Train with the method of the config, or go on with a run.

    The best epoch is that of the highest balanced accuracy on the validation images, or the last one where there are
    none; its weights are loaded into the module.

    Args:
        module: what is trained.
        chosen: images to train on and to choose by.
        examples: all images, for the names of the classes and the source of the labels.
        run: where checkpoints and logs go; those of cRT's first stage to its folder `representation`.
        config: as the module's.
        progress: called with (epochs done, epochs).

    Raises:
        ToolkitError: as `finetune.engine.trainer.fit`.
    """
    if config.method == "crt":
        return _fit_twice(module, chosen, examples, run, config, progress)
    loaders = _loaders(chosen, examples, config, balanced=config.method == "class-balanced")
    found = _fit(module, loaders, run, config, progress)
    load_weights(module, found.best)
    return found


def first_stage(run: Run) -> Run:
    """Where the first stage of cRT has its checkpoints and its log; nothing stands there of other methods."""
    return Run(run.root / "representation", run.learner)


class _Stage(Record):
    """How the first stage of cRT ended: its best checkpoint."""

    checkpoint: Name


def _fit_twice(
    module: LongtailModule,
    chosen: TrainValSplit,
    examples: ImageRecords,
    run: Run,
    config: LongtailConfig,
    progress: Progress | None,
) -> Fit:
    """Both stages of cRT: all of the net on images as they come, then a new classifier on images drawn by class."""
    retrain = int(config.retrain_epochs or 0)
    total = config.epochs + retrain
    stage = first_stage(run)
    ended = stage.root / "stage.json"
    if not ended.is_file():
        loaders, told = _loaders(chosen, examples, config, balanced=False), _within(progress, 0, total)
        first = _fit(module, loaders, stage, config, told)
        write_json(ended, {"checkpoint": first.best.name, "epochs": first.epochs, MONITOR: first.score})
    load_weights(module, stage.checkpoints / read_json(ended, _Stage, "remove it, and train with --resume").checkpoint)
    module.retrain_classifier(retrain)
    loaders, told = _loaders(chosen, examples, config, balanced=True), _within(progress, config.epochs, total)
    found = _fit(module, loaders, run, module.config, told)
    load_weights(module, found.best)
    return found


Loaders = tuple[DataLoader[Batch], DataLoader[Batch] | None]


def _fit(module: LongtailModule, loaders: Loaders, run: Run, config: LongtailConfig, progress: Progress | None) -> Fit:
    averaging = weight_averaging(config.ema)
    return fit(module, *loaders, run, config, monitor=MONITOR, mode="max", progress=progress, callbacks=averaging)


def _loaders(chosen: TrainValSplit, examples: ImageRecords, config: LongtailConfig, *, balanced: bool) -> Loaders:
    """Batches to train on, drawn by class or as they come, and batches to choose the best epoch by.

    Of tiles none is a good one of an image with a defect: crops are then to each other as the images that were counted.
    """
    made = partial(labelled_images, classes=examples.classes, config=config, source=examples.source, background=False)
    train = made(chosen.train, transform=train_transform(config))
    loader = repeatable_loader(
        train,
        batch_size=config.batch_size,
        shuffle=True,
        seed=config.seed,
        workers=reading_processes(config),
        weights=class_balanced_weights(train.labels) if balanced else None,
    )
    if not chosen.val:
        return loader, None
    val = made(chosen.val, transform=eval_transform(config), fixed=True)
    workers = reading_processes(config)
    return loader, repeatable_loader(val, batch_size=config.batch_size, shuffle=False, workers=workers)


def _within(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Progress of one stage as progress of the whole."""
    return None if progress is None else lambda done, _: progress(before + done, total)
