"""LabelMe: drawing, reading, writing."""
