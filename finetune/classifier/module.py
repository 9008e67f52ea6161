"""Backbone, cross-entropy and optimiser as a Lightning module."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from torch.nn.functional import cross_entropy

from finetune.classification.backbones import Backbone, frozen_parts, hold_batch_statistics
from finetune.classification.optimizers import choose_optimizer
from finetune.classifier.config import ClassifierConfig
from finetune.engine.datasets import Batch

__all__ = ["ClassifierModule"]


class ClassifierModule(lightning.LightningModule):
    """Backbone, cross-entropy and optimiser."""

    def __init__(self, backbone: Backbone, config: ClassifierConfig) -> None:
        """Freeze what the config says.

        Raises:
            ToolkitError: the backbone has fewer stages than are to be frozen.
        """
        super().__init__()
        self.model, self._head, self._config = backbone.model, backbone.head, config
        self._frozen = frozen_parts(backbone, config.freeze)
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
        loss = cross_entropy(self(images), labels, label_smoothing=self._config.label_smoothing)
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
