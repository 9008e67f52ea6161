"""Files of tensors that somebody else may have made: numbers and text are read, code is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from toolkit.errors import ToolkitError

__all__ = ["read_tensors"]


def read_tensors(file: Path, *, problem: str, remedy: str, unread: str = "check the path") -> Any:
    """What `torch.save` wrote, on the CPU, if it is made of tensors, numbers, text and containers of them alone.

    Args:
        file: the file.
        problem, remedy: what to say of one that is damaged, or that would run code.
        unread: what to do about one that cannot be opened.

    Raises:
        ToolkitError: it cannot be read, is damaged, or would run code.
    """
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ToolkitError(file, f"cannot be read ({error.strerror or error})", unread) from error
    except Exception as error:  # whatever a damaged or hostile file makes of the unpickler
        raise ToolkitError(file, problem, remedy) from error
