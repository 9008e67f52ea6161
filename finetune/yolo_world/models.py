"""The models that look for words: YOLO-World and YOLOE with masks, and the text encoder that each was made for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import torch

from finetune.detection.models import ModelKind, ModelSource, find_source

__all__ = ["PromptedSource", "find_model"]

_STOCK_ENCODERS = {
    "clip:ViT-B/32": "ViT-B-32-quickgelu/openai",
    "mobileclip:blt": "MobileCLIP-B/datacompdr_lt",
    "mobileclip2:b": "MobileCLIP2-B/dfndr2b",
}


@dataclass(frozen=True)
class PromptedSource(ModelSource):
    """Where a model that looks for words comes from; one that makes masks is YOLOE, and else YOLO-World.

    Attributes:
        encoder: the text encoder that the weights were trained with, or that the architecture is made for.
    """

    encoder: str


def find_model(model: str, weights: str) -> PromptedSource:
    """Look at a model before anything is written.

    Args:
        model, weights: as in `YoloWorldConfig`.

    Raises:
        ToolkitError: there is no such model, it cannot be fetched or read, or is neither YOLO-World nor YOLOE-seg.
    """
    found = find_source(model, weights, _KIND)
    trained = found.given if found.given is not None else found.own
    if trained is not None:
        encoder = _encoder_of(trained)
    else:
        stock = str(found.layers.get("text_model", "mobileclip:blt" if found.source.masks else "clip:ViT-B/32"))
        encoder = _STOCK_ENCODERS.get(stock, stock)
    return PromptedSource(**vars(found.source), encoder=encoder)


def _encoder_of(model: torch.nn.Module) -> str:
    """The text encoder that a model was trained with: ours say so, ultralytics' by their kind."""
    ours = getattr(model, "text_encoder", None)
    if isinstance(ours, str):
        return ours
    stock = str(getattr(model, "text_model", "clip:ViT-B/32"))
    return _STOCK_ENCODERS.get(stock, stock)


def _build(layers: Any, masks: bool) -> torch.nn.Module:
    from ultralytics.nn.tasks import WorldModel, YOLOESegModel

    built: torch.nn.Module = (YOLOESegModel if masks else WorldModel)(layers, nc=1, verbose=False)
    return built


def _published(name: str) -> bool:
    return "world" in name or re.fullmatch(r"yoloe-.*-seg\.pt", name) is not None


_PLAIN = "train it as yolo: defectkit train yolo"
_KIND = ModelKind(
    heads={"WorldDetect": False, "YOLOESegment": True, "YOLOESegment26": True},
    described="neither YOLO-World nor YOLOE with masks",
    build=_build,
    published=_published,
    example="yolov8s-worldv2",
    elsewhere=dict.fromkeys(("Detect", "v10Detect", "Segment", "Segment26"), _PLAIN),
)
