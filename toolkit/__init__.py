"""The dataset itself: what is on disk, what is in a mask, how it is split, drawn and described.

Names are loaded on first use, so that the command line starts without OpenCV.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.lazy import offer

if TYPE_CHECKING:
    from toolkit.card.card import describe_dataset
    from toolkit.card.model import DatasetCard
    from toolkit.dataset.dataset import Dataset
    from toolkit.dataset.layouts import load_dataset
    from toolkit.dataset.samples import Sample
    from toolkit.dataset.splits import Split, read_split, split_dataset, write_split
    from toolkit.errors import BadInputError, Problem, ToolkitError
    from toolkit.files.reach import following_links
    from toolkit.geometry.labels import Instance, LabelledImage
    from toolkit.geometry.tiles import Tiles
    from toolkit.synthetic.product import write_product

__version__ = "0.1.0"

__all__ = [
    "BadInputError",
    "Dataset",
    "DatasetCard",
    "Instance",
    "LabelledImage",
    "Problem",
    "Sample",
    "Split",
    "Tiles",
    "ToolkitError",
    "describe_dataset",
    "following_links",
    "load_dataset",
    "read_split",
    "split_dataset",
    "write_product",
    "write_split",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "card.card": ("describe_dataset",),
        "card.model": ("DatasetCard",),
        "dataset.layouts": ("load_dataset",),
        "dataset.dataset": ("Dataset",),
        "dataset.samples": ("Sample",),
        "dataset.splits": ("Split", "read_split", "split_dataset", "write_split"),
        "errors": ("BadInputError", "Problem", "ToolkitError"),
        "files.reach": ("following_links",),
        "geometry.labels": ("Instance", "LabelledImage"),
        "geometry.tiles": ("Tiles",),
        "synthetic.product": ("write_product",),
    },
)
