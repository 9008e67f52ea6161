"""Variations of a learner, and whether they differ."""
