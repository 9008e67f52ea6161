"""Variational autoencoders that learn what good looks like: one of pixels, one of a frozen backbone's features too.

Latents keep their place (C, h, w). The likelihood is Gaussian with the variance that fits best, which the loss has at
its optimum (Rybkin et al., "Simple and Effective VAE Training with Calibrated Decoders", arXiv 2006.13202,
equation 8), so that no weight between reconstruction and divergence needs tuning for a product.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from finetune.vae.shape import VaeShape
from toolkit.errors import ToolkitError

if TYPE_CHECKING:
    from finetune.backbones.backbone import Backbone

__all__ = [
    "FeatureVae",
    "PixelVae",
    "Reconstruction",
    "Vae",
    "active",
    "draw_latent",
    "feature_layers",
    "gaussian_nll",
    "kl_divergence",
]

_LEAST_VARIANCE = 1e-6  # of pixels in [0, 1]: a tenth of what 8 bits can show, and more than rounding
_STRIDES = (4, 8, 16)  # of the feature maps that a feature VAE models


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """What a VAE makes of a batch of images.

    Attributes:
        mean: float32 (B, 3, side, side), the expected image.
        features: expected feature maps by layer; none of a pixel VAE.
        centre, log_variance: (B, latent, h, w), of the posterior.
    """

    mean: torch.Tensor
    features: Mapping[str, torch.Tensor]
    centre: torch.Tensor
    log_variance: torch.Tensor

    def kl_divergence(self) -> torch.Tensor:
        """As the function of this name."""
        return kl_divergence(self.centre, self.log_variance)


class Vae(nn.Module):
    """Encoder, latent map and decoder; what is to be reconstructed is up to the subclasses."""

    def __init__(self, shape: VaeShape) -> None:
        """Random weights, from torch's generator.

        Raises:
            ToolkitError: the images do not fit the shape.
        """
        super().__init__()
        shape.check()
        self.shape = shape
        channels = shape.channels
        first = nn.Conv2d(3, channels[0], 2 * shape.patch_size, shape.patch_size, shape.patch_size // 2, bias=False)
        pairs = list(pairwise(channels))
        down = [active(first)] + [active(nn.Conv2d(a, b, 4, 2, 1, bias=False)) for a, b in pairs]
        self.encoder = nn.Sequential(*down)
        self.posterior = nn.Conv2d(channels[-1], 2 * shape.latent, 1)
        # Begins at the prior: large random latents would have to be unlearnt first.
        nn.init.normal_(self.posterior.weight, std=0.01)
        self.unpack = active(nn.Conv2d(shape.latent, channels[-1], 3, 1, 1, bias=False))
        up = [active(nn.ConvTranspose2d(b, a, 4, 2, 1, bias=False)) for a, b in reversed(pairs)]
        self.decoder = nn.ModuleList(up)
        self.paint = nn.Sequential(
            nn.Conv2d(channels[0], 3 * shape.patch_size**2, 3, 1, 1), nn.PixelShuffle(shape.patch_size)
        )
        self.heads = nn.ModuleDict()
        self._places: dict[str, int] = {}

    def forward(self, images: torch.Tensor, *, sample: bool = False) -> Reconstruction:
        """Reconstruct images.

        Args:
            images: float32 (B, 3, side, side), RGB in [0, 1].
            sample: draw the latents, as in training; else take their mean.
        """
        centre, log_variance = self.posterior(self.encoder(images - 0.5)).chunk(2, 1)
        log_variance = log_variance.clamp(-10.0, 6.0)
        latent = draw_latent(centre, log_variance) if sample else centre
        hidden = self.unpack(latent)
        stages = [hidden]
        for step in self.decoder:
            stages.append(step(stages[-1]))
        features = {name: self.heads[name](stages[place]) for name, place in self._places.items()}
        return Reconstruction(self.paint(stages[-1]) + 0.5, features, centre, log_variance)

    def loss(self, images: torch.Tensor, *, sample: bool = True) -> dict[str, torch.Tensor]:
        """Negative evidence bound of a batch in nats per value: "loss", and its parts "reconstruction" and "kl"."""
        raise NotImplementedError


class PixelVae(Vae):
    """A VAE of images."""

    def __init__(self, shape: VaeShape, *, loss: str = "l2", beta: float = 1.0) -> None:
        """Take a shape; `loss` is "l2", "ssim" or "l2+ssim", `beta` the weight of the divergence."""
        super().__init__(shape)
        self._loss, self._beta = loss, beta

    def loss(self, images: torch.Tensor, *, sample: bool = True) -> dict[str, torch.Tensor]:
        """As `Vae.loss`; structural dissimilarity (1 - SSIM) / 2 stands in for nats where the loss is of SSIM."""
        found = self(images, sample=sample)
        error = images.new_zeros(())
        if "l2" in self._loss:
            error = error + gaussian_nll(functional.mse_loss(found.mean, images))
        if "ssim" in self._loss:
            from torchmetrics.functional.image import structural_similarity_index_measure

            similar = structural_similarity_index_measure(found.mean, images, data_range=1.0)
            error = error + 0.5 * (1 - torch.as_tensor(similar))
        apart = found.kl_divergence() / images[0].numel()
        return {"loss": error + self._beta * apart, "reconstruction": error, "kl": apart}


class FeatureVae(Vae):
    """A VAE of images and of what a frozen backbone sees in them.

    After Dehaene and Eline, "Anomaly localization by modeling perceptual features" (arXiv 2008.05369): the decoder
    expects the backbone's feature maps as well as the pixels, each space with a variance of its own, and an anomaly is
    what differs in any of them.
    """

    variances: torch.Tensor

    def __init__(self, shape: VaeShape, backbone: Backbone, *, beta: float = 1.0) -> None:
        """Freeze a backbone and expect its maps with strides of 4, 8 and 16 pixels.

        Raises:
            ToolkitError: the shape does not fit the images, or the backbone has no such maps.
        """
        super().__init__(shape)
        layers = feature_layers(backbone, shape.image_size)
        decoded = shape.channels[::-1]
        self.teacher = backbone.model.requires_grad_(False).eval()
        self._normalization, self._beta, self._seen = backbone.normalization, beta, dict[str, torch.Tensor]()
        for place, channels in enumerate(decoded):
            found = layers.get(2 ** (shape.num_downsamples - place))
            if found is not None:
                name = f"stride{2 ** (shape.num_downsamples - place)}"
                self._places[name] = place
                self.heads[name] = nn.Conv2d(channels, found[1], 1)
                self.teacher.get_submodule(found[0]).register_forward_hook(self._remember(name))
        if not self._places:
            raise ToolkitError(
                f"patch_size {shape.patch_size}", "the decoder has no map that the backbone has", "use patch_size=2"
            )
        self.register_buffer("variances", torch.ones(1 + len(self._places)))

    def train(self, mode: bool = True) -> FeatureVae:
        """Switch between training and use; the backbone stays in use."""
        super().train(mode)
        self.teacher.eval()
        return self

    def loss(self, images: torch.Tensor, *, sample: bool = True) -> dict[str, torch.Tensor]:
        """As `Vae.loss`, over all spaces; in training it keeps track of their variances."""
        found = self(images, sample=sample)
        pairs = self._pairs(images, found)
        errors = [functional.mse_loss(expected, seen) for expected, seen in pairs]
        sizes = [seen[0].numel() for _, seen in pairs]
        if self.training:
            with torch.no_grad():
                self.variances.lerp_(torch.stack(errors).to(self.variances), 0.05)
        nats = [size * gaussian_nll(error) for size, error in zip(sizes, errors, strict=True)]
        error, apart = sum(nats, images.new_zeros(())) / sum(sizes), found.kl_divergence() / sum(sizes)
        return {"loss": error + self._beta * apart, "reconstruction": error, "kl": apart}

    def reconstruction_error(self, images: torch.Tensor) -> torch.Tensor:
        """Squared difference in each space over its variance, summed over the spaces.

        Args:
            images: float32 (B, 3, side, side), RGB in [0, 1].

        Returns:
            float32 (B, side, side).
        """
        total = torch.zeros_like(images[:, :1])
        pairs = self._pairs(images, self(images))
        for (expected, seen), variance in zip(pairs, self.variances, strict=True):
            off = (expected - seen).square().mean(1, keepdim=True) / variance.clamp_min(_LEAST_VARIANCE)
            total = total + functional.interpolate(off, images.shape[2:], mode="bilinear", align_corners=False)
        return total[:, 0]

    def _pairs(self, images: torch.Tensor, found: Reconstruction) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Expected and true values of each space, pixels first."""
        self._seen.clear()
        from torchvision.transforms.functional import normalize  # here, since a VAE without a backbone needs neither

        with torch.no_grad():
            self.teacher(normalize(images, list(self._normalization.mean), list(self._normalization.std)))
        seen = dict(self._seen)
        self._seen.clear()
        return [(found.mean, images), *((found.features[name], seen[name]) for name in self._places)]

    def _remember(self, name: str) -> Callable[[nn.Module, object, torch.Tensor], None]:
        from finetune.backbones.models import as_map

        def hook(module: nn.Module, given: object, output: torch.Tensor) -> None:
            self._seen[name] = as_map(self.teacher, output.detach())

        return hook


