"""The memory bank: patches of good images, and how far a patch lies from the nearest of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

__all__ = ["MemoryBank"]

# Distances that are held at once: 8 MB of a processor, 256 MB of a GPU.
_IN_CACHE, _ON_CARD = 1 << 21, 1 << 26
_tracing: Callable[[], bool] = torch.jit.is_tracing  # type: ignore[attr-defined]


class MemoryBank(nn.Module):
    """Patches that are remembered, each with the image that it is of.

    Attributes:
        patches: float32 (M, D).
        origin: int32 (M,), number of the train image of each.
        around: int64 (M, b), the b patches nearest to each, itself first; b is 0 where distances are not weighted.
    """

    patches: torch.Tensor
    origin: torch.Tensor
    around: torch.Tensor
    centre: torch.Tensor

    def __init__(self, patches: torch.Tensor, origin: torch.Tensor, neighbours: int) -> None:
        """Remember patches.

        Args:
            patches: float32 (M, D).
            origin: int32 (M,).
            neighbours: b of the weight of a distance; 0 or 1 weighs none.
        """
        super().__init__()
        self.register_buffer("patches", patches)
        self.register_buffer("origin", origin)
        # Products of what lies far from 0 would drown the differences.
        self.register_buffer("centre", patches.mean(0), persistent=False)
        self.register_buffer("around", self._near_each(neighbours), persistent=False)

    def __len__(self) -> int:
        return len(self.patches)

    @torch.no_grad()
    def forward(self, patches: torch.Tensor, without: int | None = None) -> torch.Tensor:
        """Anomaly scores of patches: their distance from the nearest one remembered, weighted.

        s = (1 - exp|p - m| / sum over the b nearest n of m exp|p - n|) |p - m|, with m the nearest one (arXiv
        2106.08265, equation 7, for each patch and not for the highest alone, so that the score of an image stays the
        highest of its map).

        Args:
            patches: float32 (N, D).
            without: number of a train image whose own patches are not looked at, as if it had not been remembered;
                where nothing else is remembered, they are.

        Returns:
            float32 (N,), 0 or more.
        """
        known = self.patches - self.centre
        lengths = known.square().sum(1)
        if without is not None and not (own := self.origin == without).all():
            lengths = lengths.masked_fill(own, torch.inf)
        if _tracing() or torch.compiler.is_exporting():
            return self._scores(patches, known, lengths)  # a graph takes any number of them
        return torch.cat([self._scores(part, known, lengths) for part in patches.split(self._rows())])

    def _scores(self, patches: torch.Tensor, known: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        # |p - m|^2 less |p|^2, which is the same for all m.
        patches = patches - self.centre
        apart = torch.addmm(lengths, patches, known.T, alpha=-2.0)
        nearest = apart.argmin(1)
        # By differences: the sum above loses what is small beside the lengths, and 0 would not be 0.
        found = (patches - known[nearest]).square().sum(1).sqrt()
        if not self.around.shape[1]:
            return found
        squares = apart.gather(1, self.around[nearest]) + patches.square().sum(1, keepdim=True)
        distances = squares.clamp_min(0.0).sqrt().masked_fill(squares.isinf(), -torch.inf)  # what is left out is none
        return found * (1.0 - distances.softmax(1)[:, 0])

    def _near_each(self, number: int) -> torch.Tensor:
        kept = min(number, len(self)) if number > 1 else 0
        found = [torch.zeros(0, kept, dtype=torch.int64, device=self.patches.device)]
        if not kept:
            return found[0].new_zeros(len(self), 0)
        known, step = self.patches - self.centre, self._rows()
        lengths = known.square().sum(1)
        for first in range(0, len(self), step):
            part = known[first : first + step]
            apart = torch.addmm(lengths, part, known.T, alpha=-2.0)
            rows = torch.arange(len(part), device=part.device)
            apart[rows, first + rows] = -torch.inf  # itself, whatever the rounding
            found.append(apart.topk(kept, largest=False).indices)
        return torch.cat(found)

    def _rows(self) -> int:
        """Patches that are compared with the bank at once."""
        most = _IN_CACHE if self.patches.device.type == "cpu" else _ON_CARD
        return min(8192, max(16, most // max(1, len(self))))
