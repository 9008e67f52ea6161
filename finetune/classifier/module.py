"""Backbone, cross-entropy and optimiser as a Lightning module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning
import torch
from torch.nn.functional import cross_entropy

from finetune.backbones.backbone import Backbone, frozen_parts, hold_batch_statistics
from finetune.classification.optimizers import choose_optimizer
from finetune.classifier.config import ClassifierConfig
from finetune.engine.datasets import Batch

__all__ = ["ClassifierModule", "class_weights"]


class ClassifierModule(lightning.LightningModule):
    """Backbone, cross-entropy and optimiser."""

    weights: torch.Tensor | None

    def __init__(self, backbone: Backbone, config: ClassifierConfig, labels: Sequence[int] = ()) -> None:
        """Freeze what the config says.

        Args:
            backbone: with its head.
            config: settings.
            labels: of what it is trained on, for the weights of the classes.

        Raises:
            ToolkitError: the backbone has fewer stages than are to be frozen.
        """
        super().__init__()
        self.model, self._head, self._config = backbone.model, backbone.head, config
        self._frozen = frozen_parts(backbone, config.freeze)
        balanced = class_weights(labels) if config.class_weights == "balanced" and len(labels) else None
        self.register_buffer("weights", balanced, persistent=False)
        self.train()

    def train(self, mode: bool = True) -> ClassifierModule:
        """Switch between training and use; frozen stages stay in use, with the batch statistics that they have."""
        super().train(mode)
        for part in self._frozen:
            part.eval()
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """float32 (B, 3, size, size) -> logits (B, classes)."""
        logits: torch.Tensor = self.model(images)
        return logits

    def training_step(self, batch: Batch) -> torch.Tensor:
        """The loss of a batch."""
        images, labels = batch["image"], batch["label"]
        alone = len(labels) == 1
        if alone:
            hold_batch_statistics(self.model)
        loss = cross_entropy(self(images), labels, weight=self.weights, label_smoothing=self._config.label_smoothing)
        if alone:
            self.train()
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(labels))
        return loss

    def validation_step(self, batch: Batch) -> None:
        """Loss and accuracy of a batch."""
        logits, labels = self(batch["image"]), batch["label"]
        right = (logits.argmax(dim=1) == labels).float().mean()
        for name, value in (("val_loss", cross_entropy(logits, labels)), ("val_accuracy", right)):
            self.log(name, value, on_epoch=True, batch_size=len(labels), sync_dist=True)

    def configure_optimizers(self) -> Any:
        """As `finetune.classification.optimizers.choose_optimizer`."""
        head = list(self.model.get_submodule(self._head).parameters())
        known = {id(parameter) for parameter in head}
        body = [parameter for parameter in self.model.parameters() if id(parameter) not in known]
        return choose_optimizer(body, head, self._config)


def class_weights(labels: Sequence[int]) -> torch.Tensor:
    """Weight of each class, float32 (K,): N / (K n) for n of N images, so that an image weighs 1 on average.

    Args:
        labels: (N,) index of the class of each image; every class up to the largest occurs.
    """
    counts = torch.bincount(torch.tensor(labels)).float()
    return counts.sum() / (len(counts) * counts.clamp(min=1))
