"""Backbones by name: their heads, maps, stages and weights, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models

from finetune.backbones.backbone import (
    build_backbone,
    feature_extractor,
    feature_map,
    frozen_parts,
    map_layer,
)
from finetune.backbones.names import BACKBONES, PACKAGED
from finetune.engine.checkpoints import load_weights
from toolkit.errors import ToolkitError

SMALL = "squeezenet1_1"


class Evil:
    """Unpickling it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.mark.parametrize(
    ("name", "features", "channels"),
    [
        ("resnet18", 512, 512),
        ("squeezenet1_1", 512, 512),
        ("shufflenet_v2_x0_5", 1024, 1024),
        ("mobilenet_v3_small", 1024, 576),
        ("efficientnet_b0", 1280, 1280),
        ("densenet121", 1024, 1024),
        ("regnet_y_400mf", 440, 440),
        ("swin_t", 768, 768),
        ("vit_b_32", 768, 768),
        ("efficientnet_lite0", 1280, 1280),
    ],
)
def test_each_family_gets_a_head_of_its_own(name, features, channels):
    backbone = build_backbone(name, "none", 3, image_size=64)
    images = torch.rand(2, 3, 64, 64)
    backbone.model.eval()
    pooled = feature_extractor(backbone)(images)
    mapped, found = feature_map(backbone)
    head = backbone.model.get_submodule(backbone.head)
    with torch.no_grad():
        assert pooled.shape == (2, features)
        torch.testing.assert_close(head(pooled), backbone.model(images))
        side = 3 if name == "squeezenet1_1" else 2
        assert mapped.eval()(images).shape == (2, channels, side, side)
    assert found == channels
    assert head.out_features == 3
    assert {id(one) for one in mapped.parameters()} <= {id(one) for one in backbone.model.parameters()}


@pytest.mark.parametrize(
    ("name", "layer"),
    [("vgg19", "features"), ("convnext_tiny", "features"), ("resnet50", "layer4"), ("googlenet", "inception5b")],
)
def test_the_last_map_lies_before_the_pooling(name, layer):
    assert map_layer(name)[0] == layer


def test_the_features_train_the_backbone_itself():
    backbone = build_backbone(SMALL, "none", 3, image_size=64)
    feature_extractor(backbone)(torch.rand(1, 3, 64, 64)).sum().backward()
    assert next(backbone.model.parameters()).grad is not None


def test_a_backbone_whose_layers_have_versions_comes_back_from_its_checkpoint(tmp_path):
    before, after = (build_backbone("mnasnet0_5", "none", 2, image_size=64).model for _ in range(2))
    torch.save({"state_dict": before.state_dict()}, tmp_path / "last.ckpt")
    load_weights(after, tmp_path / "last.ckpt")
    assert all(torch.equal(value, after.state_dict()[name]) for name, value in before.state_dict().items())


def test_every_backbone_of_torchvision_is_known():
    assert list(BACKBONES) == sorted([PACKAGED, *models.list_models(module=models)])


@pytest.mark.parametrize(("name", "like"), [("resnet19", "resnet18"), ("vgg-19", "vgg19"), ("ViT_b_16", "vit_b_16")])
def test_an_unknown_name_lists_the_nearest(name, like):
    with pytest.raises(ToolkitError, match=rf"there is no such backbone; did you mean .*{like}"):
        build_backbone(name, "none", 3)


@pytest.mark.parametrize(
    ("name", "size", "instead"),
    [("vit_b_16", 100, 96), ("inception_v3", 32, 96), ("maxvit_t", 128, 224), ("vgg11", 16, 32)],
)
def test_a_size_that_does_not_fit_is_refused(name, size, instead):
    with pytest.raises(ToolkitError, match=rf"{name} cannot take images of this size; use image_size={instead}$"):
        build_backbone(name, "none", 3, image_size=size)


@pytest.fixture(scope="module")
def published() -> nn.Module:
    """As torchvision would have it, but with random weights."""
    torch.manual_seed(7)
    return models.get_model(SMALL, weights=None)


