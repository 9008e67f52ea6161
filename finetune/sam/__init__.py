"""Boxes and points to masks."""
