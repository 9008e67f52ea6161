"""A VAE of contrast: it expects how much there is of each pattern at each place, and not where its lines run.

A VAE of pixels cannot tell where each line of a thread, a weave or a grain will lie, so it blurs them, and what it
misses there drowns small defects. How strong lines of a width and direction are around a place it can tell. The filters
are fixed: Gabor's in quadrature at four directions, on three octaves, and the modulus of each pair, averaged over
squares, as in the first layer of a scattering transform (Bruna and Mallat, arXiv 1203.1513). Nothing is pretrained.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from finetune.vae.models import Vae, active, draw_latent, gaussian_nll, kl_divergence
from finetune.vae.shape import VaeShape

__all__ = ["GaborVae", "Model"]

_DIRECTIONS, _OCTAVES = 4, 3
_WAVELENGTH = 4.0  # px of the octave; the envelope's sigma is half of it, an octave's bandwidth
_NOISE = 0.01  # of contrast, in [0, 1]: below it the logarithm is flat, so that sensor noise stays small
_LEAST_SPREAD = 1e-3  # of a band; one that changes less, as colour in grey images, is left out
_LEAST_VARIANCE = 1e-3  # of a band that is scaled to variance 1
# Luminance as in ITU-R BT.601, and two opponent colours.
_COLOURS = ((0.299, 0.587, 0.114), (0.5, -0.5, 0.0), (0.25, 0.25, -0.5))


class GaborVae(nn.Module):
    """A VAE of the bands of an image: brightness, two colours, and contrast by direction and octave."""

    filters: torch.Tensor
    colours: torch.Tensor
    middle: torch.Tensor
    spread: torch.Tensor
    alive: torch.Tensor
    variances: torch.Tensor

    def __init__(self, shape: VaeShape, *, beta: float = 1.0) -> None:
        """Random weights, from torch's generator; the bands have a value for each `shape.patch_size` pixels.

        Raises:
            ToolkitError: the images do not fit the shape.
        """
        super().__init__()
        shape.check()
        self.shape, self._beta = shape, beta
        self.bands = len(_COLOURS) + _DIRECTIONS * _OCTAVES
        channels = shape.channels
        pairs = list(pairwise(channels))
        self.encoder = nn.Sequential(
            active(nn.Conv2d(self.bands, channels[0], 3, 1, 1, bias=False)),
            *(active(nn.Conv2d(a, b, 4, 2, 1, bias=False)) for a, b in pairs),
        )
        self.posterior = nn.Conv2d(channels[-1], 2 * shape.latent, 1)
        nn.init.normal_(self.posterior.weight, std=0.01)
        self.decoder = nn.Sequential(
            active(nn.Conv2d(shape.latent, channels[-1], 3, 1, 1, bias=False)),
            *(active(nn.ConvTranspose2d(b, a, 4, 2, 1, bias=False)) for a, b in reversed(pairs)),
            nn.Conv2d(channels[0], self.bands, 3, 1, 1),
        )
        self.register_buffer("filters", _gabor_pairs(), persistent=False)
        self.register_buffer("colours", torch.tensor(_COLOURS)[:, :, None, None], persistent=False)
        self.register_buffer("middle", torch.zeros(1, self.bands, 1, 1))
        self.register_buffer("spread", torch.ones(1, self.bands, 1, 1))
        self.register_buffer("alive", torch.ones(1, self.bands, 1, 1))
        self.register_buffer("variances", torch.ones(1, self.bands, 1, 1))

    @torch.no_grad()
    def calibrate(self, batches: Iterable[torch.Tensor]) -> None:
        """Scale each band to mean 0 and variance 1 over images, float32 (B, 3, side, side) in [0, 1].

        A band that does not change is left out from then on: its vanishing error would rule the loss.
        """
        count, total, squares = 0, torch.zeros(self.bands).double(), torch.zeros(self.bands).double()
        for images in batches:
            values = self._contrasts(images).double().cpu().transpose(0, 1).flatten(1)
            count += values.shape[1]
            total += values.sum(1)
            squares += values.square().sum(1)
        mean = total / count
        spread = (squares / count - mean.square()).clamp_min(0).sqrt()
        self.alive.copy_((spread > _LEAST_SPREAD).view_as(self.alive))
        self.middle.copy_(mean.view_as(self.middle))
        self.spread.copy_(spread.clamp_min(_LEAST_SPREAD).view_as(self.spread))

    def loss(self, images: torch.Tensor, *, sample: bool = True) -> dict[str, torch.Tensor]:
        """As `finetune.vae.models.Vae.loss`, each band with a variance of its own, which training keeps track of."""
        seen = self._scaled(images)
        expected, centre, log_variance = self._reconstruct(seen, sample=sample)
        errors = (expected - seen).square().mean((0, 2, 3))
        if self.training:
            self.variances.lerp_(errors.detach().view_as(self.variances).to(self.variances), 0.05)
        alive = self.alive.flatten()
        error = (gaussian_nll(errors, _LEAST_VARIANCE) * alive).sum() / alive.sum().clamp_min(1)
        apart = kl_divergence(centre, log_variance) / seen[0].numel()
        return {"loss": error + self._beta * apart, "reconstruction": error, "kl": apart}

    def reconstruction_error(self, images: torch.Tensor) -> torch.Tensor:
        """Squared difference in each band over its variance, mean over the bands that change.

        Args:
            images: float32 (B, 3, side, side), RGB in [0, 1].

        Returns:
            float32 (B, side, side).
        """
        seen = self._scaled(images)
        expected, _, _ = self._reconstruct(seen, sample=False)
        weight = self.alive / self.variances.clamp_min(_LEAST_VARIANCE) / self.alive.sum().clamp_min(1)
        off = ((expected - seen).square() * weight).sum(1, keepdim=True)
        return functional.interpolate(off, images.shape[2:], mode="bilinear", align_corners=False)[:, 0]

    def _reconstruct(self, seen: torch.Tensor, *, sample: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        centre, log_variance = self.posterior(self.encoder(seen)).chunk(2, 1)
        log_variance = log_variance.clamp(-10.0, 6.0)
        latent = draw_latent(centre, log_variance) if sample else centre
        return self.decoder(latent), centre, log_variance

    @torch.no_grad()
    def _scaled(self, images: torch.Tensor) -> torch.Tensor:
        return (self._contrasts(images) - self.middle) / self.spread

    def _contrasts(self, images: torch.Tensor) -> torch.Tensor:
        """Bands before scaling: float32 (B, bands, side / patch, side / patch)."""
        opponent = functional.conv2d(images, self.colours)
        side, found = (
            self.shape.image_size // self.shape.patch_size,
            [functional.avg_pool2d(opponent, self.shape.patch_size)],
        )
        level, reach = opponent[:, :1], self.filters.shape[-1] // 2
        for octave in range(_OCTAVES):
            level = functional.avg_pool2d(level, 2) if octave else level
            edge = min(reach, level.shape[-1] - 1)
            padded = functional.pad(level, (edge,) * 4, mode="reflect")
            padded = functional.pad(padded, (reach - edge,) * 4, mode="replicate")
            even, odd = functional.conv2d(padded, self.filters).chunk(2, 1)
            modulus = (even.square() + odd.square()).sqrt()
            if modulus.shape[-1] >= side:
                local = functional.avg_pool2d(modulus, modulus.shape[-1] // side)
            else:
                local = functional.interpolate(modulus, (side, side), mode="bilinear", align_corners=False)
            found.append((local + _NOISE).log())
        return torch.cat(found, 1)


def _gabor_pairs() -> torch.Tensor:
    """Even filters, then odd ones, at each direction: float32 (2 x directions, 1, k, k); flat areas give 0."""
    sigma = _WAVELENGTH / 2
    reach = round(2.5 * sigma)
    y, x = torch.meshgrid(*(torch.arange(-reach, reach + 1.0),) * 2, indexing="ij")
    envelope = torch.exp(-(x.square() + y.square()) / (2 * sigma**2))
    envelope = envelope / envelope.sum()
    filters = []
    for wave in (torch.cos, torch.sin):
        for step in range(_DIRECTIONS):
            angle = math.pi * step / _DIRECTIONS
            along = x * math.cos(angle) + y * math.sin(angle)
            one = envelope * wave(2 * math.pi * along / _WAVELENGTH)
            filters.append(one - envelope * one.sum())
    return torch.stack(filters)[:, None]


Model = Vae | GaborVae
