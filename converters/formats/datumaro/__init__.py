"""Datumaro's own JSON: `annotations/<subset>.json`, and images in `images/<subset>/`."""
