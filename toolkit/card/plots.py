"""The plots of a dataset card, as PNG for a report: 7 inches wide, in colours that everybody can tell apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from toolkit.card.distributions import Distribution
from toolkit.plotting.figures import BLUE, FAINT, HEAT_COLOURS, WIDTH, as_png, fitted, new_figure, own_style
from toolkit.plotting.fonts import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from toolkit.card.model import DatasetCard
    from toolkit.card.statistics import ClassFigures

__all__ = ["PLOTS", "draw_plots"]

PLOTS = {
    "classes.png": "Images of each class",
    "areas.png": "Areas of the defects",
    "instances.png": "Instances in an image",
    "heat_maps.png": "Where the defects are",
}
"""Names and titles of the plots; those that have nothing to show are not drawn."""

_ROW = 0.24  # inches for a class in a list of classes
_SUBSET_COLOURS = {"train": "#0072B2", "val": "#56B4E9", "test": "#E69F00"}
_OTHER_SUBSETS = ("#009E73", "#CC79A7", "#999999")
_MOST_ROWS = 100  # classes in a list
_MOST_MAPS = 48  # heat maps on a page that can still be read
_MOST_BARS = 20  # whole numbers with a bar each; beyond, bins of powers of two


def draw_plots(card: DatasetCard) -> dict[str, bytes]:
    """Draw a card.

    Returns:
        File name, out of `PLOTS`, -> PNG.
    """
    drawers: dict[str, Callable[[DatasetCard], Figure]] = {"classes.png": _draw_classes}
    if card.measured is not None:
        drawers |= {"areas.png": _draw_areas, "instances.png": _draw_instances, "heat_maps.png": _draw_heat_maps}
    with own_style():
        return {name: as_png(draw(card)) for name, draw in drawers.items()}


def _draw_classes(card: DatasetCard) -> Figure:
    """A bar for each class, in as many pieces as it has subsets, and the number of its images."""
    every = [*card.classes, *(name for name in card.defect_names if name not in card.classes)]
    names = _largest(every, card.classes, _MOST_ROWS)
    figure = new_figure(1.0 + _ROW * max(len(names), 2))
    axes = figure.add_subplot()
    left = np.zeros(len(names))
    others = iter(_OTHER_SUBSETS * len(card.subsets))
    for subset, classes in card.subsets.items():
        widths = np.array([classes.get(name, 0) for name in names], np.float64)
        colour = _SUBSET_COLOURS.get(subset) or next(others)
        label = f"{subset} ({_counted(card.subset_images[subset])})"
        axes.barh(range(len(names)), widths, left=left, height=0.72, color=colour, label=printable(label))
        left += widths
    for row, name in enumerate(names):
        axes.annotate(str(card.classes.get(name, 0)), (left[row], row), (3, 0), textcoords="offset points", va="center")
    _list_classes(axes, names)
    axes.set_xlabel("images" + _left_out(every, names))
    axes.set_xlim(0, max(left.max(initial=0), 1) * 1.08)
    _count_axis(axes.xaxis)
    figure.legend(loc="outside upper left", ncols=max(1, len(card.subsets)), borderaxespad=0.2)
    return figure


def _largest(names: Sequence[str], images: Mapping[str, int], most: int) -> list[str]:
    """As many classes as can be shown, those with most images, in the order in which they are given."""
    chosen = set(sorted(names, key=lambda name: (-images.get(name, 0), name))[:most])
    return [name for name in names if name in chosen]


def _left_out(every: Sequence[str], shown: Sequence[str]) -> str:
    return f" (the largest {len(shown)} of {len(every)} classes)" if len(shown) < len(every) else ""


def _list_classes(axes: Axes, names: Sequence[str]) -> None:
    """Names of classes down the left side, the first on top, with no ticks or axis line."""
    axes.set_yticks(range(len(names)), [fitted(name, 34) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _count_axis(axis: Axis) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))


def _log_axis(axis: Axis, decades: float) -> None:
    """Ticks at powers of ten, on a short axis at 1, 2 and 5 of them, written out."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2.5 else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.9f}".rstrip("0").rstrip(".")))
    axis.set_minor_formatter(NullFormatter())


def _draw_areas(card: DatasetCard) -> Figure:
    """A histogram of the areas of all instances, and below it for each class their range, on the same axis."""
    images = {name: figures.images for name, figures in card.figures.items()}
    names = _largest(list(images), images, _MOST_ROWS)
    below = 0.3 + _ROW * max(len(names), 2)
    figure = new_figure(2.6 + below)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[1.7, below])
    edges = [begin for begin, _, _ in card.area_histogram] + [card.area_histogram[-1][1]]
    top.stairs([times for _, _, times in card.area_histogram], edges, fill=True, color=BLUE, alpha=0.85)
    top.set_ylabel("instances")
    _count_axis(top.yaxis)
    for row, name in enumerate(names):
        _draw_range(bottom, row, card.figures[name].area_px)
    _list_classes(bottom, names)
    decades = math.log10(edges[-1] / edges[0])
    bottom.set_xscale("log")
    _log_axis(bottom.xaxis, decades)
    bottom.set_xlim(edges[0] / 1.15, edges[-1] * 1.15)
    bottom.set_xlabel("area of an instance, pixels" + _left_out(list(images), names))
    bottom.set_title("Thin 5 % to 95 %, thick 25 % to 75 %, dot median", color=FAINT, fontsize=7.5)
    bottom.grid(axis="x", color="#dddddd", linewidth=0.5)
    bottom.set_axisbelow(True)
    if len({(width, height) for width, height, _ in card.sizes}) == 1:
        width, height, _ = next(iter(card.sizes))
        pixels = width * height
        share = top.secondary_xaxis("top", functions=(lambda px: px / pixels * 100, lambda part: part * pixels / 100))
        _log_axis(share.xaxis, decades)
        share.set_xlabel("% of the image")
    return figure


