"""Losses for the long tail against the formulas, worked by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch.nn.functional import cross_entropy

from finetune.longtail.losses import (
    Group,
    adjust_logits,
    balanced_softmax_loss,
    branch_members,
    class_balanced_weights,
    exponential_counts,
    group_classes,
    imbalance_factor,
    logit_adjusted_loss,
    reslt_loss,
    reslt_terms,
)

LABELS = [0, 2, 1, 2]
GROUPS: tuple[Group, ...] = ("head", "medium", "tail")
# Branch x image x class.
LOGITS = [
    [[2.0, 0.5, -1.0], [0.1, 0.2, 0.3], [1.0, 1.0, 0.0], [-0.5, 0.0, 1.5]],
    [[0.3, -0.2, 0.8], [1.1, -0.4, 0.6], [0.0, 0.9, -0.9], [0.2, 0.2, 0.2]],
    [[-1.0, 0.4, 0.6], [0.7, 0.0, 1.2], [0.5, -0.5, 0.0], [0.0, 1.0, 2.0]],
]


def ce(row: Sequence[float], label: int) -> float:
    return math.log(sum(math.exp(z) for z in row)) - row[label]


def three() -> torch.Tensor:
    return torch.tensor(LOGITS, dtype=torch.float64)


def test_both_terms_of_three_branches_are_the_formula_worked_by_hand() -> None:
    fusion, branch = reslt_terms(three(), torch.tensor(LABELS), branch_members(GROUPS))
    h, m, t = LOGITS
    fused = [[h[i][c] + m[i][c] + t[i][c] for c in range(3)] for i in range(4)]
    assert float(fusion) == pytest.approx(
        (ce(fused[0], 0) + ce(fused[1], 2) + ce(fused[2], 1) + ce(fused[3], 2)) / 4, abs=1e-12
    )
    of_head = ce(h[0], 0) + ce(h[1], 2) + ce(h[2], 1) + ce(h[3], 2)  # S_H: all four images
    of_medium = ce(m[1], 2) + ce(m[2], 1) + ce(m[3], 2)  # S_M: classes 1 and 2
    of_tail = ce(t[1], 2) + ce(t[3], 2)  # S_T: class 2
    assert float(branch) == pytest.approx((of_head + of_medium + of_tail) / (4 + 3 + 2), abs=1e-12)


def test_both_terms_of_two_branches_are_the_formula_worked_by_hand() -> None:
    # The form of good = head and defects = tail: classes 1 and 2 are the tail.
    members = branch_members(("head", "tail", "tail"), branches=2)
    fusion, branch = reslt_terms(three()[:2], torch.tensor(LABELS), members)
    h, t = LOGITS[:2]
    fused = [[h[i][c] + t[i][c] for c in range(3)] for i in range(4)]
    assert float(fusion) == pytest.approx(
        (ce(fused[0], 0) + ce(fused[1], 2) + ce(fused[2], 1) + ce(fused[3], 2)) / 4, abs=1e-12
    )
    of_head = ce(h[0], 0) + ce(h[1], 2) + ce(h[2], 1) + ce(h[3], 2)
    of_tail = ce(t[1], 2) + ce(t[2], 1) + ce(t[3], 2)
    assert float(branch) == pytest.approx((of_head + of_tail) / (4 + 3), abs=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.99, 1.0])
def test_alpha_weighs_the_two_terms(alpha: float) -> None:
    members = branch_members(GROUPS)
    fusion, branch = reslt_terms(three(), torch.tensor(LABELS), members)
    whole = reslt_loss(three(), torch.tensor(LABELS), members, alpha)
    assert float(whole) == pytest.approx((1 - alpha) * float(fusion) + alpha * float(branch), abs=1e-12)


@pytest.mark.parametrize("branches", [2, 3])
def test_a_branch_without_an_image_in_the_batch_adds_nothing(branches: int) -> None:
    logits = three()[:branches].requires_grad_()
    groups: tuple[Group, ...] = ("head", "tail", "tail") if branches == 2 else GROUPS
    labels = torch.tensor([0, 0, 0, 0])
    fusion, branch = reslt_terms(logits, labels, branch_members(groups, branches))
    assert float(branch.detach()) == pytest.approx(sum(ce(row, 0) for row in LOGITS[0]) / 4, abs=1e-12)
    (fusion + branch).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_the_branch_term_trains_each_branch_on_its_own_classes_alone() -> None:
    logits = three().requires_grad_()
    reslt_loss(logits, torch.tensor(LABELS), branch_members(GROUPS), alpha=1.0).backward()
    assert logits.grad is not None
    trained = (logits.grad != 0).any(dim=2).tolist()
    assert trained == [[True] * 4, [False, True, True, True], [False, True, False, True]]
    # d CE / dz = (softmax - one-hot), over the nine pairs of branch and image.
    expected = (three()[2, 3].softmax(0) - torch.tensor([0.0, 0.0, 1.0])) / 9
    assert torch.allclose(logits.grad[2, 3], expected)


def test_the_fusion_trains_all_branches_alike_on_every_image() -> None:
    logits = three().requires_grad_()
    reslt_loss(logits, torch.tensor(LABELS), branch_members(GROUPS), alpha=0.0).backward()
    assert logits.grad is not None
    assert (logits.grad != 0).all()
    assert torch.equal(logits.grad[0], logits.grad[1])
    assert torch.equal(logits.grad[0], logits.grad[2])


def test_balanced_softmax_weighs_each_class_by_its_images() -> None:
    rows, counts = LOGITS[0], [50, 7, 1]
    by_hand = [
        -math.log(counts[y] * math.exp(row[y]) / sum(n * math.exp(z) for n, z in zip(counts, row, strict=True)))
        for row, y in zip(rows, LABELS, strict=True)
    ]
    found = balanced_softmax_loss(three()[0], torch.tensor(LABELS), torch.tensor(counts))
    assert float(found) == pytest.approx(sum(by_hand) / 4, rel=1e-6)


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0, 2.0])
def test_logit_adjustment_adds_tau_times_the_log_of_the_share(tau: float) -> None:
    rows, counts = LOGITS[0], [50, 7, 1]
    shifted = [[z + tau * math.log(n / 58) for z, n in zip(row, counts, strict=True)] for row in rows]
    by_hand = sum(ce(row, y) for row, y in zip(shifted, LABELS, strict=True)) / 4
    found = logit_adjusted_loss(three()[0], torch.tensor(LABELS), torch.tensor(counts), tau)
    assert float(found) == pytest.approx(by_hand, rel=1e-6)


def test_logit_adjustment_of_tau_1_is_the_balanced_softmax_and_of_0_cross_entropy() -> None:
    logits, labels, counts = three()[0], torch.tensor(LABELS), torch.tensor([50, 7, 1])
    assert torch.allclose(logit_adjusted_loss(logits, labels, counts), balanced_softmax_loss(logits, labels, counts))
    assert torch.allclose(logit_adjusted_loss(logits, labels, counts, 0.0), cross_entropy(logits, labels))


def test_adjusting_afterwards_takes_off_what_the_loss_adds() -> None:
    logits, labels, counts = three()[0], torch.tensor(LABELS), torch.tensor([50, 7, 1])
    adjusted = adjust_logits(logits, counts, 0.7)
    assert torch.allclose(logit_adjusted_loss(adjusted, labels, counts, 0.7), cross_entropy(logits, labels))
    # Where all classes look alike, the rarest one is chosen: of the prior only its absence was seen.
    assert adjust_logits(torch.zeros(1, 3), counts).argmax().item() == 2


def test_class_balanced_weights_give_every_class_the_same_chance() -> None:
    labels = [0, 0, 0, 0, 1, 2, 2]
    weights = class_balanced_weights(labels)
    chances = [sum(w for w, y in zip(weights, labels, strict=True) if y == c) for c in range(3)]
    assert chances == pytest.approx([1.0, 1.0, 1.0])
    assert weights[:4] == [0.25] * 4


@pytest.mark.parametrize(
    ("counts", "branches", "expected"),
    [
        ([64, 16, 4, 1], 3, "head head medium tail"),  # cuts at 16 and 4: from a cut on a class is above it
        ([1, 4, 16, 64], 3, "tail medium head head"),
        ([64, 15, 3, 1], 3, "head medium tail tail"),
        ([320, 20, 8, 8], 3, "head tail tail tail"),  # no medium: 8 x 40^(1/3) = 27.4
        ([64, 8, 7, 1], 2, "head head tail tail"),
        ([320, 20, 8, 8], 2, "head tail tail tail"),
    ],
)
def test_groups_are_cut_on_a_logarithmic_scale(counts: list[int], branches: int, expected: str) -> None:
    assert " ".join(group_classes(counts, branches)) == expected


def test_an_exponential_profile_falls_into_equal_thirds() -> None:
    kept = exponential_counts([1000] * 9, 100)
    assert group_classes(kept) == ("head",) * 3 + ("medium",) * 3 + ("tail",) * 3


def test_members_of_the_branches() -> None:
    assert branch_members(GROUPS).tolist() == [[True, True, True], [False, True, True], [False, False, True]]
    assert branch_members(("head", "tail"), 2).tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize(
    ("counts", "imbalance", "expected"),
    [
        ([100, 100, 100], 100, [100, 10, 1]),  # 100 x 100^(-i/2)
        ([100, 101, 100], 100, [10, 101, 1]),  # the largest class stays the largest
        ([10, 10, 10], 100, [10, 1, 1]),  # no class is emptied
        ([100, 8, 8], 4, [100, 8, 8]),  # nor more kept than there is
        ([5], 50, [5]),
    ],
)
def test_an_exponential_tail(counts: list[int], imbalance: float, expected: list[int]) -> None:
    assert exponential_counts(counts, imbalance) == expected


def test_imbalance_factor() -> None:
    assert imbalance_factor([100, 4, 50]) == 25.0
    assert imbalance_factor([3, 0]) == math.inf
