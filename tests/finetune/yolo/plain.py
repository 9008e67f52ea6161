"""Models small enough to train in a second, and settings that cost little."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finetune.engine.config import parse_config
from finetune.yolo.config import YoloConfig

__all__ = ["BOXES", "MASKS", "SMALL", "settings"]

BOXES, MASKS = (str(Path(__file__).with_name(name)) for name in ("tiny.yaml", "tiny-seg.yaml"))
SMALL: dict[str, Any] = {
    "model": MASKS,
    "epochs": 1,
    "batch_size": 8,
    "image_size": 64,
    "device": "cpu",
    "plots": False,
    "split": {"strategy": "stratified", "val": 0, "test": 0.5},
}


def settings(**changed: Any) -> YoloConfig:
    """Settings that cost little."""
    return parse_config(YoloConfig, {**SMALL, **changed})
