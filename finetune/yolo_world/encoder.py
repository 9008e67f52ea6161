"""Text encoders of open_clip: their weights are found, or fetched once, before open_clip is asked for anything."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from finetune.engine.checkpoints import fetch_file, fetch_from_hub
from finetune.engine.config import nearest
from finetune.engine.runs import file_sha256
from toolkit.errors import ToolkitError

__all__ = ["open_encoder"]

_SETTING = "encoder_weights"
_WAYS = (
    "or take a table that --export-prompts wrote on a machine with a network: --set prompts=FILE. "
    "Without any: --set prompts=hash --set weights=none"
)


def open_encoder(encoder: str, weights: str) -> tuple[str, Callable[[Sequence[str]], torch.Tensor]]:
    """The name of an encoder with its weights, and what it does.

    Args:
        encoder: name of an open_clip model.
        weights: a name that open_clip publishes, which is fetched once, or a local file.

    Raises:
        ToolkitError: open_clip is not installed or knows no such model, or its weights cannot be had or do not fit.
    """
    try:
        import open_clip
    except ModuleNotFoundError as error:
        remedy = "pip install 'defectkit[yolo]', or use a table that --export-prompts wrote elsewhere"
        raise ToolkitError("prompts clip", f"needs the package {error.name}", remedy) from error

    if encoder not in open_clip.list_models():
        known = [str(name) for name in open_clip.list_models()]
        raise ToolkitError(f"encoder {encoder}", "open_clip has no such model", nearest(encoder, known))
    local = Path(weights)
    tags = open_clip.list_pretrained_tags_by_model(encoder)
    if not local.is_file() and weights not in tags:
        known_tags = ", ".join(tags) or "none"
        raise ToolkitError(
            f"{_SETTING} {weights}", "is no file, and no weights of this encoder", f"its weights are: {known_tags}"
        )
    tagged = weights in tags
    file = _published_file(encoder, weights, open_clip.get_pretrained_cfg(encoder, weights)) if tagged else local
    _refuse_archive(file, encoder)
    try:
        model = open_clip.create_model(encoder, pretrained=str(file), weights_only=True).eval()
        tokenizer = open_clip.get_tokenizer(encoder)
    except Exception as error:  # torch, the hub and open_clip have no error in common
        told = (str(error).splitlines() or [type(error).__name__])[0][:160]
        remedy = f"name a file of its weights (--set {_SETTING}=FILE)"
        raise ToolkitError(f"{_SETTING} {weights}", f"cannot be had or do not fit ({told})", remedy) from error
    name = f"{encoder}/{weights if tagged else file_sha256(local)[:12]}"
    return name, partial(_encode, model, tokenizer)


def _published_file(encoder: str, tag: str, told: Mapping[str, Any]) -> Path:
    """The file of weights that open_clip publishes under a name: from the caches, or over the network, in one try."""
    what = f"{_SETTING} {tag} (of {encoder})"
    hub, url = str(told.get("hf_hub") or ""), str(told.get("url") or "")
    if url:
        kept = Path("~/.cache/clip").expanduser() / Path(url).name  # where open_clip puts what has an address
        if kept.is_file():
            return kept
    if not hub:
        return fetch_file(what, url, _WAYS, setting=_SETTING)
    repository, _, name = hub.rpartition("/")
    names = [name] if name else ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]
    if name.endswith((".bin", ".pth")):
        names.insert(0, f"{name[:-4]}.safetensors")
    return fetch_from_hub(what, repository, names, None, _WAYS, setting=_SETTING)[0]


def _refuse_archive(file: Path, encoder: str) -> None:
    """Refuse programs of TorchScript, as which OpenAI gave out its own files: nothing is run that a file brings.

    Raises:
        ToolkitError: it is one.
    """
    if not zipfile.is_zipfile(file):
        return
    with zipfile.ZipFile(file) as packed:
        program = any(name.rpartition("/")[2] == "constants.pkl" for name in packed.namelist())
    if program:
        problem = "is a program of TorchScript, such as OpenAI's own ViT-B-32.pt, and no file of weights alone"
        remedy = (
            f"use --set {_SETTING}=openai, which are the same weights as open_clip gives them out, or a file of "
            f"tensors alone of open_clip's {encoder}"
        )
        raise ToolkitError(file, problem, remedy)


def _encode(model: torch.nn.Module, tokenizer: Callable[..., torch.Tensor], phrases: Sequence[str]) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model.encode_text(tokenizer(list(phrases)), normalize=True)  # type: ignore[operator]
    return found.float().clone()
