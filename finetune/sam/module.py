"""The training step of SAM: a first prompt, then clicks where the mask errs, all of it on batches across images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import lightning
import torch
from segment_anything.modeling import Sam
from torch import nn

from finetune.engine.datasets import Batch
from finetune.engine.devices import fused_step
from finetune.sam.config import SamConfig
from finetune.sam.losses import mask_iou, prompt_losses
from finetune.sam.models import Prompts, add_lora, decode, encode
from finetune.sam.prompts import corrective_clicks

__all__ = ["SamModule", "choose_masks", "first_prompts"]


class _Parts(nn.Module):
    """Parts of a SAM under the names that they have there; without its encoder where embeddings are kept."""

    def __init__(self, sam: Sam, *, with_encoder: bool) -> None:
        super().__init__()
        self.prompt_encoder, self.mask_decoder = sam.prompt_encoder, sam.mask_decoder
        self.image_encoder = sam.image_encoder if with_encoder else None


class SamModule(lightning.LightningModule):
    """Model, loss and optimiser. It shares the weights of the SAM that it is given, and changes them."""

    def __init__(self, sam: Sam, config: SamConfig) -> None:
        """Take a SAM; with `lora`, its image encoder gets updates."""
        super().__init__()
        self._config = config
        sam.requires_grad_(False)
        sam.mask_decoder.requires_grad_(True)
        for name, parameter in sam.prompt_encoder.named_parameters():
            # Where no mask is fed back, nothing would ever teach how to read one.
            parameter.requires_grad = config.train_prompt_encoder and (
                bool(config.refinement_steps) or "mask_down" not in name
            )
        if config.lora:
            add_lora(sam.image_encoder, config.lora)
        elif config.train_encoder:
            sam.image_encoder.requires_grad_(True)
        self.parts = _Parts(sam, with_encoder=not config.cached)
        self.strict_loading = config.cached  # Lightning's name: a checkpoint leaves a frozen encoder out

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave out what does not change: a frozen image encoder."""
        fixed = {
            f"parts.{name}"
            for name, value in self.parts.named_parameters()
            if name.startswith("image_encoder.") and not value.requires_grad
        }
        checkpoint["state_dict"] = {
            name: value for name, value in checkpoint["state_dict"].items() if name not in fixed
        }

    def training_step(self, batch: Batch) -> torch.Tensor:
        """Mean loss over the prompts of a batch and their refinement steps."""
        embeddings = self._embeddings(batch)
        prompts, truth, valid = first_prompts(batch)
        losses, found = [], None
        for number in range(self._config.refinement_steps + 1):
            if found is not None:
                prompts = self._clicked(prompts, found, truth, valid)
            logits, predicted = decode(self.parts, embeddings, prompts)
            ambiguous = ~prompts.boxed if not number else torch.zeros_like(prompts.boxed)
            losses.append(prompt_losses(logits, predicted, truth, valid, ambiguous).mean())
            found = choose_masks(logits, predicted, ambiguous)[0].detach()
        loss = torch.stack(losses).mean()
        if self._config.train_prompt_encoder:
            # Which of its weights a step reads is chance; processes that train together want all of them.
            loss = loss + 0.0 * sum(one.sum() for one in self.parts.prompt_encoder.parameters() if one.requires_grad)
        told: dict[str, Any] = {"batch_size": len(truth), "on_step": False, "on_epoch": True}
        self.log("train_loss", loss, **told)
        self.log("train_loss_first", losses[0], **told)
        return loss

    def validation_step(self, batch: Batch) -> None:
        """IoU at low resolution of each instance by its box and by its deepest point, and their mean, val_iou."""
        prompts, truth, valid = first_prompts(batch)
        logits, predicted = decode(self.parts, self._embeddings(batch), prompts)
        found, _ = choose_masks(logits, predicted, ~prompts.boxed)
        iou = mask_iou(found.float(), truth.float(), valid.float())
        loss = prompt_losses(logits, predicted, truth, valid, ~prompts.boxed)
        asked = batch["asked"].flatten()
        told: dict[str, Any] = {"batch_size": int(asked.sum()), "on_step": False, "on_epoch": True, "sync_dist": True}
        self.log("val_loss", loss[asked].mean(), **told)
        self.log("val_iou_box", iou[asked & prompts.boxed].mean(), **told)
        self.log("val_iou_point", iou[asked & ~prompts.boxed].mean(), **told)
        self.log("val_iou", iou[asked].mean(), **told)

    def configure_optimizers(self) -> Any:
        """AdamW; the rate rises over the first steps and falls to a hundredth, linearly."""
        config, steps = self._config, max(1, int(self.trainer.estimated_stepping_batches))
        trained = {name: one for name, one in self.parts.named_parameters() if one.requires_grad}
        encoder = [one for name, one in trained.items() if name.startswith("image_encoder.")]
        others = [one for name, one in trained.items() if not name.startswith("image_encoder.")]
        scale = 1.0 if config.lora else config.encoder_lr_scale
        groups = [{"params": others, "lr": config.lr}, {"params": encoder, "lr": config.lr * scale}]
        groups = [group for group in groups if group["params"]]
        fused = fused_step(config, trained.values())
        optimiser = torch.optim.AdamW(groups, config.lr, weight_decay=config.weight_decay, fused=fused)
        warm = max(1, min(100, steps // 10))

        def rate(step: int) -> float:
            return min(1.0, (step + 1) / warm) * max(0.01, 1 - step / steps)

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Keep a rare large gradient from undoing an epoch."""
        self.clip_gradients(optimizer, gradient_clip_val=1.0, gradient_clip_algorithm="norm")

    def _embeddings(self, batch: Batch) -> torch.Tensor:
        if "embedding" in batch:
            kept: torch.Tensor = batch["embedding"].float()
            return kept
        if self.parts.image_encoder is None:
            raise RuntimeError("images without an image encoder")
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._config.frozen):
            twice = self._config.activation_checkpointing and torch.is_grad_enabled()
            return encode(self.parts.image_encoder, batch["image"], batch["size"], checkpointing=twice).float()

    def _clicked(self, prompts: Prompts, found: torch.Tensor, truth: torch.Tensor, valid: torch.Tensor) -> Prompts:
        """The same prompts with one click more each, and the masks so far."""
        cell = self._config.image_size / truth.shape[-1]
        points, labels = corrective_clicks(truth, found > 0, valid, cell)
        return replace(
            prompts,
            points=torch.cat([prompts.points, points[:, None]], dim=1),
            labels=torch.cat([prompts.labels, labels[:, None]], dim=1),
            masks=found[:, None].float(),
        )


def first_prompts(batch: Batch) -> tuple[Prompts, torch.Tensor, torch.Tensor]:
    """The N prompts of a batch of B images, the masks asked for, and what is image: bool (N, L, L) each.

    Args:
        batch: items of `finetune.sam.data.PromptedImages`, put together.
    """
    images, number, side = batch["truth"].shape[:3]
    device = batch["truth"].device
    place = torch.arange(side, device=device) * 4
    rows, columns = (place[None] < batch["size"][:, axis, None] for axis in (0, 1))
    valid = (rows[:, :, None] & columns[:, None, :]).repeat_interleave(number, dim=0)
    points = batch["points"].flatten(0, 1)[:, None]
    prompts = Prompts(
        image=torch.arange(images, device=device).repeat_interleave(number),
        boxed=batch["boxed"].flatten(),
        boxes=batch["boxes"].flatten(0, 1),
        points=points,
        labels=torch.ones(points.shape[:2], dtype=torch.long, device=device),
    )
    return prompts, batch["truth"].flatten(0, 1), valid


def choose_masks(
    logits: torch.Tensor, predicted: torch.Tensor, ambiguous: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """One mask for each prompt: of a single point the one that the model thinks best, else the first.

    Args:
        logits: (N, 4, L, L).
        predicted: (N, 4).
        ambiguous: bool (N,), whether the prompt is a single point.

    Returns:
        Logits (N, L, L), and the IoU predicted of each (N,).
    """
    best = torch.where(ambiguous, predicted[:, 1:].argmax(dim=1) + 1, 0)
    place = torch.arange(len(best), device=best.device)
    return logits[place, best], predicted[place, best]
