"""Scores of patches beside the formula, and banks that leave an image out."""

from __future__ import annotations

import math
from unittest.mock import patch

import pytest
import torch

from finetune.patchcore import memory
from finetune.patchcore.memory import MemoryBank


def numbers(count: int, dims: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, dims, generator=torch.Generator().manual_seed(seed))


def bank(count: int = 40, neighbours: int = 0) -> MemoryBank:
    return MemoryBank(numbers(count), (torch.arange(count) % 4).to(torch.int32), neighbours)


def test_a_score_is_the_distance_from_the_nearest() -> None:
    known, asked = bank(), numbers(30, seed=1)
    assert torch.allclose(known(asked), torch.cdist(asked, known.patches).min(1).values, atol=1e-5)


def test_what_is_remembered_scores_nothing_however_large_it_is() -> None:
    large = MemoryBank(1e3 + numbers(40), torch.zeros(40, dtype=torch.int32), 0)
    assert torch.equal(large(large.patches), torch.zeros(40))


def test_the_weight_is_that_of_the_paper() -> None:
    known, asked = bank(neighbours=3), numbers(10, seed=1)
    apart = torch.cdist(known.patches, known.patches)
    for one, found in zip(asked, known(asked), strict=True):
        distances = (known.patches - one).norm(dim=1)
        nearest = int(distances.argmin())
        around = distances[apart[nearest].argsort()[:3]]
        weight = 1 - math.exp(distances[nearest]) / float(around.exp().sum())
        assert float(found) == pytest.approx(weight * float(distances[nearest]), rel=1e-4)


@pytest.mark.parametrize("neighbours", [0, 3])
def test_an_image_is_scored_without_itself(neighbours: int) -> None:
    known = bank(neighbours=neighbours)
    others = known.origin != 2
    without = MemoryBank(known.patches[others], known.origin[others], 0)
    own = known.patches[~others]
    found = known(own, without=2)
    assert torch.all(found > 0)
    if not neighbours:
        assert torch.allclose(found, without(own), atol=1e-5)
    assert torch.isfinite(found).all()


def test_a_bank_of_one_image_is_not_left_empty() -> None:
    alone = MemoryBank(numbers(6), torch.zeros(6, dtype=torch.int32), 3)
    assert torch.equal(alone(alone.patches, without=0), alone(alone.patches))


def test_parts_of_any_size_give_the_same() -> None:
    known, asked = bank(neighbours=4), numbers(90, seed=1)
    whole = known(asked)
    with patch.object(memory, "_IN_CACHE", 16 * len(known)):
        assert known._rows() == 16
        assert torch.allclose(bank(neighbours=4)(asked), whole, atol=1e-6)
        assert torch.equal(bank(neighbours=4).around, known.around)
