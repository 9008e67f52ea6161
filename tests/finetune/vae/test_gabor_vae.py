"""The VAE of contrast: what its bands see and do not see, its loss, and its maps."""

from __future__ import annotations

import math

import pytest
import torch

from finetune.vae.gabor_vae import GaborVae
from finetune.vae.shape import VaeShape
from toolkit.errors import ToolkitError

SHAPE = VaeShape(64, patch_size=4, num_downsamples=4, base_channels=8, latent=4)
COLOURS, DIRECTIONS = 3, 4


@pytest.fixture
def model() -> GaborVae:
    torch.manual_seed(0)
    return GaborVae(SHAPE).eval()


def lines(*, angle: float = 0.0, wavelength: float = 4.0, shift: float = 0.0) -> torch.Tensor:
    """A grating (1, 3, 64, 64): brightness changes along `angle`, in degrees from the x axis."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    along = x * math.cos(math.radians(angle)) + y * math.sin(math.radians(angle)) + shift
    return (0.5 + 0.3 * torch.sin(2 * math.pi * along / wavelength)).expand(1, 3, 64, 64).clone()


def middles(model: GaborVae, images: torch.Tensor) -> torch.Tensor:
    """Values of the bands at the centre of an image, before scaling."""
    found: torch.Tensor = model._contrasts(images)
    assert found.shape == (len(images), COLOURS + 3 * DIRECTIONS, 16, 16)
    return found[0, :, 8, 8]


@pytest.mark.parametrize(("angle", "direction"), [(0, 0), (45, 1), (90, 2), (135, 3)])
@pytest.mark.parametrize(("wavelength", "octave"), [(4, 0), (8, 1), (16, 2)])
def test_a_band_answers_to_its_own_lines(
    model: GaborVae, angle: float, direction: int, wavelength: float, octave: int
) -> None:
    found = middles(model, lines(angle=angle, wavelength=wavelength))[COLOURS:]
    assert divmod(int(found.argmax()), DIRECTIONS) == (octave, direction)


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0])
def test_where_the_lines_run_makes_no_difference(model: GaborVae, shift: float) -> None:
    here, there = lines(), lines(shift=shift)
    assert float((here - there).abs().mean()) > 0.1
    assert torch.allclose(middles(model, here)[COLOURS:], middles(model, there)[COLOURS:], atol=0.1)


def test_flat_images_have_no_contrast(model: GaborVae) -> None:
    found = middles(model, torch.full((1, 3, 64, 64), 0.7))
    assert torch.allclose(found[COLOURS:], torch.tensor(0.01).log(), atol=1e-3)
    assert torch.allclose(found[:COLOURS], torch.tensor([0.7, 0.0, 0.0]), atol=1e-5)


@pytest.mark.parametrize(
    ("rgb", "opponent"), [((1, 0, 0), (0.5, 0.25)), ((0, 1, 0), (-0.5, 0.25)), ((0, 0, 1), (0, -0.5))]
)
def test_colours_are_told_apart(model: GaborVae, rgb: tuple[int, ...], opponent: tuple[float, float]) -> None:
    found = middles(model, torch.tensor(rgb).float()[None, :, None, None].expand(1, 3, 64, 64))
    assert torch.allclose(found[1:COLOURS], torch.tensor(opponent), atol=1e-5)


def test_calibration_scales_each_band(model: GaborVae) -> None:
    torch.manual_seed(1)
    images = torch.rand(6, 3, 64, 64) * torch.rand(6, 1, 1, 1)
    model.calibrate(images.split(4))
    found = model._scaled(images).transpose(0, 1).flatten(1)
    assert torch.allclose(found.mean(1), torch.zeros(15), atol=1e-3)
    assert torch.allclose(found.std(1), torch.ones(15), atol=1e-2)


def test_bands_that_never_change_say_nothing(model: GaborVae) -> None:
    torch.manual_seed(1)
    grey = torch.rand(4, 1, 64, 64).expand(4, 3, 64, 64)
    model.calibrate([grey])
    with torch.no_grad():
        loss, found = model.loss(grey, sample=False)["loss"].clone(), model.reconstruction_error(grey)
        model.decoder[-1].bias[1:COLOURS] += 5.0
        assert torch.equal(model.loss(grey, sample=False)["loss"], loss)
        assert torch.equal(model.reconstruction_error(grey), found)


@pytest.mark.parametrize("beta", [1.0, 0.25])
def test_the_loss_is_the_evidence_bound_with_a_variance_for_each_band(beta: float) -> None:
    torch.manual_seed(0)
    model, images = GaborVae(SHAPE, beta=beta).eval(), torch.rand(3, 3, 64, 64)
    with torch.no_grad():
        seen = model._scaled(images)
        expected, centre, log_variance = model._reconstruct(seen, sample=False)
        parts = {name: float(value) for name, value in model.loss(images, sample=False).items()}
    nats = 0.5 * (expected - seen).square().mean((0, 2, 3)).log().mean()
    posterior = torch.distributions.Normal(centre, (0.5 * log_variance).exp())
    kl = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum() / seen.numel()
    assert parts["reconstruction"] == pytest.approx(float(nats), abs=1e-5)
    assert parts["kl"] == pytest.approx(float(kl), rel=1e-4)
    assert parts["loss"] == pytest.approx(float(nats + beta * kl), abs=1e-5)


def test_it_learns_and_then_finds_what_is_new() -> None:
    torch.manual_seed(0)
    model = GaborVae(SHAPE)
    good = torch.cat([lines(angle=0, shift=shift) for shift in torch.arange(8) / 2])
    model.calibrate([good])
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        loss = model.loss(good)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.1
    odd = good[:1].clone()
    odd[:, :, 20:36, 28:44] = lines(angle=90)[:, :, 20:36, 28:44]
    with torch.no_grad():
        found = model.eval().reconstruction_error(odd)[0]
    assert found.shape == (64, 64)
    assert float(found[24:32, 32:40].mean()) > 5 * float(found[:, :16].mean())


def test_each_band_counts_by_its_own_variance(model: GaborVae) -> None:
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        before = model.reconstruction_error(images)
        model.variances *= 4
        assert torch.allclose(model.reconstruction_error(images), before / 4, rtol=1e-4)


def test_variances_are_kept_track_of_in_training_alone(model: GaborVae) -> None:
    images, start = torch.rand(2, 3, 64, 64), model.variances.clone()
    model.loss(images)
    assert torch.equal(model.variances, start)
    model.train().loss(images)
    assert not torch.equal(model.variances, start)


def test_what_was_calibrated_is_saved_with_the_weights(model: GaborVae) -> None:
    model.calibrate([torch.rand(2, 3, 64, 64)])
    other = GaborVae(SHAPE).eval()
    other.load_state_dict(model.state_dict())
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(other.reconstruction_error(images), model.reconstruction_error(images))


def test_sizes_that_do_not_fit_name_one_that_does() -> None:
    with pytest.raises(ToolkitError, match=r"image_size=64$"):
        GaborVae(VaeShape(60, patch_size=4, num_downsamples=4, base_channels=8))
