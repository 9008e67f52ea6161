"""Classification backbones by name, torchvision's and timm's, with a head of our own and weights to begin with."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol

import torch
from timm.models import create_feature_extractor
from torch import nn
from torchvision.models.vision_transformer import VisionTransformer

from finetune.backbones.models import (
    as_map,
    check_size,
    head_name,
    nearest_size,
    new_model,
    probe,
    put_head,
    shared_copy,
    skeleton,
    takes,
)
from finetune.backbones.names import BACKBONES, TIMM
from finetune.backbones.normalization import RENORMALIZED, normalization
from finetune.backbones.weights import fill, find_weights
from finetune.engine.config import Normalization, nearest
from finetune.engine.runs import Run
from toolkit.errors import ToolkitError

__all__ = [
    "Backbone",
    "build_backbone",
    "feature_extractor",
    "feature_map",
    "frozen_parts",
    "hold_batch_statistics",
    "map_layer",
    "untrained_backbone",
]

_PROBED = 224  # px; at this size the last feature map of every backbone is larger than one pixel
_OPENED = {"features", "layers", "blocks", "stages", "trunk_output", "encoder"}  # containers whose members are stages
_POOLS = (nn.AvgPool2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)


@dataclass(frozen=True, eq=False)
class Backbone:
    """A network that tells classes apart.

    Attributes:
        name: of the architecture.
        model: float32 (B, 3, size, size), normalised -> logits (B, classes).
        head: name of its last layer, an `nn.Linear`, for instance "fc".
        features: numbers for each image that the head reads.
        stages: parts before the head from the input on, each as names of submodules or parameters.
        image_size: side of the square images that it was built for, in pixels.
        normalization: what it expects of its images.
        weights_sha256: hash of the weights that it begins with; None if they are random.
        weights_source: package, address or file that they came from; None if they are random.
        weights_licence: that they are given under; None if they are random or their source does not say.
    """

    name: str
    model: nn.Module
    head: str
    features: int
    stages: tuple[tuple[str, ...], ...]
    image_size: int
    normalization: Normalization
    weights_sha256: str | None = None
    weights_source: str | None = None
    weights_licence: str | None = None

    def weights_facts(self) -> dict[str, str | None]:
        """What environment.json says of the weights that it begins with."""
        return {
            "weights_sha256": self.weights_sha256,
            "weights_source": self.weights_source,
            "weights_licence": self.weights_licence,
        }


def build_backbone(name: str, weights: str, classes: int, *, image_size: int = 224) -> Backbone:
    """A backbone with a fresh head. What is random in it comes from torch's generator.

    Args:
        name: one of `BACKBONES`, or "timm:NAME".
        weights: "default" are its published ones, which come packaged or are fetched once; "none" are random; else a
            `.safetensors`, `.pt`, `.pth` or `.ckpt` file of this architecture, whose head is left out unless it has as
            many classes.
        classes: number of classes.
        image_size: side of the square images, in pixels.

    Raises:
        ToolkitError: no such backbone, it does not take this size, or the weights cannot be had or do not fit.
    """
    if name not in BACKBONES and not name.startswith(TIMM):
        raise ToolkitError(f"backbone {name}", "there is no such backbone", nearest(name, BACKBONES))
    check_size(name, image_size)
    given = find_weights(name, weights)
    model = new_model(name, image_size, given=given is not None)
    head = head_name(model)
    old = model.get_submodule(head)
    if not isinstance(old, nn.Linear):
        raise TypeError(f"{name}.{head} is no Linear")
    put_head(model, head, nn.Linear(old.in_features, classes))
    built = Backbone(name, model, head, old.in_features, _stages(model, head), image_size, normalization(name, weights))
    if given is None:
        return built
    fill(name, model, head, given, image_size)
    return replace(built, weights_sha256=given.sha256, weights_source=given.source, weights_licence=given.licence)


class Restored(Protocol):
    """Settings of a run that say what backbone it has."""

    @property
    def backbone(self) -> str:
        """Its name."""

    @property
    def weights(self) -> str:
        """What it began with."""

    @property
    def image_size(self) -> int:
        """Side of the square images, in pixels."""


def untrained_backbone(run: Run, config: Restored, classes: int) -> Backbone:
    """The backbone of a run, whose trained weights are yet to be filled in.

    Args:
        run: what it is of.
        config: the run's settings.
        classes: number of classes.

    Raises:
        ToolkitError: as `build_backbone`; or the run is older than the normalisation that the backbone expects.
    """
    if config.backbone in RENORMALIZED and config.weights != "none" and "weights_source" not in run.environment():
        problem = f"was trained by a version that normalised the images of {config.backbone} otherwise"
        raise ToolkitError(run.root, problem, "train again")
    built = build_backbone(config.backbone, "none", classes, image_size=config.image_size)
    return replace(built, normalization=normalization(config.backbone, config.weights))


def feature_extractor(backbone: Backbone) -> nn.Module:
    """The backbone without its head: (B, 3, size, size) -> (B, features). It shares the backbone's weights."""
    copied: nn.Module = shared_copy(backbone.model)
    put_head(copied, backbone.head, nn.Identity())
    return copied


