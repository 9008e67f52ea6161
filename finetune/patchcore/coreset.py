"""A few patches that stand for many: the greedy k-centre choice of PatchCore (arXiv 2106.08265, algorithm 1)."""

from __future__ import annotations

import torch

__all__ = ["choose_coreset"]


@torch.no_grad()
def choose_coreset(patches: torch.Tensor, size: int, *, seed: int = 0, dims: int = 64) -> torch.Tensor:
    """The patches that cover all: each is the one that lies farthest from those chosen before it.

    Distances are taken in a random projection, which keeps them up to a small error (Johnson and Lindenstrauss).

    Args:
        patches: float32 (N, D), on any device.
        size: how many to choose, at most N.
        seed: of the first one and of the projection.
        dims: of the projection; none is made where D is not more.

    Returns:
        int64 (min(size, N),), places in `patches` in the order of the choice, on its device; where all are taken, in
        their own order.
    """
    if size >= len(patches):
        return torch.arange(len(patches), device=patches.device)
    draw = torch.Generator().manual_seed(seed)
    first = int(torch.randint(len(patches), (), generator=draw))
    patches = patches - patches.mean(0)  # products of what lies far from 0 would drown the differences
    if patches.shape[1] > dims:
        projection = torch.randn(patches.shape[1], dims, generator=draw) / dims**0.5
        patches = patches @ projection.to(patches)
    squares = patches.square().sum(1)
    nearest = torch.full_like(squares, torch.inf)
    chosen = torch.empty(size, dtype=torch.int64, device=patches.device)
    place = torch.tensor(first, device=patches.device)
    for number in range(size):
        chosen[number] = place
        # |x - c|^2, less |c|^2 until after the product: one pass over the patches for each choice.
        apart = torch.addmv(squares, patches, patches[place], alpha=-2.0).add_(squares[place])
        apart[place] = 0.0  # exactly, so that none is chosen twice while others are apart
        torch.minimum(nearest, apart, out=nearest)
        place = nearest.argmax()
    return chosen
