"""The dataset itself: what is on disk, what is in a mask, how it is split, drawn and described.

Names are loaded on first use, so that the command line starts without OpenCV.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.card.card import describe_dataset
    from toolkit.card.model import DatasetCard
    from toolkit.dataset.layouts import load_dataset
    from toolkit.dataset.samples import Dataset, Sample
    from toolkit.dataset.splits import Split, read_split, split_dataset, write_split
    from toolkit.errors import BadInputError, Problem, ToolkitError
    from toolkit.geometry.labels import Instance, LabelledImage
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
    "ToolkitError",
    "describe_dataset",
    "load_dataset",
    "read_split",
    "split_dataset",
    "write_product",
    "write_split",
]

_HOMES = {
    "card.card": ("describe_dataset",),
    "card.model": ("DatasetCard",),
    "errors": ("BadInputError", "Problem", "ToolkitError"),
    "geometry.labels": ("Instance", "LabelledImage"),
    "dataset.layouts": ("load_dataset",),
    "dataset.samples": ("Dataset", "Sample"),
    "dataset.splits": ("Split", "read_split", "split_dataset", "write_split"),
    "synthetic.product": ("write_product",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
