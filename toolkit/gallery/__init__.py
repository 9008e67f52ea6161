"""The gallery: labels drawn over their images, in one folder that a browser opens without a server."""

from __future__ import annotations

from toolkit.gallery.building import build_gallery, choose
from toolkit.gallery.items import Difference, GalleryItem, GalleryPage, GalleryReport, Shapes, Shown, Words

__all__ = [
    "Difference",
    "GalleryItem",
    "GalleryPage",
    "GalleryReport",
    "Shapes",
    "Shown",
    "Words",
    "build_gallery",
    "choose",
]