def feature_map(backbone: Backbone) -> tuple[nn.Module, int]:
    """The backbone up to its last map, before pooling: (B, 3, size, size) -> (B, C, h, w); and C.

    It shares the backbone's weights. A vision transformer's tokens are its map.
    """
    if isinstance(backbone.model, VisionTransformer):
        return _TokenMap(backbone.model), int(backbone.model.hidden_dim)
    if hasattr(backbone.model, "forward_features"):  # timm's
        return _FeatureMap(backbone.model), _width(backbone.model)
    layer, channels = map_layer(backbone.name)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"torchvision\.models\.feature_extraction")
        extractor = create_feature_extractor(backbone.model, {layer: "map"})
    return _OneOutput(extractor), channels


@cache
def map_layer(name: str) -> tuple[str, int]:
    """The submodule whose output is the last map before pooling, and the number of its channels.

    Of timm's vision transformers it is the last layer whose tokens all have a part in the output.
    """
    size = _PROBED if takes(name, _PROBED) else nearest_size(name, _PROBED)
    model = skeleton(name, size)
    if isinstance(model, VisionTransformer):
        return "encoder.ln", int(model.hidden_dim)
    if hasattr(model, "blocks") and hasattr(model, "patch_embed"):
        return f"blocks.{len(model.blocks) - 1}.norm1", _width(model)
    head, found = head_name(model), [("", 0)]
    over: list[bool] = []

    def remember(path: str) -> Callable[..., None]:
        def hook(module: nn.Module, given: object, output: object) -> None:
            if isinstance(output, torch.Tensor) and output.dim() == 4 and not over:
                shape = as_map(model, output).shape
                if min(shape[2:]) > 1:
                    found.append((path, shape[1]))

        return hook

    model.get_submodule(head).register_forward_pre_hook(lambda *_: over.append(True))
    for path, module in model.named_modules():
        if path and not isinstance(module, _POOLS) and path.partition(".")[0] != head.partition(".")[0]:
            module.register_forward_hook(remember(path))
    probe(model, size)
    return found[-1]


def frozen_parts(backbone: Backbone, stages: int) -> list[nn.Module]:
    """Freeze the first stages: their weights get no gradient.

    Returns:
        The modules in them; keep them in evaluation mode, so that their batch statistics stay as they are.

    Raises:
        ToolkitError: there are not so many.
    """
    if stages > len(backbone.stages):
        raise ToolkitError(
            f"freeze {stages}",
            f"{backbone.name} has {len(backbone.stages)} stages",
            f"use --set freeze={len(backbone.stages)} to train the head alone",
        )
    modules = []
    for name in (name for stage in backbone.stages[:stages] for name in stage):
        part = _member(backbone.model, name)
        if isinstance(part, nn.Module):
            modules.append(part)
            part.requires_grad_(False)
        else:
            part.requires_grad = False
    return modules


def _width(model: Any) -> int:
    return int(model.num_features)


class _OneOutput(nn.Module):
    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.extractor = extractor

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.extractor(images)["map"]
        return found


class _TokenMap(nn.Module):
    """(B, 3, size, size) -> (B, C, h, w): what a vision transformer knows of each patch."""

    def __init__(self, model: VisionTransformer) -> None:
        super().__init__()
        self.model = shared_copy(model)
        self.model.heads = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.model._process_input(images)
        tokens = torch.cat([self.model.class_token.expand(len(images), -1, -1), tokens], dim=1)
        return as_map(self.model, self.model.encoder(tokens))


class _FeatureMap(nn.Module):
    """(B, 3, size, size) -> (B, C, h, w): what a model of timm makes of images before it pools."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = shared_copy(model)
        put_head(self.model, head_name(model), nn.Identity())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return as_map(self.model, self.model.forward_features(images))


def _stages(model: nn.Module, head: str) -> tuple[tuple[str, ...], ...]:
    """Parts from the input to the head. A block is a stage; plain layers make one up to the next pooling or block."""
    stages: list[list[str]] = []
    waiting: list[str] = []
    for name, part in _parts(model, "", head.partition(".")[0]):
        if isinstance(part, nn.Module) and next(part.parameters(), None) is None:
            if isinstance(part, _POOLS) and waiting:
                stages, waiting = [*stages, waiting], []
        elif isinstance(part, nn.Module) and next(part.children(), None) is not None:
            stages, waiting = [*stages, [*waiting, name]], []
        else:
            waiting.append(name)
    if waiting and stages:
        stages[-1] += waiting  # a last norm belongs to the stage that it ends
    return tuple(tuple(stage) for stage in stages)


def _parts(model: nn.Module, prefix: str, last: str) -> Iterator[tuple[str, nn.Module | nn.Parameter]]:
    """Parameters and modules of the model in order, containers of stages opened, what belongs to the head left out."""
    for name, parameter in model.named_parameters(recurse=False):
        yield prefix + name, parameter
    for name, module in model.named_children():
        if not prefix and name == last:
            continue
        if name in _OPENED:
            yield from _parts(module, f"{prefix}{name}.", last)
        else:
            yield prefix + name, module


def _member(model: nn.Module, name: str) -> nn.Module | nn.Parameter:
    parent, _, last = name.rpartition(".")
    found: nn.Module | nn.Parameter = getattr(model.get_submodule(parent), last)
    return found


def hold_batch_statistics(module: nn.Module) -> None:
    """Let batch normalisation use the statistics that it has, until the module is set to training again.

    A batch of one image has no variance to normalise by.
    """
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.eval()
