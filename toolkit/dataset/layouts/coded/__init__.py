"""Layouts that a description cannot tell: their labels stand in tables, documents or lists of boxes."""
