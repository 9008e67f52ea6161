"""Suspicious labels: what runs, masks and copies say against the labels of a dataset, as one ranked list."""
