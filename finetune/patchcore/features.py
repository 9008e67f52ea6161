"""Patches of an image: what some blocks of a frozen backbone see around each place (arXiv 2106.08265, section 3.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional
from torchvision.transforms.functional import normalize

from finetune.backbones.backbone import Backbone
from finetune.backbones.blocks import block_maps, numbered_blocks
from toolkit.errors import ToolkitError

__all__ = ["PatchFeatures", "usual_blocks"]

_STRIDES = (8, 16)  # px of the image between neighbouring values of the maps that are taken by default


class PatchFeatures(nn.Module):
    """Images -> their patches.

    Attributes:
        blocks: names of the submodules whose maps make them.
        side: patches to a side of an image: those of the finest map.
        dims: numbers of a patch.
    """

    def __init__(self, backbone: Backbone, blocks: Sequence[str | int], neighbourhood: int = 3) -> None:
        """Freeze a backbone and share its weights.

        Args:
            backbone: what sees.
            blocks: whose maps are taken, as for `block_maps`; none for the usual ones.
            neighbourhood: side of the square of values that are averaged at each place, odd.

        Raises:
            ToolkitError: there is no such block, or it gives no map.
        """
        super().__init__()
        self.extractor = block_maps(backbone, blocks or usual_blocks(backbone)).requires_grad_(False).eval()
        self.blocks, self.side = self.extractor.blocks, max(self.extractor.sides)
        self.dims = sum(self.extractor.channels)
        self._normalization, self._neighbourhood = backbone.normalization, neighbourhood

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Patches in rows.

        Args:
            images: float32 (B, 3, size, size), RGB in [0, 1].

        Returns:
            float32 (B, side * side, dims).
        """
        own = self._normalization
        found = self.extractor(normalize(images, list(own.mean), list(own.std)))
        grid = (self.side, self.side)
        around = self._neighbourhood
        patches = []
        for one in found:
            mean = functional.avg_pool2d(one, around, 1, around // 2, count_include_pad=False)
            finest = mean.shape[2:] == grid
            patches.append(mean if finest else functional.interpolate(mean, grid, mode="bilinear", align_corners=False))
        return torch.cat(patches, 1).flatten(2).transpose(1, 2).contiguous()


def usual_blocks(backbone: Backbone) -> list[str]:
    """The last block of a backbone with a value for each 8 and 16 pixels, those of them that it has.

    Raises:
        ToolkitError: it has none.
    """
    names = numbered_blocks(backbone)
    maps = block_maps(backbone, names) if names else None
    last: dict[int, str] = {}
    for name, side in zip(names, maps.sides if maps else (), strict=True):
        last[2 ** round(math.log2(backbone.image_size / side))] = name
    kept = [last[stride] for stride in _STRIDES if stride in last]
    if not kept:
        raise ToolkitError(
            f"backbone {backbone.name}",
            "has no numbered blocks",
            "name some with --set blocks=..., or use another backbone",
        )
    return kept
