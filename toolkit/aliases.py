"""Types with long names that many rooms share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BoolArray", "FloatArray", "JsonObject", "Progress"]

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
JsonObject = dict[str, Any]
"""An object of a JSON file, members by name."""

Progress = Callable[[int, int], None]
"""Is called with what is done and what there is to do."""
