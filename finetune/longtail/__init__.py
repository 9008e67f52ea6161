"""Classifiers for long tails."""
