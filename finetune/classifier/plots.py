"""The pictures of a classifier's run: who is taken for whom, and what it looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from toolkit.plotting.figures import FAINT, WIDTH, as_png, fitted, new_figure, own_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ActivationMap", "draw_activations", "overlay_activation"]

_COLUMNS = 4


@dataclass(frozen=True, eq=False)
class ActivationMap:
    """An image and where a classifier found what it says.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        attention: float32 (H, W), in [0, 1].
        label: true class; "" if unknown.
        predicted: the class that the attention speaks for.
        probability: of that class.
    """

    image: npt.NDArray[np.uint8]
    attention: npt.NDArray[np.float32]
    label: str
    predicted: str
    probability: float


def draw_activations(looks: Sequence[ActivationMap]) -> bytes:
    """A sheet of images with what the classifier looked at, as PNG; a frame marks those that it got wrong."""
    columns = min(_COLUMNS, max(2, len(looks)))
    rows = math.ceil(len(looks) / columns)
    side = WIDTH / columns
    with own_style():
        figure = new_figure(rows * (side + 0.32) + 0.35)
        every = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes in every[len(looks) :]:
            axes.set_visible(False)
        for look, axes in zip(looks, every, strict=False):
            axes.imshow(overlay_activation(look.image, look.attention))
            axes.set(xticks=[], yticks=[])
            wrong = bool(look.label) and look.label != look.predicted
            told = f"{fitted(look.predicted, 18)} {100 * look.probability:.0f} %"
            axes.set_title(
                told + (f"\nis {fitted(look.label, 22)}" if wrong else "\nright" if look.label else ""), fontsize=7
            )
            for spine in axes.spines.values():
                spine.set(visible=True, linewidth=2 if wrong else 0.5, color="#D55E00" if wrong else FAINT)
        _draw_scale(figure, every[: len(looks)])
        figure.suptitle(
            "Where the image speaks for the predicted class (Grad-CAM), 1 seed", fontsize=9, x=0.01, ha="left"
        )
        return as_png(figure)


def _draw_scale(figure: Figure, axes: Sequence[Axes]) -> None:
    """A bar of the colours that maps have, as they come out on middle grey."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap

    ramp = overlay_activation(np.full((1, 256, 3), 128, np.uint8), np.linspace(0, 1, 256, dtype=np.float32)[None])
    bar = figure.colorbar(ScalarMappable(cmap=ListedColormap(ramp[0] / 255)), ax=list(axes), aspect=30, fraction=0.03)
    bar.set_ticks([0, 0.5, 1], labels=["none", "half", "most"])
    bar.set_label("what speaks for the class, of the image's most", fontsize=7)
    bar.ax.tick_params(labelsize=7, length=0)
    bar.outline.set_visible(False)


def overlay_activation(image: npt.NDArray[np.uint8], attention: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """The image in grey, with warm colours where the attention is.

    Args:
        image: uint8 (H, W, 3), RGB.
        attention: float32 (h, w), in [0, 1].

    Returns:
        uint8 (H, W, 3), RGB.
    """
    height, width = image.shape[:2]
    weight = cv2.resize(attention, (width, height), interpolation=cv2.INTER_LINEAR)
    colours = cv2.applyColorMap((weight * 255).round().astype(np.uint8), cv2.COLORMAP_INFERNO)[:, :, ::-1]
    grey = image.mean(axis=2, keepdims=True)
    share = 0.65 * weight[:, :, None]
    mixed: npt.NDArray[np.uint8] = np.rint(grey * (1 - share) + colours * share).astype(np.uint8)
    return mixed
