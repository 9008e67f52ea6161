"""Maps behind blocks of a backbone."""

from __future__ import annotations

import pytest
import torch

from finetune.backbones.backbone import Backbone, build_backbone
from finetune.backbones.blocks import block_maps
from toolkit.errors import ToolkitError


@pytest.fixture(scope="module")
def lite() -> Backbone:
    return build_backbone("efficientnet_lite0", "none", 2, image_size=64)


def test_blocks_of_the_packaged_backbone_by_number_and_name(lite):
    maps = block_maps(lite, [1, "blocks.2", 4])
    assert maps.blocks == ("blocks.1", "blocks.2", "blocks.4")
    assert (maps.channels, maps.sides) == ((24, 40, 112), (16, 8, 4))
    images = torch.rand(2, 3, 64, 64)
    seen: list[torch.Tensor] = []
    hook = lite.model.get_submodule("blocks.2").register_forward_hook(lambda *a: seen.append(a[2]))
    with torch.no_grad():
        lite.model.eval()(images)
        hook.remove()
        found = maps(images)
    assert [one.shape for one in found] == [(2, 24, 16, 16), (2, 40, 8, 8), (2, 112, 4, 4)]
    assert torch.equal(found[1], seen[0])


def test_what_lies_behind_the_last_block_is_not_computed(lite):
    maps = block_maps(lite, [1])
    assert not any("conv_head" in name or "blocks.5" in name for name, _ in maps.named_modules())
    assert {id(one) for one in maps.parameters()} <= {id(one) for one in lite.model.parameters()}


@pytest.mark.parametrize(
    ("name", "block", "found"),
    [
        ("resnet18", 2, ("layer2", 128, 8)),
        ("swin_t", 1, ("features.1", 96, 16)),
    ],
)
def test_numbers_are_those_of_the_architecture(name, block, found):
    maps = block_maps(build_backbone(name, "none", 2, image_size=64), [block])
    assert (*maps.blocks, *maps.channels, *maps.sides) == found


@pytest.mark.parametrize(
    ("blocks", "told"),
    [
        ([9], r"block 9: efficientnet_lite0 has no such block; use some of blocks\.0, .*blocks\.6"),
        (["layer2"], r"block layer2: efficientnet_lite0 has no such block"),
        ([2, "blocks.2"], "each block is named once"),
        ([], "at least one"),
        (["classifier"], "block classifier: gives no map in efficientnet_lite0"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(blocks, told, lite):
    with pytest.raises(ToolkitError, match=told):
        block_maps(lite, blocks)
