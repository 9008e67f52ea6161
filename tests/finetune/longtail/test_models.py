"""The heads for the long tail: shapes, the order of their layers, and what is shared."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from finetune.longtail.models import LongtailNet, PlainHead, ResLTHead


def features(batch: int = 4) -> torch.Tensor:
    return torch.randn(batch, 8, 5, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("branches", [2, 3])
def test_reslt_gives_the_logits_of_each_branch(branches: int) -> None:
    head = ResLTHead(8, 6, branches)
    assert head(features()).shape == (branches, 4, 6)
    assert head.expand[0].weight.shape == (branches * 8, 8, 1, 1)


@pytest.mark.parametrize("training", [True, False])
def test_reslt_convolves_normalises_rectifies_pools_and_splits_in_this_order(training: bool) -> None:
    torch.manual_seed(0)
    head, given = ResLTHead(8, 6), features()
    with torch.no_grad():
        head(given)  # so that the running statistics are not those of a fresh layer
        head.train(training)
        convolution, norm = head.expand[0], head.expand[1]
        mixed = torch.einsum("oc,bchw->bohw", convolution.weight[:, :, 0, 0], given)
        mean, var = mixed.mean((0, 2, 3)), mixed.var((0, 2, 3), unbiased=False)
        if not training:
            mean, var = norm.running_mean, norm.running_var
        normal = (mixed - mean[:, None, None]) / (var[:, None, None] + norm.eps).sqrt()
        pooled = (normal * norm.weight[:, None, None] + norm.bias[:, None, None]).relu().mean((2, 3))
        expected = [pooled[:, 8 * k : 8 * k + 8] @ head.classifier.weight.T + head.classifier.bias for k in range(3)]
        assert torch.allclose(head(given), torch.stack(expected), atol=1e-5)


def test_the_branches_share_one_classifier() -> None:
    head = ResLTHead(8, 6)
    linear = [layer for layer in head.modules() if isinstance(layer, nn.Linear)]
    assert [tuple(layer.weight.shape) for layer in linear] == [(6, 8)]


def test_a_plain_head_is_one_branch() -> None:
    head = PlainHead(8, 6)
    expected = head.classifier(features().mean((2, 3)))
    assert torch.equal(head(features()), expected[None])


@pytest.mark.parametrize("head", [ResLTHead(8, 6, 3), ResLTHead(8, 6, 2), PlainHead(8, 6)])
def test_what_is_predicted_is_the_sum_over_the_branches(head: PlainHead | ResLTHead) -> None:
    net = LongtailNet(nn.Identity(), head).eval()
    by_branch = net(features())
    assert torch.equal(net.fused(features()), sum(by_branch, start=torch.zeros(4, 6)))


def test_the_sum_can_overrule_every_single_branch() -> None:
    class Fixed(PlainHead):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[[3.0, 2.0, 0.0]], [[0.0, 2.0, 3.0]]])

    net = LongtailNet(nn.Identity(), Fixed(8, 3))
    assert net(features()).argmax(2).flatten().tolist() == [0, 2]
    assert net.fused(features()).argmax(1).tolist() == [1]
