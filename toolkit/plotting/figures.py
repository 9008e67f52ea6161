"""How every plot of ours looks, and how it becomes a PNG: the same figure gives the same bytes.

Figures are drawn on matplotlib's Agg canvas without pyplot, under its default style, so that neither a program's own
plots nor its settings and these meet.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

from toolkit.plotting.fonts import font_families, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BLUE", "FAINT", "HEAT_COLOURS", "INK", "WIDTH", "as_png", "fitted", "new_figure", "own_style"]

WIDTH = 7.0
"""Inches: a column of a report."""

INK, FAINT, BLUE = "#222222", "#777777", "#0072B2"
HEAT_COLOURS = ("#ffffff", "#bfe0f3", "#56B4E9", "#0072B2", "#00223a")
"""From nothing to most, ever darker: it can be printed in grey."""

_DPI = 200
_STYLE: dict[str, object] = {
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "font.size": 8,
    "legend.frameon": False,
    "text.color": INK,
    "text.parse_math": False,  # a class may be named $x$
    "xtick.color": INK,
    "ytick.color": INK,
}


@contextmanager
def own_style() -> Iterator[None]:
    """The defaults of matplotlib and ours for the block, whatever a program or a settings file has set."""
    import matplotlib.style

    with warnings.catch_warnings(), matplotlib.style.context(["default", _STYLE]):
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")  # `printable` leaves none but odd spaces
        matplotlib.rcParams["font.family"] = font_families()
        yield


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure, sizes in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def as_png(figure: Figure) -> bytes:
    """The figure as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = BytesIO()
    figure.set_canvas(FigureCanvasAgg(figure))
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def fitted(name: str, letters: int) -> str:
    """A name in at most so many letters, the middle left out if need be: names often differ at their ends."""
    name = printable(name)
    if len(name) <= letters:
        return name
    kept = letters - 1
    return f"{name[: kept - kept // 2]}…{name[len(name) - kept // 2 :]}"
