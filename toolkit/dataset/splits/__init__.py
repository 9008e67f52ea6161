"""Who is train, val and test: seeded, stratified, safe against duplicates, saved as CSV.

Images with identical bytes always share a subset, and so do those that belong to one group.
"""

from toolkit.dataset.splits.duplicates import find_duplicates
from toolkit.dataset.splits.model import NONE, STRATEGIES, SUBSETS, Split
from toolkit.dataset.splits.saved import load_split, read_split, write_split
from toolkit.dataset.splits.strategies import OF_STRATEGY, split_dataset

__all__ = [
    "NONE",
    "OF_STRATEGY",
    "STRATEGIES",
    "SUBSETS",
    "Split",
    "find_duplicates",
    "load_split",
    "read_split",
    "split_dataset",
    "write_split",
]
