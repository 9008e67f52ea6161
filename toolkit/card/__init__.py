"""The dataset card: what anyone must report about a dataset, in words, tables, plots and JSON."""

from toolkit.card.card import describe_dataset
from toolkit.card.model import DatasetCard

__all__ = ["DatasetCard", "describe_dataset"]
