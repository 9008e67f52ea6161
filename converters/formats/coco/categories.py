"""COCO categories, of instances and of panoptic segments."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.aliases import JsonObject

__all__ = ["coco_categories"]


def coco_categories(classes: Sequence[str]) -> list[JsonObject]:
    """COCO categories; ids from 1."""
    return [{"id": number, "name": name, "supercategory": "defect"} for number, name in enumerate(classes, 1)]
