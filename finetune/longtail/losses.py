"""Losses and sampling weights for classes of unequal size: pure functions of torch tensors.

Shapes: B images in a batch, K classes, R branches. `counts` are the training images of each class, in the order of the
classes' indices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch.nn.functional import cross_entropy

__all__ = [
    "GROUPS",
    "Group",
    "adjust_logits",
    "balanced_softmax_loss",
    "branch_members",
    "class_balanced_weights",
    "exponential_counts",
    "group_classes",
    "imbalance_factor",
    "logit_adjusted_loss",
    "reslt_loss",
    "reslt_terms",
]

Group = Literal["head", "medium", "tail"]
GROUPS: tuple[Group, ...] = ("head", "medium", "tail")


# Counts


def imbalance_factor(counts: Sequence[int]) -> float:
    """Images of the largest class over those of the smallest; infinite where a class has none."""
    return max(counts) / min(counts) if min(counts) else float("inf")


def group_classes(counts: Sequence[int], branches: int = 3) -> tuple[Group, ...]:
    """Head, medium or tail for each class, by its images on a logarithmic scale.

    The range from the smallest class to the largest is cut into equal ratios. With three groups a class of n images is
    head from n >= (max max min)^(1/3) on, tail below n < (max min min)^(1/3), else medium; with two it is head from
    n >= (max min)^(1/2) on, else tail. An exponential profile is cut into equal numbers of classes.

    Args:
        counts: (K,) training images of each class, at least 1.
        branches: 3, or 2 for head and tail alone.
    """
    low, high = min(counts), max(counts)
    if branches == 2:
        return tuple("head" if n**2 >= high * low else "tail" for n in counts)
    return tuple(
        "head" if n**3 >= high * high * low else "tail" if n**3 < high * low * low else "medium" for n in counts
    )


def exponential_counts(counts: Sequence[int], imbalance: float) -> list[int]:
    """Images to keep of each class for an exponential tail: n_i = n_max * imbalance^(-i / (K - 1)).

    The profile of long-tailed CIFAR (Cui et al., arXiv 1901.05555). i runs over the classes from the largest to the
    smallest, and in their own order where they are equal. Of no class is more kept than there is, or less than one.

    Args:
        counts: (K,) images of each class.
        imbalance: n_max over the smallest n, above 1.
    """
    kept = list(counts)
    order = sorted(range(len(counts)), key=lambda index: -counts[index])
    for place, index in enumerate(order):
        share = imbalance ** (-place / (len(counts) - 1)) if len(counts) > 1 else 1.0
        kept[index] = min(counts[index], max(1, round(max(counts) * share)))
    return kept


def class_balanced_weights(labels: Sequence[int]) -> list[float]:
    """Chances to draw each image with, so that all classes are drawn equally often: 1 / (images of its class).

    Class-balanced sampling (Kang et al., arXiv 1910.09217).
    """
    counts = torch.bincount(torch.tensor(labels)).tolist()
    return [1.0 / counts[label] for label in labels]


# One classifier


def balanced_softmax_loss(
    logits: torch.Tensor, labels: torch.Tensor, counts: torch.Tensor, smoothing: float = 0.0
) -> torch.Tensor:
    """Mean of -log(n_y exp z_y / sum_j n_j exp z_j) (Ren et al., arXiv 2007.10740).

    Args:
        logits: (B, K).
        labels: (B,) indices of classes.
        counts: (K,) training images of each class, at least 1.
        smoothing: share of the target that is spread over all classes.
    """
    return cross_entropy(logits + counts.float().log().to(logits), labels, label_smoothing=smoothing)


def logit_adjusted_loss(
    logits: torch.Tensor, labels: torch.Tensor, counts: torch.Tensor, tau: float = 1.0, smoothing: float = 0.0
) -> torch.Tensor:
    """Cross-entropy of z + tau log pi, pi being the shares of the classes (Menon et al., arXiv 2007.07314).

    With tau 1 it is the balanced softmax: log pi and log n differ by a constant, which a softmax does not see.

    Args:
        logits: (B, K).
        labels: (B,) indices of classes.
        counts: (K,) training images of each class, at least 1.
        tau: strength; 0 is cross-entropy.
        smoothing: share of the target that is spread over all classes.
    """
    return cross_entropy(logits + tau * _log_shares(counts).to(logits), labels, label_smoothing=smoothing)


def adjust_logits(logits: torch.Tensor, counts: torch.Tensor, tau: float = 1.0) -> torch.Tensor:
    """Post-hoc adjustment of a classifier that cross-entropy trained: z - tau log pi (arXiv 2007.07314).

    Args:
        logits: (B, K).
        counts: (K,) training images of each class, at least 1.
        tau: strength; 0 leaves the logits as they are.
    """
    return logits - tau * _log_shares(counts).to(logits)


def _log_shares(counts: torch.Tensor) -> torch.Tensor:
    return (counts.float() / counts.sum()).log()


# ResLT: Cui et al., arXiv 2101.10633


def branch_members(groups: Sequence[Group], branches: int = 3) -> torch.Tensor:
    """Which classes each branch of ResLT is specialised in: (R, K), True for those in S_k.

    S_H holds all classes, S_M medium and tail, S_T the tail. With two branches there are S_H and S_T.
    """
    everything = [True] * len(groups)
    not_head, tail = [group != "head" for group in groups], [group == "tail" for group in groups]
    return torch.tensor([everything, tail] if branches == 2 else [everything, not_head, tail])


def reslt_terms(
    logits: torch.Tensor, labels: torch.Tensor, members: torch.Tensor, smoothing: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """The two terms of ResLT's loss (arXiv 2101.10633); each softmax is over all classes.

    L_fusion = mean over i of CE(sum_k z_k,i, y_i)
    L_branch = sum_k sum over {i: y_i in S_k} of CE(z_k,i, y_i) / sum_k |{i: y_i in S_k}|

    No term is detached: the fusion trains all branches on every image alike, and the branch term trains each on its own
    classes. A branch that has no image in the batch adds nothing to either sum.

    Args:
        logits: (R, B, K) of each branch.
        labels: (B,) indices of classes.
        members: (R, K) from `branch_members`.
        smoothing: share of each target that is spread over all classes.

    Returns:
        L_fusion and L_branch.
    """
    fusion = cross_entropy(logits.sum(dim=0), labels, label_smoothing=smoothing)
    inside = members.to(labels.device)[:, labels]
    losses = torch.stack(
        [cross_entropy(branch, labels, reduction="none", label_smoothing=smoothing) for branch in logits]
    )
    return fusion, losses[inside].sum() / inside.sum()


def reslt_loss(
    logits: torch.Tensor, labels: torch.Tensor, members: torch.Tensor, alpha: float, smoothing: float = 0.0
) -> torch.Tensor:
    """(1 - alpha) L_fusion + alpha L_branch (arXiv 2101.10633); arguments as in `reslt_terms`."""
    fusion, branch = reslt_terms(logits, labels, members, smoothing)
    return (1 - alpha) * fusion + alpha * branch
