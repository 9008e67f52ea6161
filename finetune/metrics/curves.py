"""Pictures of how a run went and how it tells good from defective: learning curves, scores and ROC."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from finetune.metrics.anomaly import rank_scores
from finetune.metrics.rejection import rejection_curve
from toolkit.plotting.figures import BLUE, FAINT, INK, WIDTH, as_png, new_figure, own_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

__all__ = ["draw_curves", "draw_scores"]

_ORANGE = "#D55E00"
_COLUMNS = 3
_MOST_PANELS = 9
_LOGARITHMIC = 50.0  # largest over smallest value, from which on a loss is shown in logarithms
_MARGIN = 0.03
_BINS = 24
_RISING = ("accuracy", "iou", "dice", "auroc", "map")  # in names of figures of which more is better
_Points = tuple[list[int], list[float]]


def draw_curves(rows: Sequence[Mapping[str, str]]) -> bytes | None:
    """The figures of each epoch, a panel for each quantity, training and validation in one, as PNG.

    Args:
        rows: of log.csv: epoch, seconds, and figures such as train_loss and val_loss; empty where not measured.

    Returns:
        None where there is no figure.
    """
    panels: dict[str, dict[str, _Points]] = {}
    for name in [one for one in (rows[0] if rows else {}) if one not in ("epoch", "seconds")]:
        values = [(int(row["epoch"]), float(row.get(name) or "nan")) for row in rows]
        kept = [(epoch, value) for epoch, value in values if math.isfinite(value)]
        subset, _, quantity = name.partition("_")
        if kept:
            place = (quantity, subset) if subset in ("train", "val") and quantity else (name, "")
            panels.setdefault(place[0], {})[place[1]] = [epoch for epoch, _ in kept], [value for _, value in kept]
    if not panels:
        return None
    shown = list(panels.items())[:_MOST_PANELS]
    columns = min(_COLUMNS, len(shown))
    lines = math.ceil(len(shown) / columns)
    with own_style():
        figure = new_figure(0.35 + 2.1 * lines, WIDTH * (0.4 + 0.6 * columns / _COLUMNS))
        every = list(figure.subplots(lines, columns, squeeze=False).flat)
        for axes in every[len(shown) :]:
            axes.set_visible(False)
        for axes, (quantity, curves) in zip(every, shown, strict=False):
            _draw_panel(axes, quantity, curves)
        told = f"Learning curves, {len(rows)} epoch{'s' * (len(rows) != 1)}, 1 seed"
        left_out = f"; {len(panels) - len(shown)} more figures in log.csv" if len(panels) > len(shown) else ""
        figure.suptitle(told + left_out, fontsize=9, x=0.01, ha="left")
        return as_png(figure)


def _draw_panel(axes: Axes, quantity: str, curves: Mapping[str, _Points]) -> None:
    every = [value for _, values in curves.values() for value in values]
    for subset, (epochs, values) in curves.items():
        colour = _ORANGE if subset == "val" else BLUE
        marker = "o" if len(epochs) == 1 else ""
        axes.plot(epochs, values, color=colour, linewidth=1.3, marker=marker, markersize=4, label=subset or quantity)
    words = quantity.replace("_", " ")
    falls, rises = quantity.endswith("loss"), any(word in quantity for word in _RISING)
    if "val" in curves and (falls or rises):
        epochs, values = curves["val"]
        best = int(np.argmin(values) if falls else np.argmax(values))
        axes.plot(epochs[best], values[best], "o", color=_ORANGE, markersize=5, clip_on=False, zorder=5)
        words += f"\nbest val {values[best]:.4g}, epoch {epochs[best]}"
    if quantity.endswith("loss") and min(every) > 0 and max(every) > _LOGARITHMIC * min(every):
        axes.set_yscale("log")
        _plain_numbers(axes.yaxis)
    axes.set_title(words, fontsize=8)
    axes.set_xlabel("epoch")
    _whole_numbers(axes.xaxis)
    axes.margins(x=_MARGIN, y=2 * _MARGIN)
    if all(len(epochs) == 1 for epochs, _ in curves.values()):
        only = next(iter(curves.values()))[0][0]
        axes.set(xlim=(only - 0.5, only + 0.5), xticks=[only])
    _ruled(axes)
    if len(curves) > 1:
        axes.legend(fontsize=7)


def _ruled(axes: Axes) -> None:
    axes.grid(color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(color=FAINT)


def _whole_numbers(axis: Axis) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _plain_numbers(axis: Axis) -> None:
    """Write the numbers of a logarithmic axis out: powers would need typesetting."""
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter("")


def draw_scores(
    scores: npt.ArrayLike,
    defective: npt.ArrayLike,
    rejected: npt.ArrayLike,
    threshold: float | None = None,
    *,
    axis: str,
) -> bytes | None:
    """Scores of good and defective images as histograms, and their ROC curve with what the run does, as PNG.

    Args:
        scores: (N,) the higher, the more defective.
        defective: (N,) True for images with a defect.
        rejected: (N,) True for images that are taken for such.
        threshold: in units of the scores; None where images are rejected by another rule.
        axis: what a score is, in words.

    Returns:
        None where there are no good or no defective images, or a score is not finite.
    """
    values, truth = np.asarray(scores, np.float64), np.asarray(defective, np.bool_)
    told = np.asarray(rejected, np.bool_)
    if not len(values) or truth.all() or not truth.any() or not np.isfinite(values).all():
        return None
    with own_style():
        figure = new_figure(2.9)
        left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))
        _draw_histogram(left, values, truth, threshold, axis)
        _draw_roc(right, values, truth, told)
        for axes in (left, right):
            _ruled(axes)
        return as_png(figure)


def _draw_histogram(
    axes: Axes, values: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_], threshold: float | None, axis: str
) -> None:
    every = values if threshold is None else np.append(values, threshold)
    low, high = float(every.min()), float(every.max())
    wide = low > 0 and high > _LOGARITHMIC * float(np.median(every))
    if high <= low:
        low, high = low - 0.5, high + 0.5
    edges = np.geomspace(low, high, _BINS + 1) if wide else np.linspace(low, high, _BINS + 1)
    edges[[0, -1]] = low, high  # geomspace may miss them by a hair
    for mask, name, colour in ((~truth, "good", BLUE), (truth, "defective", _ORANGE)):
        label = f"{name} ({int(mask.sum())})"
        axes.hist(values[mask], bins=edges.tolist(), color=colour, alpha=0.45, edgecolor=colour, label=label)
    if threshold is not None:
        label = f"threshold {threshold:.4g}"
        axes.axvline(threshold, color=INK, linewidth=0.9, linestyle=(0, (4, 2)), label=label)
    if wide:
        axes.set_xscale("log")
        _plain_numbers(axes.xaxis)
    axes.margins(x=_MARGIN)
    _whole_numbers(axes.yaxis)
    axes.set(xlabel=axis, ylabel="images")
    axes.set_title("Scores of the test images, 1 seed")
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)


def _draw_roc(
    axes: Axes, values: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_], told: npt.NDArray[np.bool_]
) -> None:
    curve = rejection_curve(values, truth)
    point = float(told[~truth].mean()), float(told[truth].mean())
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=":")
    axes.plot(curve.false_reject, 1 - curve.escape, color=BLUE, linewidth=1.6)
    label = f"this run: {100 * point[0]:.3g} % of good,\n{100 * point[1]:.3g} % of defective rejected"
    axes.plot(*[[rate] for rate in point], "o", color=INK, markersize=6, clip_on=False, zorder=5, label=label)
    ticks = [0, 0.25, 0.5, 0.75, 1]
    axes.set_xticks(ticks, [f"{100 * tick:g} %" for tick in ticks], fontsize=7)
    axes.set_yticks(ticks, [f"{100 * tick:g} %" for tick in ticks], fontsize=7)
    axes.set(xlim=(-_MARGIN, 1 + _MARGIN), ylim=(-_MARGIN, 1 + _MARGIN), aspect="equal")
    axes.set(xlabel="good images rejected", ylabel="defective images rejected")
    axes.set_title(f"ROC, area {rank_scores(values, truth).auroc():.3f}, 1 seed")
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.2))
