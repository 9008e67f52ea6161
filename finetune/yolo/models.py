"""The plain models of ultralytics that are trained here: those that detect, and those that segment."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from finetune.detection.models import ModelKind, ModelSource, find_source

__all__ = ["find_model"]

_NAMES = re.compile(r"yolo(v8|11|12|26)[nsmlx](-seg)?\.pt|yolov9([tsm]|[ce](-seg)?)\.pt|yolov10[nsmblx]\.pt")


def find_model(model: str, weights: str) -> ModelSource:
    """Look at a model before anything is written.

    Args:
        model, weights: as in `YoloConfig`.

    Raises:
        ToolkitError: there is no such model, it cannot be fetched or read, or neither detects nor segments.
    """
    return find_source(model, weights, _KIND).source


def _build(layers: Any, masks: bool) -> nn.Module:
    from ultralytics.nn.tasks import DetectionModel, SegmentationModel

    kind: Any = SegmentationModel if masks else DetectionModel
    built: nn.Module = kind(layers, nc=1, verbose=False)
    return built


def _published(name: str) -> bool:
    return _NAMES.fullmatch(name) is not None


_WORDS = "train it as yolo-world: defectkit train yolo-world"
_TURNED = (
    "use a model that detects or segments, for instance yolo11s.pt or yolo11s-seg.pt; "
    "'defectkit convert --to yolo-obb' writes what such a model learns from elsewhere"
)
_KIND = ModelKind(
    heads={"Detect": False, "v10Detect": False, "Segment": True, "Segment26": True},
    described="no model that detects or segments",
    build=_build,
    published=_published,
    example="yolo11s",
    elsewhere={
        **dict.fromkeys(("WorldDetect", "YOLOESegment", "YOLOESegment26"), _WORDS),
        "Classify": "classes of whole images are learnt by 'defectkit train classifier'",
        **dict.fromkeys(("OBB", "OBB26"), _TURNED),
    },
)
