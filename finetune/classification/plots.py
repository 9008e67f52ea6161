"""Pictures that every classifier has: who is taken for whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from finetune.classification.inference import Predictions
from finetune.engine.runs import Run
from finetune.metrics.curves import draw_curves, draw_scores
from finetune.metrics.plots import draw_rates
from toolkit.files.publish import write_whole
from toolkit.plotting.figures import HEAT_COLOURS, WIDTH, as_png, fitted, new_figure, own_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_confusion", "draw_result"]


_MOST_NUMBERS = 30  # classes up to which a cell has room for its number


def draw_result(run: Run, tested: Predictions) -> None:
    """Draw what a run came to into its plots: confusion, learning curves, and good against defective.

    Args:
        run: whose log is written.
        tested: predictions of the images that its figures are of.
    """
    drawn = {"confusion": draw_confusion(tested.confusion(), tested.classes), "curves": draw_curves(run.log_rows())}
    if tested.p_good is not None:
        truth, rejected = tested.labels != tested.good, tested.predicted != tested.good
        threshold = 0.5 if len(tested.classes) == 2 else None
        drawn["scores"] = draw_scores(1 - tested.p_good, truth, rejected, threshold, axis="1 - p(good)")
        axis = "p(good) of the image; lower ones are rejected"
        drawn["rates"] = draw_rates(-tested.p_good, truth, threshold, axis=axis, negated=True)
    for name, picture in drawn.items():
        if picture is not None:
            write_whole(run.plots / f"{name}.png", picture)


def draw_confusion(counts: npt.NDArray[np.int64], classes: Sequence[str]) -> bytes:
    """A confusion matrix as PNG: rows are true classes, columns what they were taken for, shades shares of the row.

    Args:
        counts: int64 (classes, classes).
        classes: their names.
    """
    from matplotlib.colors import LinearSegmentedColormap

    number = len(classes)
    cell = min(0.55, (WIDTH - 2.2) / number)
    with own_style():
        figure = new_figure(max(2.2, cell * number + 1.5), max(3.6, cell * number + 2.4))
        axes = figure.add_subplot()
        rows = np.maximum(counts.sum(axis=1, keepdims=True), 1)
        shares = counts / rows
        colours = LinearSegmentedColormap.from_list("share", HEAT_COLOURS)
        picture = axes.imshow(shares, cmap=colours, vmin=0, vmax=1, aspect="equal")
        if number <= _MOST_NUMBERS:
            _write_numbers(axes, counts, shares)
        names = [fitted(name, 24) for name in classes]
        size = 8 if number <= _MOST_NUMBERS else 4
        axes.set_xticks(range(number), names, rotation=90 if number > 3 else 0, fontsize=size)
        axes.set_yticks(
            range(number), [f"{name} ({total})" for name, total in zip(names, counts.sum(axis=1), strict=True)]
        )
        axes.tick_params(axis="both", length=0)
        axes.tick_params(axis="y", labelsize=size)
        axes.set(xlabel="predicted", ylabel="true class (images)")
        axes.set_title(f"{int(np.trace(counts))} of {int(counts.sum())} images right, 1 seed")
        for spine in axes.spines.values():
            spine.set(visible=True, linewidth=0.5)
        bar = figure.colorbar(picture, ax=axes, shrink=0.6, aspect=25)
        bar.set_ticks([0, 0.5, 1], labels=["0 %", "50 %", "100 %"])
        bar.set_label("of the true class")
        bar.outline.set_visible(False)
        return as_png(figure)


def _write_numbers(axes: Axes, counts: npt.NDArray[np.int64], shares: npt.NDArray[np.float64]) -> None:
    size = 8 if len(counts) <= 15 else 5
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > 0.55 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=size)
