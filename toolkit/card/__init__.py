"""The dataset card: what anyone must report about a dataset, in words, tables, plots and JSON."""

from toolkit.card.card import DatasetCard, describe_dataset

__all__ = ["DatasetCard", "describe_dataset"]
