"""Figures, each once, with its source."""
