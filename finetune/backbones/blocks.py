"""What a frozen backbone sees on its way: the maps behind some of its blocks."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

import torch
from timm.models import create_feature_extractor
from torch import nn

from finetune.backbones.backbone import Backbone
from finetune.backbones.models import as_map
from toolkit.errors import ToolkitError

__all__ = ["BlockMaps", "block_maps", "numbered_blocks"]

# Where the blocks of an architecture are; the first place that a backbone has is taken.
_PLACES = (
    "blocks.{}",
    "layer{}",
    "stage{}",
    "stages.{}",
    "stages_{}",
    "layers.{}",
    "layers_{}",
    "features.denseblock{}",
    "features.{}",
    "trunk_output.block{}",
    "s{}",
    "encoder.layers.encoder_layer_{}",
)


class BlockMaps(nn.Module):
    """Images -> the maps behind some blocks, in the order in which they were named.

    Attributes:
        blocks: names of the submodules.
        channels: of each map.
        sides: height (and width) of each map, for images of the size that the backbone was built for.
    """

    def __init__(self, backbone: Backbone, blocks: Sequence[str]) -> None:
        """Share the backbone's weights; what comes after the last block is not computed.

        Raises:
            ToolkitError: what is behind a block is no map.
        """
        super().__init__()
        self.blocks, self._model = tuple(blocks), (backbone.model,)  # in a tuple it is no submodule
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"torchvision\.models\.feature_extraction")
            self.extractor = create_feature_extractor(
                backbone.model, {name: str(place) for place, name in enumerate(self.blocks)}
            )
        for module in self.extractor.modules():
            if hasattr(module, "inplace"):
                module.inplace = False  # else the layer behind a block writes into the block's map
        self.eval()
        images = torch.zeros(1, 3, backbone.image_size, backbone.image_size)
        with torch.no_grad():
            given = self.extractor(images.to(next(backbone.model.parameters()).device))
        for place, name in enumerate(self.blocks):
            found = given[str(place)]
            if not isinstance(found, torch.Tensor) or found.dim() not in (3, 4):
                raise ToolkitError(f"block {name}", f"gives no map in {backbone.name}", "use another block")
        maps = [as_map(backbone.model, given[str(place)]) for place in range(len(self.blocks))]
        self.channels = tuple(int(found.shape[1]) for found in maps)
        self.sides = tuple(int(found.shape[2]) for found in maps)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """float32 (B, 3, size, size), normalised -> float32 (B, channels, h, w) for each block."""
        found = self.extractor(images)
        return [as_map(self._model[0], found[str(place)]) for place in range(len(self.blocks))]


def block_maps(backbone: Backbone, blocks: Sequence[str | int]) -> BlockMaps:
    """What gives the maps behind some blocks of a backbone, in evaluation mode.

    Args:
        backbone: whose weights it shares, and which it leaves in evaluation mode.
        blocks: submodules by name, such as "layer2" or "features.4", or by the number that they have in their
            architecture: 2 is "layer2" of a ResNet and "blocks.2" of an EfficientNet of timm.

    Raises:
        ToolkitError: there is no such block, one is named twice, or what is behind it is no map.
    """
    names = [_block_name(backbone, str(block)) for block in blocks]
    if not names or len(set(names)) < len(names):
        raise ToolkitError(f"blocks {','.join(map(str, blocks))}", "each block is named once, at least one", "")
    return BlockMaps(backbone, names)


def numbered_blocks(backbone: Backbone) -> list[str]:
    """Names of the blocks that have a number in the architecture of a backbone, in order; none where none have."""
    return list(_numbered({path for path, _ in backbone.model.named_modules()} - {""}).values())


def _block_name(backbone: Backbone, block: str) -> str:
    known = {path for path, _ in backbone.model.named_modules()} - {""}
    numbered = _numbered(known)
    found = numbered.get(int(block), block) if block.isdecimal() else block
    if found not in known:
        own = ", ".join(numbered.values() or sorted(path for path in known if "." not in path))
        raise ToolkitError(f"block {block}", f"{backbone.name} has no such block", f"use some of {own}")
    return found


def _numbered(known: set[str]) -> dict[int, str]:
    """Number -> name of the blocks, in order."""
    for place in _PLACES:
        pattern = re.compile(re.escape(place).replace(r"\{\}", r"(\d+)"))
        found = {int(match[1]): path for path in known if (match := pattern.fullmatch(path))}
        if found:
            return dict(sorted(found.items()))
    return {}
