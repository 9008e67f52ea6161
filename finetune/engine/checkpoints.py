"""Files of tensors that somebody else may have made: fetched once; numbers and text are read, code is refused."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import load_file

from finetune.engine.remarks.telling import tell
from finetune.engine.runs import file_sha256
from toolkit.errors import ToolkitError

__all__ = [
    "answers",
    "cannot_fetch",
    "fetch_file",
    "fetch_from_hub",
    "load_weights",
    "read_checkpoint",
    "read_tensors",
    "wrapped_state",
]

_PATIENCE = 10  # seconds, for the first answer: clients of their own would try for minutes
_WRAPPERS = ("state_dict", "model_state", "model_state_dict", "model")  # Lightning's, torch_em's, and other people's


def fetch_file(weights: str, url: str, ways: str, sha256: str | None = None, *, setting: str = "weights") -> Path:
    """The file behind an address, in torch's cache; it is fetched where it is not there yet.

    Args:
        weights: what they are, for messages, such as "weights of vit_b".
        url: the address.
        ways: what else can be done where it cannot be fetched, beside going online and naming a file.
        sha256: of the file; without it, the beginning of one in its name is looked at, as torchvision does.
        setting: the one that takes a file in its place.

    Raises:
        ToolkitError: it cannot be fetched, or is another file.
    """
    folder = Path(torch.hub.get_dir(), "checkpoints")
    file = folder / Path(url).name
    if not file.is_file():
        hashed = torch.hub.HASH_REGEX.search(file.name)
        try:
            answers(url)
            tell("note", f"fetching {url} once, into {folder}")
            folder.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(file), sha256 or (hashed and hashed[1]), progress=False)
        except (OSError, RuntimeError) as error:
            raise cannot_fetch(weights, url, folder, error, ways, setting) from error
    elif sha256 is not None and file_sha256(file) != sha256:
        raise ToolkitError(file, f"is not what {url} gives out", "remove it: it will be fetched again")
    return file


def fetch_from_hub(
    weights: str, repository: str, names: Sequence[str], revision: str | None, ways: str, *, setting: str = "weights"
) -> tuple[Path, str]:
    """A file of a repository of the Hugging Face hub, and its address; it is fetched where it is not in its cache yet.

    Args:
        weights, ways, setting: as for `fetch_file`.
        repository: "owner/name".
        names: of files, the first of which that is there is taken.
        revision: of the repository; None for the newest.

    Raises:
        ToolkitError: it cannot be fetched, after one try; or there is no such file.
    """
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.errors import EntryNotFoundError

    urls = [f"{constants.ENDPOINT}/{repository}/resolve/{revision or 'main'}/{name}" for name in names]
    for name, url in zip(names, urls, strict=True):
        cached = huggingface_hub.try_to_load_from_cache(repository, name, revision=revision)
        if isinstance(cached, str):
            return Path(cached), url
    folder = Path(constants.HF_HUB_CACHE)
    for name, url in zip(names, urls, strict=True):
        try:
            if constants.HF_HUB_OFFLINE:
                raise OSError("HF_HUB_OFFLINE is set")
            answers(url)
            return Path(huggingface_hub.hf_hub_download(repository, name, revision=revision)), url
        except EntryNotFoundError:
            continue
        except (OSError, RuntimeError, ValueError) as error:
            raise cannot_fetch(weights, url, folder, error, ways, setting) from error
    raise ToolkitError(weights, f"{repository} has none", f"name a file with --set {setting}=FILE")


def answers(url: str) -> None:
    """Whether an address answers at all.

    Raises:
        OSError: it does not.
    """
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_PATIENCE).close()
    except urllib.error.HTTPError as error:  # an answer, whatever it is: the client says what it means
        error.close()


def cannot_fetch(
    weights: str, url: str, folder: Path, error: Exception, ways: str, setting: str = "weights"
) -> ToolkitError:
    """What to say where a file cannot be fetched; the parameters are as for `fetch_file`."""
    answered = isinstance(error, urllib.error.HTTPError)  # whose own text has the number of the answer
    reason = " ".join(str(error if answered else getattr(error, "reason", None) or error).split())[:120]
    kept = f"go online once (they are kept in {folder})"
    return ToolkitError(
        weights, f"cannot be fetched from {url} ({reason})", f"{kept}, name a file with --set {setting}=FILE, {ways}"
    )


def wrapped_state(loaded: object) -> dict[str, torch.Tensor] | None:
    """The weights that a checkpoint holds, whatever is around them and beside them; None where it holds none."""
    while isinstance(loaded, Mapping):
        inner = next((loaded[name] for name in _WRAPPERS if isinstance(loaded.get(name), Mapping)), None)
        if inner is None:
            break
        loaded = inner
    if not isinstance(loaded, Mapping) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        return None
    return dict(loaded)


def read_tensors(
    file: Path, *, problem: str, remedy: str, hostile: str | None = None, unread: str = "check the path"
) -> object:
    """What `torch.save` or safetensors wrote, on the CPU: tensors, numbers, text and containers of them alone.

    Args:
        file: the file.
        problem, remedy: what to say of one that is damaged, or that would run code.
        hostile: the problem of one that would run code, where it is another one.
        unread: what to do about one that cannot be opened.

    Raises:
        ToolkitError: it cannot be read, is damaged, or would run code.
    """
    try:
        if file.suffix.lower() == ".safetensors":
            with file.open("rb"):  # its own reader tells less of a file that cannot be opened
                return load_file(file)
        return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ToolkitError(file, f"cannot be read ({error.strerror or error})", unread) from error
    except Exception as error:  # whatever a damaged or hostile file makes of the unpickler
        refused = isinstance(error, UnpicklingError) and "Weights only load failed" in str(error)
        raise ToolkitError(file, hostile if hostile and refused else problem, remedy) from error


def read_checkpoint(checkpoint: Path) -> dict[str, Any]:
    """Read a checkpoint of ours. Code in the file is refused, not run.

    Raises:
        ToolkitError: the file cannot be read, carries anything but numbers and text, or is no checkpoint.
    """
    problem = "is no checkpoint of weights alone: damaged, or made to run code"
    loaded = read_tensors(checkpoint, problem=problem, remedy="do not use it; train again")
    if not isinstance(loaded, dict):
        raise ToolkitError(checkpoint, "holds no weights", "name a checkpoint that 'defectkit train' wrote")
    return loaded


def load_weights(module: torch.nn.Module, checkpoint: Path, under: str = "") -> None:
    """Load the weights of a checkpoint of ours into a module.

    Args:
        module: the module.
        checkpoint: the file.
        under: the name that the module has in the one which was trained; "" where it is that itself.

    Raises:
        ToolkitError: as `read_checkpoint`, or it is another model's.
    """
    loaded = read_checkpoint(checkpoint)
    state = loaded.get("state_dict", loaded)
    if not isinstance(state, Mapping):
        raise ToolkitError(checkpoint, "holds no weights", "name a checkpoint that 'defectkit train' wrote")
    if under:
        module, part = torch.nn.Module(), module
        module.add_module(under, part)
    try:
        module.load_state_dict(state)  # itself: it carries the versions of its layers beside them
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).splitlines()[1:2]).strip() or str(error)
        raise ToolkitError(checkpoint, f"belongs to another model ({reason[:120]})", "use its own settings") from error
