"""Overlays, figures and Markdown."""