class TestWeights:
    """In files, in torchvision's cache, and nowhere."""

    @pytest.fixture
    def cache(self, tmp_path, monkeypatch) -> Path:
        monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
        place = tmp_path / "checkpoints" / Path(models.get_model_weights(SMALL).DEFAULT.url).name
        place.parent.mkdir()
        return place

    def test_a_file_fills_all_but_the_head(self, published, tmp_path):
        torch.save(published.state_dict(), tmp_path / "published.pth")
        backbone = build_backbone(SMALL, str(tmp_path / "published.pth"), 3, image_size=64)
        images = torch.rand(2, 3, 64, 64)
        assert torch.equal(backbone.model.features(images), published.features(images))
        assert len(backbone.weights_sha256 or "") == 64

    def test_a_head_of_as_many_classes_is_kept(self, tmp_path):
        first = build_backbone(SMALL, "none", 3, image_size=64)
        torch.save({"state_dict": {f"model.{k}": v for k, v in first.model.state_dict().items()}}, tmp_path / "a.ckpt")
        again = build_backbone(SMALL, str(tmp_path / "a.ckpt"), 3, image_size=64)
        images = torch.rand(2, 3, 64, 64)
        assert torch.equal(again.model.eval()(images), first.model.eval()(images))
        other = build_backbone(SMALL, str(tmp_path / "a.ckpt"), 4, image_size=64)
        assert other.model(images).shape == (2, 4)

    def test_squeezenets_head_gives_what_torchvisions_gives(self, published, tmp_path):
        torch.save(published.state_dict(), tmp_path / "published.pth")
        ours = build_backbone(SMALL, str(tmp_path / "published.pth"), 1000, image_size=64).model.eval()
        images = torch.rand(2, 3, 64, 64)
        mapped = published.eval().classifier[1](published.features(images)).mean(dim=(2, 3))
        torch.testing.assert_close(ours(images), mapped)

    def test_densenets_old_names_are_understood(self, tmp_path):
        state = models.densenet121(weights=None).state_dict()
        old = {key.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): value for key, value in state.items()}
        assert old.keys() != state.keys()
        torch.save(old, tmp_path / "old.pth")
        backbone = build_backbone("densenet121", str(tmp_path / "old.pth"), 3, image_size=64)
        key = "features.denseblock1.denselayer1.norm1.weight"
        assert torch.equal(backbone.model.state_dict()[key], state[key])

    def test_torchvisions_own_come_from_its_cache(self, published, cache):
        torch.save(published.state_dict(), cache)
        backbone = build_backbone(SMALL, "default", 3, image_size=64)
        assert torch.equal(backbone.model.features[0].weight, published.features[0].weight)
        assert backbone.weights_sha256

    @pytest.mark.filterwarnings("ignore::ResourceWarning")
    def test_without_a_network_the_error_says_what_to_do(self, cache, monkeypatch):
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
        with pytest.raises(
            ToolkitError, match=r'weights of squeezenet1_1: cannot be fetched from https://.*weights="none"'
        ):
            build_backbone(SMALL, "default", 3, image_size=64)

    @pytest.mark.parametrize("place", ["file", "cache"])
    def test_a_file_made_to_run_code_is_refused(self, place, cache, tmp_path):
        mark = tmp_path / "mark"
        file = cache if place == "cache" else tmp_path / "evil.pth"
        torch.save({"features.0.weight": Evil(mark)}, file)
        with pytest.raises(ToolkitError):
            build_backbone(SMALL, "default" if place == "cache" else str(file), 3, image_size=64)
        assert not mark.exists()
        torch.load(file, weights_only=False)  # the file is what it says
        assert mark.exists()

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ({"features.0.weight": torch.zeros(1)}, r"does not fit squeezenet1_1: it lacks .* and \d+ more"),
            ({"a": 1}, "holds no weights"),
            ([1], "holds no weights"),
            (b"nothing", "is no file of weights alone"),
            (None, "cannot be read"),
        ],
    )
    def test_what_is_no_file_of_these_weights_is_refused(self, content, told, tmp_path):
        file = tmp_path / "w.pth"
        if isinstance(content, bytes):
            file.write_bytes(content)
        elif content is not None:
            torch.save(content, file)
        with pytest.raises(ToolkitError, match=told):
            build_backbone(SMALL, str(file), 3, image_size=64)

    def test_a_word_that_is_no_file_is_refused(self):
        with pytest.raises(ToolkitError, match="weights imagenet: there is no such file of weights; use default, none"):
            build_backbone(SMALL, "imagenet", 3)


class TestFreezing:
    """Stage by stage from the input on."""

    @pytest.mark.parametrize(
        ("name", "stages", "first", "last"),
        [
            ("resnet18", 5, ("conv1", "bn1"), ("layer4",)),
            ("squeezenet1_1", 9, ("features.0",), ("features.12",)),
            ("densenet121", 8, ("features.conv0", "features.norm0"), ("features.denseblock4", "features.norm5")),
            ("regnet_y_400mf", 5, ("stem",), ("trunk_output.block4",)),
        ],
    )
    def test_stages_run_from_the_input_to_the_head(self, name, stages, first, last):
        backbone = build_backbone(name, "none", 3, image_size=64)
        assert len(backbone.stages) == stages
        assert (backbone.stages[0], backbone.stages[-1]) == (first, last)

    def test_frozen_stages_get_no_gradient(self):
        backbone = build_backbone("resnet18", "none", 3, image_size=64)
        parts = frozen_parts(backbone, 2)
        frozen = {name.partition(".")[0] for name, one in backbone.model.named_parameters() if not one.requires_grad}
        assert frozen == {"conv1", "bn1", "layer1"}
        assert any(isinstance(part, nn.BatchNorm2d) for part in parts)

    def test_all_stages_leave_the_head(self):
        backbone = build_backbone("vit_b_32", "none", 3, image_size=64)
        frozen_parts(backbone, len(backbone.stages))
        trained = [name for name, one in backbone.model.named_parameters() if one.requires_grad]
        assert trained == ["heads.head.weight", "heads.head.bias"]

    def test_more_stages_than_there_are_is_an_error(self):
        backbone = build_backbone("resnet18", "none", 3, image_size=64)
        with pytest.raises(ToolkitError, match="resnet18 has 5 stages; use freeze=5"):
            frozen_parts(backbone, 6)