def _draw_range(axes: Axes, row: int, areas: Distribution) -> None:
    axes.plot([areas.p05, areas.p95], [row, row], color=BLUE, linewidth=1.2, solid_capstyle="butt")
    axes.plot([areas.p25, areas.p75], [row, row], color=BLUE, linewidth=5, solid_capstyle="butt")
    axes.plot([areas.median], [row], "o", color="white", markeredgecolor=BLUE, markersize=5)


def _draw_instances(card: DatasetCard) -> Figure:
    """How many images show one instance, two, three, and so on; bins of powers of two where that were too many bars."""
    most = max(card.instances_per_image)
    bars = [(str(number), card.instances_per_image.get(number, 0)) for number in range(1, most + 1)]
    if most > _MOST_BARS:
        bins = [(1 << power, (2 << power) - 1) for power in range(most.bit_length())]
        bars = [
            (
                str(low) if low == high else f"{low}–{high}",
                sum(images for number, images in card.instances_per_image.items() if low <= number <= high),
            )
            for low, high in bins
        ]
    figure = new_figure(2.6)
    axes = figure.add_subplot()
    drawn = axes.bar(range(len(bars)), [images for _, images in bars], width=0.72, color=BLUE)
    axes.bar_label(drawn, [str(images) if images else "" for _, images in bars], padding=2)
    axes.set_xticks(range(len(bars)), [name for name, _ in bars])
    axes.set_xlim(-0.6, max(len(bars), 6) - 0.4)
    axes.tick_params(axis="x", length=0)
    axes.set_xlabel("instances in an image that shows a defect")
    axes.set_ylabel("images")
    axes.margins(y=0.12)
    _count_axis(axes.yaxis)
    return figure


def _draw_heat_maps(card: DatasetCard) -> Figure:
    """For all defects together and each class the part of its images that is marked in each place."""
    images = {name: figures.images for name, figures in card.figures.items()}
    names = _largest(list(images), images, _MOST_MAPS - 1)
    shown = [(name, card.figures[name]) for name in names]
    if card.measured is not None and len(images) > 1:
        shown.insert(0, ("all" if len(names) == len(images) else f"all {len(images)} classes", card.measured))
    width, height, _ = next(iter(card.sizes))
    columns = min(len(shown), 3 if len(shown) <= 6 else 4 if len(shown) <= 12 else 6)
    rows = math.ceil(len(shown) / columns)
    side = WIDTH / max(columns, 2)  # one map alone need not fill the page
    figure = new_figure(rows * (side * min(max(height / width, 0.4), 2.5) + 0.42) + 0.55, side * columns)
    every_axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in every_axes[len(shown) :]:
        axes.set_visible(False)
    letters = 120 // max(columns, 2)
    pictures = []
    for (name, figures), axes in zip(shown, every_axes, strict=False):
        pictures.append(_draw_heat_map(axes, figures, (width, height)))
        title = f"{fitted(name, letters)}\n{_counted(figures.images)}, peak {_share(figures.heat.max())}"
        axes.set_title(title, fontsize=8 if columns < 6 else 6)
    shrink, aspect = (0.9, 25) if columns == 1 else (0.5, 40)
    bar = figure.colorbar(pictures[0], ax=every_axes, location="bottom", shrink=shrink, aspect=aspect, pad=0.02)
    bar.set_ticks([0, 1], labels=["never marked", "its peak"])
    bar.set_label("part of a class's images that is marked there" + _left_out(list(images), names))
    bar.outline.set_visible(False)
    return figure


def _draw_heat_map(axes: Axes, figures: ClassFigures, size: tuple[int, int]) -> AxesImage:
    """One heat map, in the shape of an image of this width and height, from 0 to its own peak."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("marked", HEAT_COLOURS)
    heat = figures.heat / figures.heat.max()
    picture = axes.imshow(heat, cmap=colours, vmin=0, vmax=1, extent=(0, size[0], size[1], 0), aspect="equal")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, linewidth=0.5)
    return picture


def _counted(images: int) -> str:
    return f"{images} image{'s' * (images != 1)}"


def _share(part: float) -> str:
    return f"{100 * part:.0f} %" if part >= 0.1 else f"{100 * part:.2g} %"
