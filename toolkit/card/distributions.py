"""What a dataset card measures: distributions, how uneven classes are, and where in an image something is marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from toolkit.aliases import FloatArray

__all__ = [
    "HEAT_CELLS",
    "Balance",
    "Distribution",
    "coverage_grid",
    "distribution",
    "gini",
    "measure_balance",
    "percent_text",
    "power_histogram",
]

HEAT_CELLS = 64
"""Rows and columns of a heat map, whatever the size of the images."""

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_DIGITS = 6


@dataclass(frozen=True)
class Distribution:
    """How numbers are distributed. Quantiles are numbers that occur (the inverse of the cumulative distribution).

    Attributes:
        count: how many numbers.
        least, most, mean: of them all.
        p05, p25, median, p75, p95: quantiles.
    """

    count: int
    least: float
    p05: float
    p25: float
    median: float
    p75: float
    p95: float
    most: float
    mean: float

    def as_json(self) -> dict[str, float]:
        """The same by name, "min" and "max" for the extremes."""
        quantiles = {name: getattr(self, name) for name in ("p05", "p25", "median", "p75", "p95")}
        return {"count": self.count, "min": self.least, **quantiles, "max": self.most, "mean": self.mean}


@dataclass(frozen=True)
class Balance:
    """How images are spread over classes.

    The head is the largest third of the classes (rounded down, at least one), the tail the smallest third; of classes
    of equal size the one that comes first in the alphabet counts as larger. Where all are of one size, both are empty.

    Attributes:
        images: class -> images, the largest class first.
        imbalance_factor: images of the largest class over those of the smallest; None without classes. Cui, Jia, Lin,
            Song, Belongie, "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, section 5.1.
        gini: 0 if all classes are of one size, towards 1 the more a few of them hold: see `gini`.
        head, tail: names of the classes.
        head_share, tail_share: their part of the images, 0 to 1.
    """

    images: dict[str, int]
    imbalance_factor: float | None
    gini: float
    head: tuple[str, ...]
    tail: tuple[str, ...]
    head_share: float
    tail_share: float

    def as_json(self) -> dict[str, object]:
        """The same by name, without the counts."""
        return {
            "imbalance_factor": self.imbalance_factor,
            "gini": self.gini,
            "head": {"classes": list(self.head), "share": self.head_share},
            "tail": {"classes": list(self.tail), "share": self.tail_share},
        }


def distribution(counts: Mapping[float, int]) -> Distribution | None:
    """The distribution of numbers that occur as often as `counts` (number -> times) says; None if there are none."""
    if not counts:
        return None
    values = np.array(sorted(counts), np.float64)
    times = np.array([counts[value] for value in sorted(counts)], np.float64)
    quantiles = np.quantile(values, _QUANTILES, weights=times, method="inverted_cdf")
    least, p05, p25, median, p75, p95, most = (_plain(float(x)) for x in (values[0], *quantiles, values[-1]))
    mean = round(float(values @ times / times.sum()), _DIGITS)
    return Distribution(int(times.sum()), least, p05, p25, median, p75, p95, most, mean)


def _plain(value: float) -> float:
    """Whole numbers as int, others rounded to a millionth, which keeps noise of the arithmetic out of files."""
    return int(value) if value == int(value) else round(value, _DIGITS)


def gini(sizes: Iterable[int]) -> float:
    """Gini coefficient of the sizes of classes: 0 if all are equal, at most (n - 1) / n for n classes.

    G = sum_i (2 i - n - 1) x_i / (n sum_i x_i), sizes x_i in ascending order, i from 1: Damgaard and Weiner,
    "Describing inequality in plant size or fecundity", Ecology 81 (2000), equation 2, without the correction for small
    samples, since the classes at hand are all there are. As a measure of long tails: Yang, Jiang, Song, Guo, "A Survey
    on Long-Tailed Visual Recognition", IJCV 2022.
    """
    ordered = sorted(sizes)
    total, count = sum(ordered), len(ordered)
    if not total:
        return 0.0
    return round(sum((2 * i - count - 1) * size for i, size in enumerate(ordered, 1)) / (count * total), _DIGITS)


def measure_balance(classes: Mapping[str, int]) -> Balance:
    """How evenly images are spread over those classes that have any."""
    ordered = sorted(((name, images) for name, images in classes.items() if images), key=lambda one: (-one[1], one[0]))
    if not ordered:
        return Balance({}, None, 0.0, (), (), 0.0, 0.0)
    uneven = ordered[0][1] > ordered[-1][1]
    third = max(1, len(ordered) // 3) if uneven else 0
    total = sum(images for _, images in ordered)
    head, tail = ordered[:third], ordered[len(ordered) - third :]
    return Balance(
        images=dict(ordered),
        imbalance_factor=round(ordered[0][1] / ordered[-1][1], _DIGITS),
        gini=gini(images for _, images in ordered),
        head=tuple(name for name, _ in head),
        tail=tuple(name for name, _ in tail),
        head_share=round(sum(images for _, images in head) / total, _DIGITS),
        tail_share=round(sum(images for _, images in tail) / total, _DIGITS),
    )


def power_histogram(counts: Mapping[int, int]) -> list[tuple[int, int, int]]:
    """Whole numbers from 1 on in bins from one power of two to the next: (from, below, times), no bin left out between.

    Such bins are of one width on a logarithmic axis, and each holds a whole number at least.
    """
    bins: dict[int, int] = {}
    for value, times in counts.items():
        power = value.bit_length() - 1
        bins[power] = bins.get(power, 0) + times
    if not bins:
        return []
    return [(1 << power, 2 << power, bins.get(power, 0)) for power in range(min(bins), max(bins) + 1)]


def coverage_grid(mask: npt.NDArray[np.bool_], offset: tuple[int, int], size: tuple[int, int]) -> FloatArray:
    """How much of each cell of an image is marked, exactly, whatever the image's size.

    Args:
        mask: bool (h, w), marked pixels.
        offset: place (x, y) of its first pixel in the image.
        size: width and height of the image.

    Returns:
        float64 (64, 64), from 0 to 1, rows from top to bottom: the image in `HEAT_CELLS` equal rows and columns.
    """
    x, y = offset
    across = _cell_sums(mask.T, x, size[0])  # (cells, h): for each row of the mask what each column of cells holds
    return _cell_sums(across.T, y, size[1]) * (HEAT_CELLS / size[0]) * (HEAT_CELLS / size[1])


def _cell_sums(values: npt.NDArray[np.bool_] | FloatArray, start: int, total: int) -> FloatArray:
    """Sums over the first axis within each cell, of an axis of `total` pixels in which the values begin at `start`.

    A pixel that an edge between cells cuts counts for both, in proportion: the running sum is read between pixels.
    """
    edges = np.clip(np.arange(HEAT_CELLS + 1) * total / HEAT_CELLS - start, 0, len(values))
    below = np.minimum(edges.astype(np.int64), len(values) - 1)
    running = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=running[1:])
    read = running[below] + values[below] * (edges - below)[:, None]
    return np.asarray(np.diff(read, axis=0), np.float64)


def percent_text(value: float) -> str:
    """Percent to three digits: areas go down to a millionth of the image."""
    return f"{float(f'{value:.3g}'):f}".rstrip("0").rstrip(".") + " %"
