"""Published counts of MVTec AD, and how a dataset at hand stands against them.

Source of the counts: Bergmann, Fauser, Sattlegger, Steger, "MVTec AD", CVPR 2019, table 1, and the released archives.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from toolkit.dataset.samples import GOOD

if TYPE_CHECKING:
    from toolkit.dataset.samples import Sample

__all__ = ["compare_with_published", "differences", "published_counts"]

_SHOWN = 3  # differences in a remark


@dataclass(frozen=True)
class PublishedCounts:
    """What MVTec published of one category.

    Attributes:
        train_good, test_good, test_defect: numbers of images.
        image_px: width and height of every image, in pixels.
        channels: 1 grey, 3 colour.
        defects: kind of defect -> images.
    """

    train_good: int
    test_good: int
    test_defect: int
    image_px: int
    channels: int
    defects: dict[str, int]


@cache
def published_counts() -> dict[str, PublishedCounts]:
    """Category -> published counts, for the 15 categories of MVTec AD."""
    counts = {}
    lines = files("toolkit.dataset").joinpath("mvtec_ad.csv").read_text(encoding="utf-8").splitlines()
    for row in csv.DictReader(lines):
        defects = dict(pair.split(":") for pair in row["defects"].split())
        counts[row["category"]] = PublishedCounts(
            train_good=int(row["train_good"]),
            test_good=int(row["test_good"]),
            test_defect=int(row["test_defect"]),
            image_px=int(row["image_px"]),
            channels=int(row["channels"]),
            defects={name: int(count) for name, count in defects.items()},
        )
    return counts


def differences(samples: Iterable[Sample]) -> dict[str, list[str]]:
    """How the categories that carry a published name differ: category -> differences, none if it agrees."""
    found: dict[str, Counter[tuple[str, str]]] = {}
    for sample in samples:
        found.setdefault(sample.category, Counter())[sample.split, sample.defect] += 1
    report = {}
    for category, counts in sorted(found.items()):
        published = published_counts().get(category)
        if published is not None:
            wanted = {("train", GOOD): published.train_good, ("test", GOOD): published.test_good}
            wanted |= {("test", name): count for name, count in published.defects.items()}
            report[category] = [
                f"{split}/{name}: {counts[split, name]} images, published {wanted.get((split, name), 0)}"
                for split, name in sorted(counts.keys() | wanted.keys())
                if counts[split, name] != wanted.get((split, name), 0)
            ]
    return report


def compare_with_published(samples: Iterable[Sample]) -> list[str]:
    """A remark for every category that differs from the published counts, the first few differences in it."""
    return [
        f"{category} differs from the published MVTec AD: {'; '.join(lines[:_SHOWN])}"
        + (f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else "")
        for category, lines in differences(samples).items()
        if lines
    ]
