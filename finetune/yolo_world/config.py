"""Settings of the open-vocabulary detector."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from finetune.engine.config import LearnerConfig
from finetune.engine.splits import SplitConfig
from toolkit.dataset.samples import ClassScheme

__all__ = ["NAME", "Augment", "Freeze", "YoloWorldConfig"]

NAME = "yolo-world"
"""Of the learner."""

Augment = Literal["stock", "mild", "none"]
Freeze = Literal["none", "backbone", "neck"]


class YoloAugment(BaseModel):
    """How training images are varied."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Augment = Field(
        default="stock",
        description=(
            '"stock" is ultralytics\' own, with mosaics; "mild" are flips, shifts and a little colour; or "none".'
        ),
    )


class YoloWorldConfig(LearnerConfig):
    """Settings of YOLO-World, and of YOLOE as a second backend with masks."""

    renamed: ClassVar[Mapping[str, str]] = {"plot": "plots", "augment": "augment.preset"}

    learns = "instances"
    belongs: ClassVar[Mapping[str, str]] = {
        "encoder": "prompts=clip",
        "encoder_weights": "prompts=clip",
        "lr": "optimizer!=auto",
    }

    epochs: int = Field(default=100, ge=1)
    batch_size: int = Field(default=16, ge=1)
    image_size: int = Field(default=640, ge=64, multiple_of=32)
    lr: float = Field(default=1e-3, gt=0, le=1)
    model: str = Field(
        default="yolov8s-worldv2.pt",
        description=(
            '"yolov8s-worldv2.pt" or another name of ultralytics, which it fetches once; a `.pt` file; or a `.yaml` '
            'file or name, for instance "yolov8n-worldv2.yaml", from scratch. "yoloe-*-seg" makes masks.'
        ),
    )
    weights: str = Field(
        default="default",
        description=(
            '"default" are those of `model`, which are random for a `.yaml`; "none" are random; else a `.pt` file, '
            "whose weights are taken where names and shapes agree."
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
    phrases: dict[str, str] | Path = Field(
        default_factory=dict,
        description="class -> phrase, or a YAML file of such lines, for classes whose phrase should say more.",
    )
    template: str = Field(
        default="{defect} of {product}",
        description="phrase of the other classes, out of {defect} and {product}.",
    )
    split: SplitConfig = Field(default=SplitConfig(), description="which images are train, val and test.")
    classes: ClassScheme = Field(
        default="defect", description="how instances are named, as for `defectkit convert --classes`."
    )
    instances: str = Field(
        default="components", description="what is one instance, as for `defectkit convert --instances`."
    )
    min_area: int = Field(
        default=0,
        ge=0,
        description="instances of fewer pixels are left out, in training and in the figures.",
    )
    freeze: Freeze = Field(
        default="none",
        description=(
            '"backbone" leaves it as it is; "neck" also all that follows, so that only the head learns. What is frozen '
            "forgets nothing of its open vocabulary."
        ),
    )
    augment: YoloAugment = Field(default=YoloAugment(), description="how training images are varied.")
    optimizer: Literal["adamw", "sgd", "adam", "auto"] = Field(
        default="adamw",
        description='"adamw", "sgd", "adam", or "auto", by which ultralytics chooses it and the learning rate too.',
    )
    weight_decay: float = Field(default=5e-4, ge=0, le=1, description="L2 penalty.")
    patience: int = Field(
        default=0,
        ge=0,
        description="epochs without a better validation mAP after which training ends; 0 never ends it early.",
    )
    precision: Literal["auto", "32", "bf16-mixed"] = Field(
        default="auto",
        description='"auto" is bf16 on a GPU that has it, else 32 bits.',
    )
    devices: int = Field(default=1, ge=1, description="GPUs that train together.")
    confidence: float = Field(default=0.25, gt=0, lt=1, description="`predict` shows detections that score higher.")
    export: Literal["none", "onnx"] = Field(
        default="none",
        description='"onnx" writes RUN/model.onnx after training, checked against PyTorch.',
    )
    plots: bool = Field(default=True, description="whether ultralytics draws its plots.")

    def scaled(self, width: int, height: int) -> tuple[float, float]:
        """Factors by which an image is made wider and higher: its longer side becomes `image_size`."""
        return (self.image_size / max(width, height),) * 2

    @field_validator("optimizer", mode="before")
    @classmethod
    def _in_small_letters(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value  # ultralytics writes "AdamW", and so did 0.1.0
