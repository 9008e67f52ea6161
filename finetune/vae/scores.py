"""How little each pixel is what a VAE expects."""

from __future__ import annotations

import torch

from finetune.vae.gabor_vae import GaborVae
from finetune.vae.models import FeatureVae, PixelVae, Vae

__all__ = ["gradient_map", "residual_map", "ssim_map"]


@torch.no_grad()
def residual_map(model: Vae | GaborVae, images: torch.Tensor, views: int = 1) -> torch.Tensor:
    """Squared difference between what is there and what the model makes of it.

    For a pixel VAE the mean over the colours; else over the bands, or the sum over the spaces, each in units of the
    variance that it has on good images (arXiv 2008.05369, section 3).

    Args:
        model: in evaluation mode.
        images: float32 (B, 3, side, side), RGB in [0, 1].
        views: 1, or 8 to average over the turned and mirrored views of the image.

    Returns:
        float32 (B, side, side), 0 or more.
    """
    total = torch.zeros_like(images[:, 0])
    for view in range(views):
        found = _one_view(model, _dihedral(images, view))
        total += _dihedral(found[:, None], view, back=True)[:, 0]
    return total / views


def _one_view(model: Vae | GaborVae, images: torch.Tensor) -> torch.Tensor:
    if isinstance(model, FeatureVae | GaborVae):
        return model.reconstruction_error(images)
    off: torch.Tensor = images - model(images).mean
    return off.square().mean(1)


def _dihedral(images: torch.Tensor, view: int, *, back: bool = False) -> torch.Tensor:
    """One of the eight views of a square (B, C, side, side): transposed, then mirrored in either axis."""
    axes = [axis for axis, bit in ((2, 2), (3, 4)) if view & bit]
    steps = [lambda x: x.transpose(2, 3) if view & 1 else x, lambda x: x.flip(axes) if axes else x]
    for step in reversed(steps) if back else steps:
        images = step(images)
    return images


@torch.no_grad()
def ssim_map(model: PixelVae, images: torch.Tensor) -> torch.Tensor:
    """1 - structural similarity of image and reconstruction, in windows of 11 pixels (arXiv 1807.02011, section 3.2).

    Args:
        model: in evaluation mode.
        images: float32 (B, 3, side, side), RGB in [0, 1].

    Returns:
        float32 (B, side, side), from 0 to 2.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    _, full = structural_similarity_index_measure(
        model(images).mean, images, data_range=1.0, reduction="none", return_full_image=True
    )
    return (1 - full).mean(1).clamp_min(0.0)


def gradient_map(
    model: PixelVae, images: torch.Tensor, *, steps: int = 50, rate: float = 0.5, sparsity: float = 0.05
) -> torch.Tensor:
    """VAE-grad: how far an image has to move, in few pixels, to become one that the model expects.

    E(x) = L(x, f(x)) + sparsity |x - x0|_1 is descended by x <- x - rate (dE/dx * (x - f(x))^2), with L the sum of
    squared differences (Dehaene et al., arXiv 2002.03734, equations 4 and 6; `rate` 0.5 and `sparsity` 0.05 theirs).

    Args:
        model: in evaluation mode.
        images: float32 (B, 3, side, side), RGB in [0, 1].
        steps: of the descent.
        rate: step length.
        sparsity: weight of the L1 distance from the image.

    Returns:
        float32 (B, side, side): |x - x0|, mean over the colours.
    """
    start, moved = images.detach(), images.detach().clone()
    for _ in range(steps):
        moved.requires_grad_(True)
        with torch.enable_grad():
            off = (moved - model(moved).mean).square()
            energy = off.sum() + sparsity * (moved - start).abs().sum()
            (slope,) = torch.autograd.grad(energy, moved)
        moved = (moved - rate * slope * off).detach()
    return (moved - start).abs().mean(1)
