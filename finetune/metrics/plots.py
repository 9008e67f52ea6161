"""Pictures of figures that several learners have: false reject and escape over thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from finetune.metrics.rejection import rejection_curve, rejection_rates
from finetune.metrics.significance import wilson_interval
from toolkit.plotting.figures import BLUE, FAINT, INK, WIDTH, as_png, new_figure, own_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_rates"]

_ORANGE = "#D55E00"
_LONG_TAIL = 20.0  # times the median, from which on thresholds are shown in logarithms
_MARGIN = 0.03


def draw_rates(
    scores: npt.ArrayLike, defective: npt.ArrayLike, threshold: float | None, *, axis: str, negated: bool = False
) -> bytes | None:
    """False reject and escape of test images over all thresholds, with their 95 % intervals, as PNG.

    Args:
        scores: (N,) the higher, the more defective.
        defective: (N,) True for images with a defect.
        threshold: that of the run, which is marked; None where it has none.
        axis: what a threshold is of, in words.
        negated: whether `threshold` and the axis are of the negative of a score, as of a probability of "good".

    Returns:
        None where there are no good or no defective images, or a score is not finite.
    """
    values, truth = np.asarray(scores, np.float64), np.asarray(defective, np.bool_)
    if not len(values) or truth.all() or not truth.any() or not np.isfinite(values).all():
        return None
    curve, sign = rejection_curve(values, truth), -1.0 if negated else 1.0
    with own_style():
        figure = new_figure(2.9, WIDTH * 0.8)
        axes = figure.add_subplot()
        told = ((curve.false_reject, curve.good, "good", BLUE), (curve.escape, curve.defective, "defective", _ORANGE))
        low, high, logarithmic = _limits(sign * values if threshold is None else np.append(sign * values, threshold))
        places = np.concatenate([[high if negated else low], sign * curve.thresholds, [low if negated else high]])
        for rates, images, kind, colour in told:
            name = f"{'false reject' if kind == 'good' else 'escape'}, {images} {kind}"
            _draw_rate(axes, places, np.concatenate([rates[:1], rates, rates[-1:]]), images, name, colour)
        if threshold is not None:
            axes.axvline(threshold, color=INK, linewidth=0.9, linestyle=(0, (4, 2)), label=f"threshold {threshold:.4g}")
        if logarithmic:
            axes.set_xscale("log")
            axes.xaxis.set(major_formatter=lambda value, _: f"{value:g}", minor_formatter="")
        axes.set(xlim=(low, high), ylim=(-_MARGIN, 1 + _MARGIN), xlabel=axis, ylabel="share of the images")
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        axes.grid(color="#dddddd", linewidth=0.5)
        axes.set_axisbelow(True)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=3)
        axes.set_title(_title({} if threshold is None else rejection_rates(truth, values > sign * threshold)))
        axes.tick_params(color=FAINT)
        return as_png(figure)


def _draw_rate(
    axes: Axes, places: npt.NDArray[np.float64], steps: npt.NDArray[np.float64], images: int, name: str, colour: str
) -> None:
    """A rate that holds from each place to the next one, and its intervals."""
    intervals = np.array([wilson_interval(count, images) for count in range(images + 1)])
    band = intervals[np.rint(steps * images).astype(int)]
    axes.fill_between(places, band[:, 0], band[:, 1], color=colour, alpha=0.15, linewidth=0, step="post")
    axes.step(places, steps, where="post", color=colour, linewidth=1.6, label=name)


def _limits(places: npt.NDArray[np.float64]) -> tuple[float, float, bool]:
    """Ends of the axis, with some room, and whether it is logarithmic."""
    low, high = float(places.min()), float(places.max())
    if low > 0 and high > _LONG_TAIL * float(np.median(places)):
        room = (high / low) ** _MARGIN
        return low / room, high * room, True
    room = (high - low) * _MARGIN or max(abs(high), 1.0) * _MARGIN
    return low - room, high + room, False


def _title(rates: dict[str, float]) -> str:
    if not rates:
        return "what a threshold would do\n1 run; bands are 95 % intervals"
    told = []
    for name in ("false_reject", "escape"):
        rate, low, high = (f"{100 * rates[key]:.3g}" for key in (name, f"{name}_low", f"{name}_high"))
        told.append(f"{name.replace('_', ' ')} {rate} % ({low} to {high} %)")
    return ", ".join(told) + "\nat the threshold; brackets and bands are 95 % intervals, 1 run"
