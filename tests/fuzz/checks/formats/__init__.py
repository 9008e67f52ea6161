"""Checks of label formats of other tools."""
