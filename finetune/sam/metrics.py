"""How well masks fit, instance by instance, at the resolution of the images: IoU, Dice, boundary IoU.

Boundary IoU (Cheng et al., "Boundary IoU", arXiv 2103.16562, equation 1) compares the rims of two masks, d pixels wide,
d = 2 % of the image's diagonal, as their code rounds it. A mask that is nowhere thicker than 2 d is all rim: there it
is the plain IoU, so that for small defects it says nothing new.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from finetune.engine.learner import Figure
from finetune.engine.runs import Run
from finetune.metrics.evidence import Means
from toolkit.files.typed import Row, read_rows

__all__ = [
    "FIGURES",
    "IOU_BOX",
    "PROMPTS",
    "SIZES",
    "boundary_width",
    "compare_masks",
    "read_overlaps",
    "size_class",
    "summarise",
]

PROMPTS = ("box", "jittered_box", "point", "clicks3")
FIGURES = ("iou", "dice", "boundary_iou")
SIZES = ("small", "medium", "large")
"""By COCO's areas: below 32 x 32 pixels, below 96 x 96, and above."""

_RIM_SHARE = 0.02
Bools = npt.NDArray[np.bool_]


def boundary_width(height: int, width: int) -> int:
    """Width of the rim that boundary IoU looks at, in pixels."""
    return max(1, round(_RIM_SHARE * math.hypot(height, width)))


def compare_masks(truth: Bools, found: Bools) -> dict[str, float]:
    """IoU, Dice and boundary IoU of two masks (H, W) of an image; two empty ones agree."""
    rim = boundary_width(*truth.shape)
    x, y, wide, high = cv2.boundingRect((truth | found).view(np.uint8))
    # What lies outside of both has no part in any figure.
    truth, found = truth[y : y + high, x : x + wide], found[y : y + high, x : x + wide]
    both, areas = np.count_nonzero(truth & found), np.count_nonzero(truth) + np.count_nonzero(found)
    figures = {"iou": both / (areas - both) if areas else 1.0, "dice": 2 * both / areas if areas else 1.0}
    one, other = _rim(truth, rim), _rim(found, rim)
    union = np.count_nonzero(one | other)
    return {**figures, "boundary_iou": np.count_nonzero(one & other) / union if union else 1.0}


def _rim(mask: Bools, width: int) -> Bools:
    """Pixels of a mask that are at most `width` from its outside; the outside of the image counts."""
    if not mask.size:
        return mask
    padded = np.pad(mask, 1).astype(np.uint8)
    core = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=width)
    return mask & ~core[1:-1, 1:-1].astype(np.bool_)


def size_class(area: int) -> str:
    """The name of an instance's size, by its pixels."""
    return SIZES[(area >= 32**2) + (area >= 96**2)]


def summarise(rows: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> dict[str, float | int]:
    """Means over instances.

    Args:
        rows: one for each instance: `label`, `size`, and FIGURE_PROMPT and untuned_FIGURE_PROMPT.
        classes: names of all classes.

    Returns:
        FIGURE_PROMPT and untuned_FIGURE_PROMPT; iou_PROMPT_class_X, iou_PROMPT_size_X and the same untuned, for what
        occurs; instances, and instances_class_X and instances_size_X. nan where there is no instance.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {"": list(rows)}
    groups |= {f"_class_{name}": [row for row in rows if row["label"] == name] for name in classes}
    groups |= {f"_size_{name}": [row for row in rows if row["size"] == name] for name in SIZES}
    columns = [f"{start}{figure}_{prompt}" for start in ("", "untuned_") for prompt in PROMPTS for figure in FIGURES]
    found: dict[str, float | int] = {}
    for suffix, group in groups.items():
        if not suffix or group:
            named = [name for name in columns if not suffix or name.removeprefix("untuned_").startswith("iou_")]
            found |= {f"{name}{suffix}": _mean([row[name] for row in group]) for name in named}
    return found | {f"instances{suffix}": len(group) for suffix, group in groups.items()}


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


class _Segmented(Row):
    """A row of the predictions of a segmenter, an object."""

    key: str
    iou_box: float


def read_overlaps(run: Run) -> Means:
    """The IoU of the objects in each test image of a run, asked for by their boxes.

    Raises:
        ToolkitError: the run has no such predictions.
    """
    found = defaultdict[str, list[float]](list)
    for row in read_rows(run.root / "predictions.csv", _Segmented, "train again"):
        found[row.key].append(row.iou_box)
    each = list(found.values())
    return Means(tuple(found), np.array([sum(one) for one in each]), np.array([float(len(one)) for one in each]))


IOU_BOX = Figure("iou_box", "IoU of objects asked for by their boxes", read_overlaps, "defects")
