"""The pictures of a SAM run: a few instances with their outlines, and IoU by class before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from finetune.engine.runs import Number
from finetune.sam.metrics import PROMPTS
from toolkit.geometry.contours import trace
from toolkit.imaging.images import encode_png
from toolkit.plotting.figures import BLUE, FAINT, as_png, fitted, new_figure, own_style
from toolkit.plotting.overlays import class_colour

__all__ = ["Shown", "draw_instances", "draw_masks", "draw_scores"]

_COLUMNS, _MOST_CLASSES = 4, 20
_TRUTH, _FOUND = "#E69F00", "#56B4E9"
Bools = npt.NDArray[np.bool_]
Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Shown:
    """An instance to look at.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        box: its box, x0 y0 x1 y1 in pixels.
        truth, found: bool (H, W), as labelled and as segmented by its box.
        label: its class.
        iou, untuned: IoU after and before training.
    """

    image: Picture
    box: tuple[int, int, int, int]
    truth: Bools
    found: Bools
    label: str
    iou: float
    untuned: float


def draw_instances(shown: Sequence[Shown]) -> bytes:
    """Instances in their surroundings, with outlines of the truth and of what was segmented: PNG."""
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    with own_style():
        from matplotlib.lines import Line2D

        figure = new_figure(2.05 * rows + 0.35, 1.75 * columns)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid:
            axes.set_axis_off()
        for axes, one in zip(grid, shown, strict=False):
            x0, y0, x1, y1 = _surroundings(one)
            axes.imshow(one.image[y0:y1, x0:x1], interpolation="nearest")
            for mask, colour, style in ((one.truth, _TRUTH, "solid"), (one.found, _FOUND, "dashed")):
                for outline in _outlines(mask[y0:y1, x0:x1]):
                    axes.plot(*outline.T, color=colour, linewidth=1.3, linestyle=style)
            axes.set_title(f"{fitted(one.label, 20)}\nIoU {one.untuned:.2f} → {one.iou:.2f}", fontsize=7)
        handles = [Line2D([], [], color=_TRUTH), Line2D([], [], color=_FOUND, linestyle="dashed")]
        figure.legend(handles, ["labelled", "segmented by its box"], loc="outside lower left", ncols=2)
        return as_png(figure)


def _surroundings(one: Shown) -> tuple[int, int, int, int]:
    """A square around an instance that is half as large again, within the image as far as it goes."""
    height, width = one.truth.shape
    x0, y0, x1, y1 = one.box
    side = min(max(24, round(1.5 * max(x1 - x0, y1 - y0))), max(height, width))
    left = min(max(0, (x0 + x1 - side) // 2), max(0, width - side))
    top = min(max(0, (y0 + y1 - side) // 2), max(0, height - side))
    return left, top, min(width, left + side), min(height, top + side)


def _outlines(mask: Bools) -> list[npt.NDArray[np.float64]]:
    """Closed lines along the edges of a mask's pixels, where imshow has them."""
    outline = trace(mask)
    corners = np.stack([outline.x, outline.y], axis=1) - 0.5
    return [corners[np.append(ring.nodes, ring.nodes[0])] for ring in outline.rings8]


def draw_scores(metrics: Mapping[str, Number], classes: Sequence[str]) -> bytes:
    """Mean IoU by class, for the box and for one point, before training and after: PNG."""
    names = [name for name in classes if metrics.get(f"instances_class_{name}")][:_MOST_CLASSES]
    rows = [("all", "", metrics["instances"])]
    rows += [(name, f"_class_{name}", metrics[f"instances_class_{name}"]) for name in names]
    with own_style():
        figure = new_figure(0.26 * len(rows) + 1.0)
        panels = figure.subplots(1, 2, sharey=True)
        for axes, prompt, title in zip(panels, (PROMPTS[0], PROMPTS[2]), ("a box", "one point"), strict=True):
            before = [metrics[f"untuned_iou_{prompt}{suffix}"] for _, suffix, _ in rows]
            after = [metrics[f"iou_{prompt}{suffix}"] for _, suffix, _ in rows]
            places = np.arange(len(rows))
            axes.hlines(places, before, after, color=FAINT, linewidth=1)
            axes.plot(before, places, "o", color=FAINT, markerfacecolor="white", label="untuned")
            axes.plot(after, places, "o", color=BLUE, label="tuned")
            axes.set_title(f"IoU by {title}")
            axes.set_xlim(-0.02, 1.02)
            axes.grid(axis="x", color="#dddddd", linewidth=0.6)
            axes.set_axisbelow(True)
        panels[0].set_yticks(np.arange(len(rows)), [f"{fitted(name, 28)} ({count})" for name, _, count in rows])
        panels[0].invert_yaxis()
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower right", ncols=2)
        return as_png(figure)


def draw_masks(image_bgr: Picture, masks: Bools) -> bytes:
    """An image with masks (N, H, W) on it, filled and outlined, each in a colour of its own as far as they go: PNG."""
    scene = image_bgr.copy()
    line = max(1, min(scene.shape[:2]) // 400)
    for number, mask in enumerate(masks):
        colour = class_colour(number)[::-1]
        scene[mask] = (0.6 * scene[mask] + 0.4 * np.array(colour)).astype(np.uint8)
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(scene, contours, -1, colour, line)
    return encode_png(scene)
