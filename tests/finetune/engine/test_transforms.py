"""Augmentation and normalisation: what may change in an image, and what may not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from finetune.engine.config import IMAGENET, AugmentConfig, Normalization
from finetune.engine.transforms import eval_transform, flipped_views, train_transform

NOTHING = {"horizontal_flip": False, "vertical_flip": False, "rotation": 0, "colour": 0, "crop": 1}
SIZE = 48


def ramp() -> torch.Tensor:
    """(3, 48, 48), smooth, different in each direction and channel, so that a mirrored or turned one is told."""
    across = torch.linspace(10, 200, SIZE)
    return torch.stack(
        [across.expand(SIZE, SIZE), across[:, None].expand(SIZE, SIZE), torch.full((SIZE, SIZE), 80.0)]
    ).to(torch.uint8)


def told(normalization: Normalization = IMAGENET, **augment: object) -> SimpleNamespace:
    """Settings that change nothing but what is given."""
    own = AugmentConfig(**{**NOTHING, **augment})
    return SimpleNamespace(image_size=SIZE, augment=own, normalization=normalization)


def varied(seed: int = 0, **augment: object) -> torch.Tensor:
    """An augmented image, back in [0, 255]."""
    config = told(**augment)
    torch.manual_seed(seed)
    image = train_transform(config)(ramp())
    return (image * torch.tensor(IMAGENET.std).view(3, 1, 1) + torch.tensor(IMAGENET.mean).view(3, 1, 1)) * 255


def test_nothing_but_normalisation_without_augmentation():
    torch.testing.assert_close(varied(), ramp().float(), atol=1e-3, rtol=0)
    config = told()
    assert torch.equal(eval_transform(config)(ramp()), train_transform(config)(ramp()))
    assert eval_transform(config)(ramp()).dtype == torch.float32


def test_values_are_normalised_as_the_backbone_expects():
    mean, std = (0.5, 0.25, 0.0), (0.5, 1.0, 0.1)
    config = told(Normalization(mean, std))
    expected = (ramp() / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    torch.testing.assert_close(eval_transform(config)(ramp()), expected)


@pytest.mark.parametrize(("name", "axis"), [("horizontal_flip", 2), ("vertical_flip", 1)])
def test_flips_mirror_every_second_image(name, axis):
    plain, mirrored = ramp().float(), ramp().flip(axis).float()
    seen = [varied(seed, **{name: True}) for seed in range(40)]
    times = sum(torch.allclose(image, mirrored, atol=1e-3) for image in seen)
    assert times + sum(torch.allclose(image, plain, atol=1e-3) for image in seen) == 40
    assert 10 < times < 30


def test_a_turn_stays_within_its_angle_and_leaves_no_empty_corner():
    angles = []
    for seed in range(30):
        image = varied(seed, rotation=20)
        assert image[:2].min() >= 9
        assert image[2].min() >= 79
        middle = image[0, 12:36, 12:36]
        angles.append(torch.rad2deg(torch.atan2(middle.diff(dim=0).mean(), middle.diff(dim=1).mean())).item())
    assert max(map(abs, angles)) < 21
    assert min(angles) < -10
    assert max(angles) > 10


def test_a_crop_enlarges_and_stays_inside_the_image():
    spans = []
    for seed in range(30):
        image = varied(seed, crop=0.25)
        across = image[0].mean(dim=0)
        assert across.diff().min() >= -1e-3, "a reflected border: the crop reaches beyond the image"
        spans.append((across[-1] - across[0]).item() / 190)
    assert 0.45 < min(spans) < 0.6
    assert max(spans) > 0.9


def test_colour_changes_by_at_most_its_part():
    means = [varied(seed, colour=0.2).mean().item() / ramp().float().mean().item() for seed in range(30)]
    assert 0.78 < min(means) < 0.9
    assert 1.1 < max(means) < 1.22


def test_the_same_seed_gives_the_same_image():
    everything = {"horizontal_flip": True, "vertical_flip": True, "rotation": 30, "colour": 0.3, "crop": 0.5}
    assert torch.equal(varied(3, **everything), varied(3, **everything))
    assert not torch.equal(varied(3, **everything), varied(4, **everything))


@pytest.mark.parametrize(("flips", "number"), [("none", 1), ("horizontal", 2), ("both", 4)])
def test_views_are_all_different_and_begin_with_the_image(flips, number):
    images = ramp()[None].float()
    views = flipped_views(images, flips)
    assert torch.equal(views[0], images)
    assert len({tuple(view.flatten().tolist()) for view in views}) == number
