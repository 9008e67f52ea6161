"""Damaged labels of other tools: a module a format."""
