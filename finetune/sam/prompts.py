"""Prompts: boxes with noise, points, and the clicks that a user would add where a mask errs."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import torch

from toolkit.geometry.labels import Instance

__all__ = ["corrective_click", "corrective_clicks", "deepest_pixel", "jittered_box", "point_inside"]

_MOST_JITTER = 20.0  # pixels, as in arXiv 2304.02643, appendix A
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def jittered_box(instance: Instance, width: int, height: int, share: float, rng: np.random.Generator) -> Floats:
    """The box of an instance, as a hand might draw it: float64 (4,), x0 y0 x1 y1 in pixels, within the image.

    Normal noise on each side, of a standard deviation of `share` of the box's width or height, and at most 20 pixels
    (arXiv 2304.02643, appendix A). At least a pixel is left.
    """
    x0, y0, x1, y1 = instance.window
    sides = np.array([x1 - x0, y1 - y0] * 2, np.float64)
    noise = np.clip(rng.normal(size=4) * share * sides, -_MOST_JITTER, _MOST_JITTER)
    box = np.clip(np.array(instance.bbox) + noise, 0, [width, height] * 2)
    low = np.minimum(np.minimum(box[:2], box[2:]), np.array([width, height]) - 1.0)
    return np.concatenate([low, np.maximum(np.maximum(box[:2], box[2:]), low + 1)])


def point_inside(instance: Instance, rng: np.random.Generator) -> Floats:
    """Any pixel of an instance: float64 (2,), x y."""
    ys, xs = np.nonzero(instance.region)
    place = int(rng.integers(len(xs)))
    return np.array([xs[place] + instance.window[0], ys[place] + instance.window[1]], np.float64)


def deepest_pixel(mask: Bools) -> tuple[int, int]:
    """The pixel (x, y) of a mask that is furthest from its edge; of several, the first row by row."""
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # With Intel's IPP the last bit of a root depends on where in memory it lands; squares of distances are whole
    # numbers, which that bit does not change up to distances of a thousand pixels.
    squares = np.rint(np.square(depth, dtype=np.float64))
    y, x = divmod(int(np.argmax(squares)), depth.shape[1])
    return x - 1, y - 1


def corrective_click(truth: Bools, found: Bools) -> tuple[int, int, int]:
    """Where a careful user would click next: the middle of the largest region that is wrong.

    Args:
        truth: bool (H, W).
        found: bool (H, W), the mask so far.

    Returns:
        x, y, and 1 where the object was missed or 0 where there is none. On a mask without fault, the middle of it.
    """
    wrong = truth != found
    if not wrong.any():
        return (*deepest_pixel(truth), 1)
    _, regions, stats, _ = cv2.connectedComponentsWithStats(wrong.astype(np.uint8), connectivity=8)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    left, top, wide, high = (int(value) for value in stats[largest, :4])
    x, y = deepest_pixel(np.asarray(regions)[top : top + high, left : left + wide] == largest)
    return x + left, y + top, int(truth[y + top, x + left])


def corrective_clicks(
    truth: torch.Tensor, found: torch.Tensor, valid: torch.Tensor, cell: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """A random cell of what is wrong in each of N masks, for training; where nothing is, a random cell of the object.

    Args:
        truth, found, valid: bool (N, L, L): the object, the mask so far, and what is image.
        cell: side of a cell, in pixels of the scaled image.

    Returns:
        float32 (N, 2), x y in pixels of the scaled image, and int64 (N,), 1 on the object and 0 beside it.
    """
    wrong = (truth ^ found) & valid
    chosen = torch.where(wrong.flatten(1).any(dim=1)[:, None, None], wrong, truth)
    # The largest of random numbers, one for each cell: a cell more or less rarely changes which it is.
    order = torch.rand(truth.shape, device=truth.device) + 1.0
    place = (order * chosen).flatten(1).argmax(dim=1)
    side = truth.shape[-1]
    points = torch.stack([place % side, place // side], dim=1).float() * cell + (cell - 1) / 2
    return points, truth.flatten(1).gather(1, place[:, None])[:, 0].long()