def feature_layers(
    backbone: Backbone, image_size: int, strides: Sequence[int] = _STRIDES
) -> dict[int, tuple[str, int]]:
    """The last layer of a backbone with a map of each stride: stride -> (name of the submodule, channels).

    Raises:
        ToolkitError: it has none.
    """
    from finetune.backbones.models import as_map

    found: dict[int, tuple[str, int]] = {}

    def remember(path: str) -> Callable[[nn.Module, object, object], None]:
        def hook(module: nn.Module, given: object, output: object) -> None:
            if isinstance(output, torch.Tensor) and output.dim() == 4:
                shape = as_map(model, output).shape
                if image_size % shape[2] == 0:
                    found[image_size // shape[2]] = (path, shape[1])

        return hook

    model = backbone.model
    modules = [(path, module) for path, module in model.named_modules() if path]
    hooks = [module.register_forward_hook(remember(path)) for path, module in modules]
    before = model.training
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, image_size, image_size, device=next(model.parameters()).device))
    model.train(before)
    for hook in hooks:
        hook.remove()
    kept = {stride: found[stride] for stride in strides if stride in found}
    if not kept:
        raise ToolkitError(
            f"backbone {backbone.name}", "has no feature maps to model", "use a convolutional one, such as resnet18"
        )
    return kept


def active(layer: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    """A convolution, normalised, with its nonlinearity."""
    # Group and not batch norm: with few images in a batch the latter expects other values in use than in training.
    return nn.Sequential(layer, nn.GroupNorm(8, layer.out_channels), nn.LeakyReLU(0.1, inplace=True))


def gaussian_nll(variance: torch.Tensor, least: float = _LEAST_VARIANCE) -> torch.Tensor:
    """Nats per value of a Gaussian whose variance is the mean squared error, less a constant."""
    return 0.5 * variance.clamp_min(least).log()


def draw_latent(centre: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """A sample of the posterior."""
    return centre + torch.randn_like(centre) * (0.5 * log_variance).exp()


def kl_divergence(centre: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """KL divergence from the unit Gaussian in nats, mean over the batch (Kingma and Welling, arXiv 1312.6114)."""
    parts = centre.square() + log_variance.exp() - 1 - log_variance
    return 0.5 * parts.flatten(1).sum(1).mean()
