"""Every classification backbone of torchvision by its name, with a head of our own and weights to begin with."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

from finetune.classification.names import BACKBONES
from finetune.engine.checkpoints import read_tensors
from finetune.engine.config import nearest
from finetune.engine.runs import file_sha256
from toolkit.errors import ToolkitError

__all__ = [
    "Backbone",
    "build_backbone",
    "feature_extractor",
    "feature_map",
    "frozen_parts",
    "hold_batch_statistics",
    "map_layer",
    "tokens_to_map",
]

_CLASSES = 1000  # of ImageNet, and so of every model before its head is replaced
_PROBED = 224  # px; at this size the last feature map of every backbone is larger than one pixel
_SIZES = (32, 64, 96, 112, 128, 160, 192, 224, 256, 288, 320, 384, 448, 512)
_OPENED = {"features", "layers", "blocks", "trunk_output", "encoder"}  # containers whose members are stages
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\b)")
_POOLS = (nn.AvgPool2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)


@dataclass(frozen=True, eq=False)
class Backbone:
    """A network that tells classes apart.

    Attributes:
        name: of the architecture.
        model: float32 (B, 3, size, size) -> logits (B, classes).
        head: name of its last layer, an `nn.Linear`, for instance "fc".
        features: numbers for each image that the head reads.
        stages: parts before the head from the input on, each as names of submodules or parameters.
        weights_sha256: hash of the weights that it begins with; None if they are random.
    """

    name: str
    model: nn.Module
    head: str
    features: int
    stages: tuple[tuple[str, ...], ...]
    weights_sha256: str | None


def build_backbone(name: str, weights: str, classes: int, *, image_size: int = 224) -> Backbone:
    """A backbone with a fresh head. What is random in it comes from torch's generator.

    Args:
        name: one of `BACKBONES`.
        weights: "default" are torchvision's own, which it fetches once; "none" are random; else a `.pt` or `.pth` file
            of this architecture, whose head is left out unless it has as many classes.
        classes: number of classes.
        image_size: side of the square images, in pixels.

    Raises:
        ToolkitError: no such backbone, it does not take this size, or the weights cannot be had or do not fit.
    """
    if name not in BACKBONES:
        raise ToolkitError(f"backbone {name}", "torchvision has no such backbone", nearest(name, BACKBONES))
    _check_size(name, image_size)
    if weights == "default":
        state, digest = _fetched(name)
    elif weights == "none":
        state, digest = None, None
    else:
        state, digest = _read_weights(Path(weights)), file_sha256(Path(weights))
    model = _new_model(name, image_size, given=state is not None)
    head = _head_name(model)
    old = model.get_submodule(head)
    if not isinstance(old, nn.Linear):
        raise TypeError(f"{name}.{head} is no Linear")
    _put_head(model, head, nn.Linear(old.in_features, classes))
    if state is not None:
        _load(name, model, head, state, weights, image_size)
    return Backbone(name, model, head, old.in_features, _stages(model, head), digest)


def feature_extractor(backbone: Backbone) -> nn.Module:
    """The backbone without its head: (B, 3, size, size) -> (B, features). It shares the backbone's weights."""
    copied: nn.Module = _shared_copy(backbone.model)
    _put_head(copied, backbone.head, nn.Identity())
    return copied


def feature_map(backbone: Backbone) -> tuple[nn.Module, int]:
    """The backbone up to its last map, before pooling: (B, 3, size, size) -> (B, C, h, w); and C.

    It shares the backbone's weights. A vision transformer's tokens are its map.
    """
    layer, channels = map_layer(backbone.name)
    if isinstance(backbone.model, VisionTransformer):
        return _TokenMap(backbone.model), channels
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"torchvision\.models\.feature_extraction")
        extractor = create_feature_extractor(backbone.model, {layer: "map"})
    return _OneOutput(extractor), channels


@cache
def map_layer(name: str) -> tuple[str, int]:
    """The submodule whose output is the last map before pooling, and the number of its channels."""
    model = _skeleton(name, _PROBED)
    if isinstance(model, VisionTransformer):
        return "encoder.ln", int(model.hidden_dim)
    head, found = _head_name(model), [("", 0)]
    over: list[bool] = []

    def remember(path: str) -> Callable[..., None]:
        def hook(module: nn.Module, given: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor) and output.dim() == 4 and min(output.shape[2:]) > 1 and not over:
                found.append((path, output.shape[1]))

        return hook

    model.get_submodule(head).register_forward_pre_hook(lambda *_: over.append(True))
    for path, module in model.named_modules():
        if path and not isinstance(module, _POOLS) and path.partition(".")[0] != head.partition(".")[0]:
            module.register_forward_hook(remember(path))
    _probe(model, _PROBED)
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
        self.model = _shared_copy(model)
        self.model.heads = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.model._process_input(images)
        tokens = torch.cat([self.model.class_token.expand(len(images), -1, -1), tokens], dim=1)
        return tokens_to_map(self.model.encoder(tokens))


def tokens_to_map(tokens: torch.Tensor) -> torch.Tensor:
    """A vision transformer's tokens (B, 1 + side * side, C), less the class token, as a map (B, C, side, side)."""
    side = round((tokens.shape[1] - 1) ** 0.5)
    return tokens[:, 1:].transpose(1, 2).reshape(len(tokens), -1, side, side)


def _new_model(name: str, image_size: int, *, given: bool = False) -> Any:
    """A model with random weights, as it has to be for `given` ones to be filled in."""
    options: dict[str, Any] = {}
    if name.startswith("vit_"):
        options["image_size"] = image_size
    elif name.startswith("maxvit"):
        options["input_size"] = (image_size, image_size)
    elif name in ("googlenet", "inception_v3"):
        # Their weights expect another normalisation, to which they convert.
        options |= {"aux_logits": False, "init_weights": not given, "transform_input": given}
    model = models.get_model(name, weights=None, **options)
    if name.startswith("squeezenet"):
        # The same sum in another order, so that here too a linear layer comes last.
        last = [nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(512, _CLASSES)]
        model.classifier = nn.Sequential(*last)
    return model


