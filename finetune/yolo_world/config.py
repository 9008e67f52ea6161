"""Settings of the open-vocabulary detector."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from finetune.detection.config import DetectorConfig, Freeze
from finetune.engine.config import SettingError

__all__ = ["NAME", "YoloWorldConfig"]

NAME = "yolo-world"
"""Of the learner."""


class YoloWorldConfig(DetectorConfig):
    """Settings of YOLO-World, and of YOLOE as a second backend with masks."""

    belongs: ClassVar[Mapping[str, str]] = {"encoder": "prompts=clip", "encoder_weights": "prompts=clip"}

    model: str = Field(
        default="yolov8s-worldv2.pt",
        description=(
            '"yolov8s-worldv2.pt" or another name of ultralytics, which it fetches once; a `.pt` file; or a `.yaml` '
            'file or name, for instance "yolov8n-worldv2.yaml", from scratch. "yoloe-*-seg" makes masks.'
        ),
    )
    freeze: Freeze = Field(
        default="none",
        description=(
            '"backbone" leaves it as it is; "neck" also all that follows, so that only the head learns. What is frozen '
            "forgets nothing of its open vocabulary."
        ),
    )
    prompts: str = Field(
        default="clip",
        description=(
            'where text features come from: "clip" computes them with `encoder`; a `.pt` table that `--export-prompts` '
            'wrote; "hash" makes them from the letters alone, for tests and from scratch.'
        ),
    )
    encoder: str = Field(
        default="auto",
        description='name of an open_clip model; "auto" is the one that the detector was made for.',
    )
    encoder_weights: str = Field(
        default="auto", description='"auto", a name that open_clip fetches once, or a local file.'
    )
    phrases: dict[str, str | list[str]] | Path = Field(
        default_factory=dict,
        description=(
            "class -> phrase or list of phrases, or a YAML file of such lines, for classes whose phrase should say "
            "more. Of several an image in training is shown one at random, and the best of them is the class's score."
        ),
    )
    template: str = Field(
        default="{defect} of {product}",
        description="phrase of the other classes, out of {defect} and {product}.",
    )

    @field_validator("train")
    @classmethod
    def _not_compiled(cls, value: dict[str, Any]) -> dict[str, Any]:
        if value.get("compile", False) is not False:
            raise SettingError("a model of words is not compiled", "leave it out", "compile")
        return value
