"""What a learner makes of one image, in memory: the same few words for all learners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from toolkit.geometry.labels import Instance

__all__ = ["Prediction"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a learner makes of one image. What it does not tell is empty or None.

    Attributes:
        path: the image file, None of an array.
        width, height: size of the image in pixels.
        classes: of a classifier the class that the image is taken for; else that of each box.
        scores: float64 (N,), how sure each is; of sam the IoU that it expects, of vae and patchcore the
            highest score in each.
        boxes: float64 (N, 4), x0 y0 x1 y1 in pixels of the image.
        instances: the pixels in each box, None where the learner makes boxes alone.
        probabilities: class -> probability, of a classifier.
        map: float32 (height, width), the higher, the less expected; of vae and patchcore.
        score: of the image as a whole; above `threshold` it is an anomaly; of vae and patchcore.
        threshold: in units of `score`.
    """

    path: Path | None
    width: int
    height: int
    classes: tuple[str, ...] = ()
    scores: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    boxes: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    instances: tuple[Instance, ...] | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    map: npt.NDArray[np.float32] | None = None
    score: float | None = None
    threshold: float | None = None

    @property
    def masks(self) -> npt.NDArray[np.bool_] | None:
        """The pixels of each instance at the size of the image, bool (N, height, width); None where there are none."""
        if self.instances is None:
            return None
        planes = np.zeros((len(self.instances), self.height, self.width), np.bool_)
        for plane, one in zip(planes, self.instances, strict=True):
            x0, y0, x1, y1 = one.window
            plane[y0:y1, x0:x1] = one.region
        return planes
