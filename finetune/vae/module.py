"""Model, loss and optimiser as a Lightning module."""

from __future__ import annotations

import math
from typing import Any

import lightning
import torch

from finetune.engine.datasets import Batch
from finetune.engine.devices import fused_step
from finetune.vae.config import VaeConfig
from finetune.vae.gabor_vae import Model

__all__ = ["VaeModule"]


class VaeModule(lightning.LightningModule):
    """Model, loss and optimiser."""

    def __init__(self, model: Model, config: VaeConfig) -> None:
        """Take a model as it is."""
        super().__init__()
        self.model, self._config = model, config

    def training_step(self, batch: Batch) -> torch.Tensor:
        """The negative evidence bound of a batch."""
        return self._step(batch, "train", sample=True)

    def validation_step(self, batch: Batch) -> None:
        """That of held-out good images, with the mean of the latents, so that it has no noise."""
        self._step(batch, "val", sample=False)

    def _step(self, batch: Batch, stage: str, *, sample: bool) -> torch.Tensor:
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
        fused = fused_step(self._config, trained)
        optimiser = torch.optim.AdamW(trained, self._config.lr, weight_decay=1e-5, fused=fused)

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
