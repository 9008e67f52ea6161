"""Types with long names that many rooms share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["BoolArray", "FloatArray", "Progress"]

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]
"""Is called with what is done and what there is to do."""
