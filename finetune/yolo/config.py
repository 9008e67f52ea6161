"""Settings of the detector of given classes."""

from __future__ import annotations

from pydantic import Field

from finetune.detection.config import DetectorConfig

__all__ = ["NAME", "YoloConfig"]

NAME = "yolo"
"""Of the learner."""


class YoloConfig(DetectorConfig):
    """Settings of ultralytics' plain models: those that detect and those that segment."""

    model: str = Field(
        default="yolo11s.pt",
        description=(
            '"yolo11s.pt" or another name of ultralytics, which it fetches once; a `.pt` file; or a `.yaml` file or '
            'name, for instance "yolo11n.yaml", from scratch. "yolo11s-seg.pt" and its kin make masks.'
        ),
    )
