"""Files of tensors that somebody else may have made: numbers and text are read, code is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import load_file

from toolkit.errors import ToolkitError

__all__ = ["load_weights", "read_checkpoint", "read_tensors"]


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
