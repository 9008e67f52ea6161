"""What SAM learns by: against torchvision and against sums by hand; padding does not count."""

from __future__ import annotations

import pytest
import torch
from torchvision.ops import sigmoid_focal_loss

from finetune.sam.losses import FOCAL_WEIGHT, dice_loss, focal_loss, mask_iou, prompt_losses

SIDE = 8


@pytest.fixture
def made() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(5, SIDE, SIDE, generator=generator), (torch.rand(5, SIDE, SIDE, generator=generator) > 0.5)


def test_focal_is_torchvisions(made: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, truth = made[0], made[1].float()
    expected = sigmoid_focal_loss(logits, truth, alpha=0.25, gamma=2).mean(dim=(1, 2))
    torch.testing.assert_close(focal_loss(logits, truth, torch.ones_like(truth)), expected)


def test_dice_of_a_sure_mask_by_hand() -> None:
    truth = torch.zeros(1, 4, 4)
    truth[0, :2] = 1
    logits = torch.full((1, 4, 4), -50.0)
    logits[0, 1:3] = 50.0  # 8 cells, 4 of them true
    assert float(dice_loss(logits, truth, torch.ones_like(truth))) == pytest.approx(1 - 9 / 17)
    assert float(mask_iou(logits, truth, torch.ones_like(truth))) == pytest.approx(4 / 12)


@pytest.mark.parametrize("figure", [focal_loss, dice_loss, mask_iou])
def test_padding_does_not_count(figure: object, made: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, truth = made[0], made[1].float()
    valid = torch.zeros_like(truth)
    valid[:, :5, :6] = 1
    cut = [one[:, :5, :6] for one in (logits, truth, valid)]
    other = torch.where(valid > 0, logits, 9.0)
    for given in (logits, other):
        torch.testing.assert_close(figure(given, truth, valid), figure(*cut))  # type: ignore[operator]


def test_a_single_point_is_taught_by_the_best_of_three_masks(made: tuple[torch.Tensor, torch.Tensor]) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(5, 4, SIDE, SIDE, generator=generator, requires_grad=True)
    predicted = torch.rand(5, 4, generator=generator)
    truth, valid = made[1], torch.ones(5, SIDE, SIDE, dtype=torch.bool)
    ambiguous = torch.tensor([True, False, True, False, True])
    losses, sure = prompt_losses(logits, predicted, truth, valid, ambiguous), logits.detach()
    for place in range(5):
        masks = range(1, 4) if ambiguous[place] else range(1)
        there, ones = truth[place].float(), torch.ones(SIDE, SIDE)
        shapes = [
            float(FOCAL_WEIGHT * focal_loss(mask, there, ones) + dice_loss(mask, there, ones))
            for mask in sure[place, list(masks)]
        ]
        errors = [float((predicted[place, one] - mask_iou(sure[place, one], there, ones)) ** 2) for one in masks]
        assert losses[place].item() == pytest.approx(min(shapes) + sum(errors) / len(errors), rel=1e-5)
    losses.sum().backward()
    assert logits.grad is not None
    taught = logits.grad.abs().sum(dim=(2, 3)) > 0
    assert taught.sum(dim=1).tolist() == [1] * 5
    assert torch.equal(taught[:, 0], ~ambiguous)


def test_the_predicted_iou_learns() -> None:
    predicted = torch.zeros(1, 4, requires_grad=True)
    mask = torch.ones(1, SIDE, SIDE, dtype=torch.bool)
    prompt_losses(torch.ones(1, 4, SIDE, SIDE), predicted, mask, mask, torch.tensor([False])).sum().backward()
    assert predicted.grad is not None
    assert predicted.grad[0].tolist() == [-2.0, 0.0, 0.0, 0.0]
