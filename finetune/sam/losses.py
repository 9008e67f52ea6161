"""What SAM learns by: 20 x focal + dice on the masks, and the squared error of the IoU that it predicts.

Weights as in arXiv 2304.02643, appendix A ("Losses"). All is on the logits of low resolution; padding does not count.
"""

from __future__ import annotations

import torch
from torch.nn import functional

__all__ = ["FOCAL_WEIGHT", "dice_loss", "focal_loss", "mask_iou", "prompt_losses"]

FOCAL_WEIGHT = 20.0
_ALPHA, _GAMMA = 0.25, 2.0


def focal_loss(logits: torch.Tensor, truth: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Mean over valid cells of -a (1 - p)^2 log p, p the chance given to what is true (Lin et al., arXiv 1708.02002).

    Args:
        logits, truth: float (..., L, L), truth 0 or 1.
        valid: float, what broadcasts to the same; 1 where there is image.

    Returns:
        (...).
    """
    entropy = functional.binary_cross_entropy_with_logits(logits, truth.expand_as(logits), reduction="none")
    right = torch.exp(-entropy)
    weight = _ALPHA * truth + (1 - _ALPHA) * (1 - truth)
    each = weight * (1 - right) ** _GAMMA * entropy * valid
    return each.sum(dim=(-2, -1)) / valid.expand_as(each).sum(dim=(-2, -1))


def dice_loss(logits: torch.Tensor, truth: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """1 - (2 sum p t + 1) / (sum p + sum t + 1) over valid cells (Milletari et al., arXiv 1606.04797): (...)."""
    chance = torch.sigmoid(logits) * valid
    both = (chance * truth).sum(dim=(-2, -1))
    return 1 - (2 * both + 1) / (chance.sum(dim=(-2, -1)) + (truth * valid).sum(dim=(-2, -1)) + 1)


def mask_iou(logits: torch.Tensor, truth: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """IoU of the thresholded masks with the truth over valid cells: (...)."""
    found, there = (logits > 0) & (valid > 0), (truth > 0) & (valid > 0)
    union = (found | there).sum(dim=(-2, -1))
    return (found & there).sum(dim=(-2, -1)) / union.clamp(min=1)


def prompt_losses(
    logits: torch.Tensor, predicted: torch.Tensor, truth: torch.Tensor, valid: torch.Tensor, ambiguous: torch.Tensor
) -> torch.Tensor:
    """Loss of each prompt.

    Args:
        logits: float (N, 4, L, L), as `finetune.sam.models.decode` gives them.
        predicted: float (N, 4), IoU as the model predicts it.
        truth: bool (N, L, L).
        valid: bool (N, L, L).
        ambiguous: bool (N,), whether the prompt is a single point: the best of masks 1 to 3 is then taught, and what
            is predicted of all three; else mask 0.

    Returns:
        (N,).
    """
    logits, predicted = logits.float(), predicted.float()
    there, inside = truth[:, None].to(logits.dtype), valid[:, None].to(logits.dtype)
    shape = FOCAL_WEIGHT * focal_loss(logits, there, inside) + dice_loss(logits, there, inside)
    quality = (predicted - mask_iou(logits.detach(), there, inside)) ** 2
    several = shape[:, 1:].amin(dim=1) + quality[:, 1:].mean(dim=1)
    return torch.where(ambiguous, several, shape[:, 0] + quality[:, 0])
