"""Architectures by name, with random weights: what they need to be built, the sizes they take, their last layer."""

from __future__ import annotations

import copy
import difflib
from dataclasses import asdict
from functools import cache
from typing import Any

import timm
import torch
from torch import nn
from torchvision import models
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer

from finetune.backbones.names import PACKAGED, TIMM
from toolkit.errors import ToolkitError

__all__ = [
    "as_map",
    "check_size",
    "head_name",
    "nearest_size",
    "new_model",
    "probe",
    "put_head",
    "shared_copy",
    "skeleton",
    "takes",
    "timm_config",
]

_CLASSES = 1000  # of ImageNet, and so of every model before its head is replaced
_SIZES = (32, 64, 96, 112, 128, 160, 192, 224, 256, 288, 320, 384, 448, 512)


def new_model(name: str, image_size: int, *, given: bool = False) -> Any:
    """A model with random weights, as it has to be for `given` ones to be filled in.

    Raises:
        ToolkitError: timm has no such model, or it has no one linear layer at its end.
    """
    if name == PACKAGED:
        return timm.create_model("tf_efficientnet_lite0", num_classes=_CLASSES)
    if name.startswith(TIMM):
        return _of_timm(name, image_size)
    options: dict[str, Any] = {}
    if name.startswith("vit_"):
        options["image_size"] = image_size
    elif name.startswith("maxvit"):
        options["input_size"] = (image_size, image_size)
    elif name in ("googlenet", "inception_v3"):
        # Images come as they expect them: see `finetune.backbones.normalization`.
        options |= {"aux_logits": False, "init_weights": not given, "transform_input": False}
    model = models.get_model(name, weights=None, **options)
    if name.startswith("squeezenet"):
        # The same sum in another order, so that here too a linear layer comes last.
        last = [nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(512, _CLASSES)]
        model.classifier = nn.Sequential(*last)
    return model


def timm_config(name: str) -> dict[str, Any]:
    """What timm says of a backbone: mean, std, licence, where its weights lie.

    Raises:
        ToolkitError: it has none of this name.
    """
    own = name.removeprefix(TIMM)
    found = timm.get_pretrained_cfg(own, allow_unregistered=False) if timm.is_model(own) else None
    if found is None:
        known = timm.list_pretrained() if "." in own else timm.list_models()
        like = difflib.get_close_matches(own, known, n=3, cutoff=0.6)
        remedy = f"did you mean {' or '.join(TIMM + one for one in like)}?" if like else "see timm.list_models()"
        raise ToolkitError(f"backbone {name}", f"timm {timm.__version__} has no such model", remedy)
    return asdict(found)


def _of_timm(name: str, image_size: int) -> Any:
    told, own = timm_config(name), name.removeprefix(TIMM)
    # Only models of a fixed size take it as an argument.
    sized: dict[str, Any] = {"img_size": image_size} if told.get("fixed_input_size") else {}
    model: Any = timm.create_model(own, pretrained=False, num_classes=_CLASSES, **sized)
    if not isinstance(model.get_classifier(), nn.Linear):
        raise ToolkitError(f"backbone {name}", "does not end in one linear layer", "use another backbone")
    return model


def skeleton(name: str, image_size: int) -> Any:
    """A model without memory for its weights."""
    try:
        with torch.device("meta"):
            return new_model(name, image_size).eval()
    except (NotImplementedError, RuntimeError):  # the constructor of RegNets computes with tensors
        return new_model(name, image_size).eval().to("meta")


def probe(model: nn.Module, image_size: int) -> None:
    """Run a skeleton on an image of a size."""
    with torch.no_grad():
        model(torch.empty(1, 3, image_size, image_size, device="meta"))


@cache
def takes(name: str, image_size: int) -> bool:
    """Whether a backbone takes images of a size: tried, at no cost, on a model without weights."""
    try:
        probe(skeleton(name, image_size), image_size)
    except (RuntimeError, ValueError, AssertionError, ZeroDivisionError):
        return False
    return True


def check_size(name: str, image_size: int) -> None:
    """Refuse a size that a backbone does not take.

    Raises:
        ToolkitError: it does not; the nearest one that it takes is named.
    """
    if not takes(name, image_size):
        best = nearest_size(name, image_size)
        remedy = f"use --set image_size={best}" if best else "use another backbone"
        raise ToolkitError(f"image_size {image_size}", f"{name} cannot take images of this size", remedy)


def nearest_size(name: str, image_size: int) -> int:
    """The usual size nearest to one among those that a backbone takes; 0 where it takes none."""
    taken = [size for size in _SIZES if takes(name, size)]
    return min(taken, key=lambda size: abs(size - image_size), default=0)


def head_name(model: Any) -> str:
    """Name of the last linear layer."""
    last = model.get_classifier() if hasattr(model, "get_classifier") else None  # timm's models say which it is
    linear: list[str] = [
        path for path, module in model.named_modules() if isinstance(module, nn.Linear) and last in (None, module)
    ]
    return linear[-1]


def put_head(model: nn.Module, head: str, layer: nn.Module) -> None:
    """Put a layer in the place of the last one."""
    parent, _, name = head.rpartition(".")
    setattr(model.get_submodule(parent), name, layer)


def shared_copy(module: Any) -> Any:
    """A module whose structure can be changed, with the very parameters and buffers of the first."""
    memo = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    return copy.deepcopy(module, memo)


def as_map(model: nn.Module, output: torch.Tensor) -> torch.Tensor:
    """What a layer of a model gives, as a map (B, C, h, w).

    Args:
        model: whose layer it is; it says how its maps and tokens lie.
        output: (B, C, h, w), (B, h, w, C) of a Swin transformer, or tokens (B, first ones + h * h, C).

    Raises:
        ToolkitError: the tokens are none of places.
    """
    if output.dim() == 4:
        last = isinstance(model, SwinTransformer) or getattr(model, "output_fmt", "NCHW") == "NHWC"
        # Some layers of such a model have their channels first all the same; maps are square.
        return output.permute(0, 3, 1, 2) if last and output.shape[1] == output.shape[2] else output
    # Torchvision's have one token of no place, for the class; timm's say how many, and some add them late.
    first = int(getattr(model, "num_prefix_tokens", isinstance(model, VisionTransformer)))
    for left_out in (first, 0):
        side = round((output.shape[1] - left_out) ** 0.5)
        if output.shape[1] == left_out + side * side:
            return output[:, left_out:].transpose(1, 2).reshape(len(output), -1, side, side)
    raise ToolkitError(f"backbone {type(model).__name__}", "has no map of places", "use a convolutional one")
