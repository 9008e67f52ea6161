"""Published numbers of images, and how a dataset at hand stands against them. Sources: see each layout's own."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from toolkit.dataset.samples import GOOD, Sample

__all__ = ["compare_with_published"]

_SHOWN = 3  # differences in a remark


@dataclass(frozen=True)
class _Count:
    """A number of images, of one product, or of a dataset that has a known number of products.

    Attributes:
        category: the product; "" for the whole dataset.
        categories: products of the whole dataset; 0 for one product.
        split: subset; "" for all.
        label: class, or good, or defect for all but good, or unlabelled; "" for all.
        images: how many were published.
    """

    category: str
    categories: int
    split: str
    label: str
    images: int


@cache
def _published() -> dict[str, list[_Count]]:
    """Layout -> counts."""
    counts: dict[str, list[_Count]] = {}
    lines = files("toolkit.dataset").joinpath("published.csv").read_text(encoding="utf-8").splitlines()
    for row in csv.DictReader(lines):
        count = _Count(row["category"], int(row["categories"] or 0), row["split"], row["class"], int(row["images"]))
        counts.setdefault(row["layout"], []).append(count)
    return counts


def compare_with_published(layout: str, samples: Sequence[Sample]) -> list[str]:
    """A remark for the dataset, and for every product, whose numbers of images are not those that were published."""
    counts = _published().get(layout)
    if not counts:
        return []
    found: Counter[tuple[str, str, str]] = Counter()
    for sample in samples:
        label = sample.kind if sample.kind in (GOOD, "unlabelled") else sample.defect
        found[sample.category, sample.split, label or ""] += 1
    products = len({category for category, _, _ in found})
    differences: dict[str, list[str]] = {}
    for count in counts:
        there = count.category in {category for category, _, _ in found} or count.categories == products
        number = sum(images for group, images in found.items() if _counts(count, *group))
        if there and number != count.images:
            what = "/".join(part for part in (count.split, count.label) if part) or "all"
            differences.setdefault(count.category, []).append(f"{what}: {number} images, published {count.images}")
    return [
        f"{category or 'the dataset'} differs from the published {layout}: {'; '.join(lines[:_SHOWN])}"
        + (f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else "")
        for category, lines in differences.items()
    ]


def _counts(count: _Count, category: str, split: str, label: str) -> bool:
    """Whether a number of images is about those of a product, a subset and a class."""
    of_class = label not in (GOOD, "unlabelled") if count.label == "defect" else label == count.label
    return count.category in ("", category) and count.split in ("", split) and (not count.label or of_class)
