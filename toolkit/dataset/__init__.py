"""Samples, keys, splits, layouts, and published counts."""
