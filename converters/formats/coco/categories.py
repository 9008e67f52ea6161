"""COCO categories, of instances and of panoptic segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["coco_categories"]


def coco_categories(classes: Sequence[str]) -> list[dict[str, Any]]:
    """COCO categories; ids from 1."""
    return [{"id": number, "name": name, "supercategory": "defect"} for number, name in enumerate(classes, 1)]
