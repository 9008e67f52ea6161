"""The VAEs: shapes, losses worked by hand, and a backbone that stays as it is."""

from __future__ import annotations

import math

import pytest
import torch

from finetune.backbones.backbone import Backbone, build_backbone
from finetune.vae.models import FeatureVae, PixelVae, Reconstruction, feature_layers
from finetune.vae.shape import VaeShape
from toolkit.errors import ToolkitError

SHAPE = VaeShape(64, patch_size=2, num_downsamples=4, base_channels=8, latent=4)


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    torch.manual_seed(0)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 64, 64)


@pytest.fixture
def resnet() -> Backbone:
    return build_backbone("resnet18", "none", 1, image_size=64)


@pytest.mark.parametrize(
    ("shape", "grid"),
    [
        (SHAPE, 4),
        (VaeShape(64, patch_size=4, num_downsamples=3, base_channels=16, latent=4), 8),
        (VaeShape(64, patch_size=4, num_downsamples=2, base_channels=8, latent=4), 16),
        (VaeShape(96, patch_size=8, num_downsamples=4, base_channels=8, latent=4), 6),
    ],
)
def test_reconstructions_have_the_size_of_the_images(shape: VaeShape, grid: int) -> None:
    images = torch.rand(2, 3, shape.image_size, shape.image_size)
    found = PixelVae(shape)(images, sample=True)
    assert found.mean.shape == images.shape
    assert found.centre.shape == found.log_variance.shape == (2, 4, grid, grid)


@pytest.mark.parametrize(("size", "near"), [(60, 64), (100, 96), (16, 32)])
def test_sizes_that_do_not_fit_name_one_that_does(size: int, near: int) -> None:
    with pytest.raises(ToolkitError, match=f"image_size={near}$"):
        PixelVae(VaeShape(size, num_downsamples=4))


def test_patches_larger_than_the_latent_grid_are_refused() -> None:
    with pytest.raises(ToolkitError, match=r"num_downsamples 2: .* use num_downsamples=3 or more"):
        PixelVae(VaeShape(64, patch_size=8, num_downsamples=2))


def test_divergence_is_that_from_the_unit_gaussian() -> None:
    centre, variance = torch.tensor([[[[1.0]], [[-2.0]]]]), torch.tensor([[[[0.5]], [[3.0]]]])
    found = Reconstruction(torch.zeros(1, 3, 1, 1), {}, centre, variance.log())
    posterior = torch.distributions.Normal(centre, variance.sqrt())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum()
    assert float(found.kl_divergence()) == pytest.approx(float(expected))


@pytest.mark.parametrize("beta", [1.0, 0.25])
def test_the_loss_is_the_evidence_bound_with_the_best_variance(images: torch.Tensor, beta: float) -> None:
    model = PixelVae(SHAPE, beta=beta).eval()
    with torch.no_grad():
        found, parts = model(images), model.loss(images, sample=False)
    variance = float((found.mean - images).square().mean())
    gaussian = torch.distributions.Normal(found.mean, math.sqrt(variance))
    # The constant (1 + log 2 pi) / 2 is left out.
    nats = -float(gaussian.log_prob(images).mean()) - 0.5 * (1 + math.log(2 * math.pi))
    assert float(parts["reconstruction"]) == pytest.approx(nats, abs=1e-5)
    assert float(parts["kl"]) == pytest.approx(float(found.kl_divergence()) / (3 * 64 * 64), rel=1e-5)
    assert float(parts["loss"]) == pytest.approx(nats + beta * float(parts["kl"]), abs=1e-5)


def test_losses_add_up(images: torch.Tensor) -> None:
    torch.manual_seed(0)
    model = PixelVae(SHAPE, loss="l2+ssim").eval()
    both = float(model.loss(images, sample=False)["reconstruction"].detach())
    alone = []
    for kind in ("l2", "ssim"):
        torch.manual_seed(0)
        parts = PixelVae(SHAPE, loss=kind).eval().loss(images, sample=False)
        alone.append(float(parts["reconstruction"].detach()))
    assert both == pytest.approx(sum(alone), abs=1e-5)
    assert 0 < alone[1] < 1


def test_samples_differ_and_means_do_not(images: torch.Tensor) -> None:
    model = PixelVae(SHAPE).eval()
    assert torch.equal(model(images).mean, model(images).mean)
    assert not torch.equal(model(images, sample=True).mean, model(images, sample=True).mean)


@pytest.mark.parametrize("kind", ["l2", "ssim", "l2+ssim"])
def test_a_pixel_vae_learns(images: torch.Tensor, kind: str) -> None:
    model = PixelVae(SHAPE, loss=kind)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(12):
        loss = model.loss(images)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


class TestFeatureVae:
    def test_layers_are_the_last_of_each_stride(self, resnet: Backbone) -> None:
        found = feature_layers(resnet, 64)
        assert {stride: (path.partition(".")[0], channels) for stride, (path, channels) in found.items()} == {
            4: ("layer1", 64),
            8: ("layer2", 128),
            16: ("layer3", 256),
        }

    def test_a_backbone_without_maps_is_refused(self) -> None:
        with pytest.raises(ToolkitError, match="no feature maps"):
            feature_layers(build_backbone("vit_b_32", "none", 1, image_size=64), 64)

    def test_the_backbone_stays_as_it_is(self, resnet: Backbone, images: torch.Tensor) -> None:
        before = {name: value.clone() for name, value in resnet.model.state_dict().items()}
        model = FeatureVae(SHAPE, resnet).train()
        optimiser = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], 3e-3)
        losses = []
        for _ in range(6):
            loss = model.loss(images)["loss"]
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < losses[0]
        assert all(torch.equal(value, before[name]) for name, value in model.teacher.state_dict().items())

    def test_each_space_counts_by_its_own_variance(self, resnet: Backbone, images: torch.Tensor) -> None:
        model = FeatureVae(SHAPE, resnet).eval()
        assert model.variances.shape == (4,)
        model.variances[:] = torch.tensor([1e12, 1e12, 1e12, 1e12])
        model.variances[0] = 0.5
        expected = (model(images).mean - images).square().mean(1) / 0.5
        assert torch.allclose(model.reconstruction_error(images), expected, atol=1e-5)

    def test_variances_are_kept_track_of_in_training_alone(self, resnet: Backbone, images: torch.Tensor) -> None:
        model = FeatureVae(SHAPE, resnet)
        start = model.variances.clone()
        model.eval().loss(images)
        assert torch.equal(model.variances, start)
        model.train().loss(images)
        assert not torch.equal(model.variances, start)
