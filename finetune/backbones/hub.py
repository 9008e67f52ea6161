"""Published weights that are fetched once: from torchvision's and timm's addresses, and from the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import timm
import torch

from finetune.backbones.models import timm_config
from finetune.backbones.names import TIMM
from finetune.engine.checkpoints import fetch_file, fetch_from_hub, read_tensors
from finetune.engine.runs import file_sha256
from toolkit.errors import ToolkitError

__all__ = ["PublishedByTimm", "Weights", "fetch_url", "published_by_timm", "weights_of_timm"]

_WAYS = "begin at random with --set weights=none, or use --set backbone=efficientnet_lite0, whose weights are installed"
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")  # where a repository of timm's has its weights


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights, and where they come from.

    Attributes:
        state: name -> tensor.
        source: the package, address or file, in words.
        sha256: of their file.
        licence: that they are given under, as far as their source says.
    """

    state: Mapping[str, torch.Tensor]
    source: str
    sha256: str
    licence: str | None = None


def fetch_url(name: str, url: str) -> Path:
    """The file behind an address, in torch's cache; it is fetched where it is not there yet.

    Args:
        name: of the backbone, for the message.
        url: a file whose name carries the beginning of its hash.

    Raises:
        ToolkitError: it cannot be fetched.
    """
    return fetch_file(f"weights of {name}", url, _WAYS)


def weights_of_timm(name: str) -> Weights:
    """Weights of a backbone of timm: from the cache of the hub, or over the network.

    Raises:
        ToolkitError: there are none, or they cannot be fetched or read.
    """
    told = timm_config(name)
    repository = told.get("hf_hub_id")
    if told.get("custom_load") or not (repository or told.get("url")):
        problem = "are not published in a form that is read here" if told.get("custom_load") else "are not published"
        raise ToolkitError(f"weights of {name}", problem, "name a file with --set weights=FILE, or use weights=none")
    if repository:
        repository, _, revision = repository.partition("@")
        names = (told["hf_hub_filename"],) if told.get("hf_hub_filename") else _HUB_FILES
        file, source = fetch_from_hub(f"weights of {name}", repository, names, revision or None, _WAYS)
    else:
        file, source = fetch_url(name, told["url"]), str(told["url"])
    remedy = "remove it: it will be fetched again"
    state = read_tensors(file, problem="is damaged, or made to run code", remedy=remedy)
    state = state.get("state_dict", state) if isinstance(state, Mapping) else None
    if not isinstance(state, Mapping):
        raise ToolkitError(file, "holds no weights", remedy)
    return Weights(state, source, file_sha256(file), told.get("license"))


@dataclass(frozen=True)
class PublishedByTimm:
    """A model of timm and its weights: as `BackboneFacts`, as far as timm says it without building the model."""

    name: str
    image_size: int
    weights: str
    licence: str


def published_by_timm(word: str) -> list[PublishedByTimm]:
    """The models of timm with a word in their names that have weights which are read here, sorted by name.

    Raises:
        ToolkitError: there are none.
    """
    found = []
    for name in timm.list_pretrained(f"*{word}*"):
        told = timm_config(TIMM + name)
        place = f"huggingface.co/{told['hf_hub_id']}" if told.get("hf_hub_id") else told.get("url")
        if place and not told.get("custom_load"):
            found.append(PublishedByTimm(TIMM + name, told["input_size"][-1], place, told.get("license") or ""))
    if not found:
        raise ToolkitError(f"--timm {word}", f"timm {timm.__version__} has no such model", "use a part of a name")
    return found