def _skeleton(name: str, image_size: int) -> Any:
    """A model without memory for its weights."""
    try:
        with torch.device("meta"):
            return _new_model(name, image_size).eval()
    except NotImplementedError:  # the constructor of RegNets computes with tensors
        return _new_model(name, image_size).eval().to("meta")


def _probe(model: nn.Module, image_size: int) -> None:
    with torch.no_grad():
        model(torch.empty(1, 3, image_size, image_size, device="meta"))


@cache
def _takes(name: str, image_size: int) -> bool:
    """Whether a backbone takes images of a size: tried, at no cost, on a model without weights."""
    try:
        _probe(_skeleton(name, image_size), image_size)
    except (RuntimeError, ValueError, AssertionError, ZeroDivisionError):
        return False
    return True


def _check_size(name: str, image_size: int) -> None:
    if not _takes(name, image_size):
        taken = [size for size in _SIZES if _takes(name, size)]
        best = min(taken, key=lambda size: abs(size - image_size), default=0)
        remedy = f"use --set image_size={best}" if best else "use another backbone"
        raise ToolkitError(f"image_size {image_size}", f"{name} cannot take images of this size", remedy)


def _head_name(model: Any) -> str:
    linear: list[str] = [path for path, module in model.named_modules() if isinstance(module, nn.Linear)]
    return linear[-1]


def _put_head(model: nn.Module, head: str, layer: nn.Module) -> None:
    parent, _, name = head.rpartition(".")
    setattr(model.get_submodule(parent), name, layer)


def _shared_copy(module: Any) -> Any:
    """A module whose structure can be changed, with the very parameters and buffers of the first."""
    memo = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    return copy.deepcopy(module, memo)


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


def _fetched(name: str) -> tuple[Mapping[str, torch.Tensor], str]:
    """Torchvision's own weights of a backbone: from its cache, or over the network."""
    chosen = models.get_model_weights(name).DEFAULT
    try:
        state = chosen.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError, UnpicklingError) as error:
        reason = getattr(error, "reason", None) or error
        raise ToolkitError(
            f"weights of {name}",
            f"cannot be fetched from {chosen.url} ({' '.join(str(reason).split())[:120]})",
            "go online once, name a file with --set weights=FILE.pth, or begin at random with --set weights=none",
        ) from error
    cached = Path(torch.hub.get_dir(), "checkpoints", Path(chosen.url).name)
    return state, file_sha256(cached)


def _read_weights(file: Path) -> Mapping[str, torch.Tensor]:
    """The weights in a file. Code in it is refused, not run."""
    if file.suffix.lower() not in (".pt", ".pth", ".ckpt"):
        problem = "is no file of weights" if file.exists() else "there is no such file of weights"
        raise ToolkitError(f"weights {file}", problem, "use default, none, or a .pt, .pth or .ckpt file")
    problem = "is no file of weights alone: damaged, or made to run code"
    loaded = read_tensors(file, problem=problem, remedy="do not use it; save a state_dict")
    state = loaded.get("state_dict", loaded) if isinstance(loaded, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ToolkitError(file, "holds no weights", "save model.state_dict() in it")
    # Lightning's checkpoints and DataParallel's put a name before each.
    for prefix in ("model.", "module."):
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return dict(state)


def _load(name: str, model: Any, head: str, given: Mapping[str, torch.Tensor], source: str, image_size: int) -> None:
    """Fill a model; of the head only what has its shape, and nothing of auxiliary heads."""
    own, place = model.state_dict(), f"weights of {name}" if source == "default" else source
    state = _renamed(name, {key: value for key, value in given.items() if not key.lower().startswith("aux")})
    if isinstance(model, VisionTransformer) and "encoder.pos_embedding" in state:
        state = dict(interpolate_embeddings(image_size, model.patch_size, state))
    ours = {f"{head}.weight", f"{head}.bias"}
    state = {key: value for key, value in state.items() if key not in ours or value.shape == own[key].shape}
    missing = sorted(key for key in own.keys() - state.keys() - ours if not key.endswith("num_batches_tracked"))
    foreign = sorted(state.keys() - own.keys())
    shapes = sorted(key for key in state.keys() & own.keys() if state[key].shape != own[key].shape)
    told = [
        text
        for text, names in (("lacks", missing), ("holds also", foreign), ("has another shape in", shapes))
        for text in ([f"{text} {_few(names)}"] if names else [])
    ]
    if told:
        raise ToolkitError(place, f"does not fit {name}: it {', '.join(told)}", "name the backbone that it belongs to")
    model.load_state_dict(state, strict=False)


def _renamed(name: str, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights under the names that the model has for them: some of torchvision's files are older than its code."""
    if name.startswith("densenet"):
        return {_OLD_DENSENET.sub(r"\1\2", key): value for key, value in state.items()}
    if name.startswith("squeezenet") and "classifier.1.weight" in state:
        moved = {"classifier.1.weight": "classifier.3.weight", "classifier.1.bias": "classifier.3.bias"}
        return {
            moved.get(key, key): value.flatten(1) if key in moved and value.dim() == 4 else value
            for key, value in state.items()
        }
    return dict(state)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def hold_batch_statistics(module: nn.Module) -> None:
    """Let batch normalisation use the statistics that it has, until the module is set to training again.

    A batch of one image has no variance to normalise by.
    """
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.eval()
