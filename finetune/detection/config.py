"""Settings that all detectors of ultralytics have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from finetune.detection.stock import check_passed, own_words, passed_names
from finetune.engine.config import LearnerConfig, SettingError
from finetune.engine.outputs.loggers import LoggerName, logger_field
from finetune.engine.splits import SplitConfig
from toolkit.dataset.samples import ClassScheme

__all__ = ["Augment", "DetectorConfig", "Freeze", "OptimizerName"]

Augment = Literal["stock", "mild", "none"]
Freeze = Literal["none", "backbone", "neck"]
OptimizerName = Literal["adamw", "sgd", "musgd", "adam", "adamax", "nadam", "radam", "rmsprop", "auto"]


class DetectorAugment(BaseModel):
    """How training images are varied."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Augment = Field(
        default="stock",
        description=(
            '"stock" is ultralytics\' own, with mosaics; "mild" are flips, shifts and a little colour; or "none".'
        ),
    )


class DetectorConfig(LearnerConfig):
    """Settings of a detector."""

    renamed: ClassVar[Mapping[str, str]] = {
        "plot": "plots",
        "augment": "augment.preset",
        **own_words(),
        **{name: f"train.{name}" for name in passed_names() if name != "freeze"},
    }

    learns = "instances"
    belongs: ClassVar[Mapping[str, str]] = {"lr": "optimizer!=auto"}

    epochs: int = Field(default=100, ge=1)
    batch_size: int = Field(default=16, ge=1)
    image_size: int = Field(default=640, ge=64, multiple_of=32)
    lr: float = Field(default=1e-3, gt=0, le=1)
    model: str = Field(default="", description="which model.")
    weights: str = Field(
        default="default",
        description=(
            '"default" are those of `model`, which are random for a `.yaml`; "none" are random; else a `.pt` file, '
            "whose weights are taken where names and shapes agree."
        ),
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
        description='"backbone" leaves it as it is; "neck" also all that follows, so that only the head learns.',
    )
    augment: DetectorAugment = Field(default=DetectorAugment(), description="how training images are varied.")
    optimizer: OptimizerName = Field(
        default="adamw",
        description=(
            '"adamw", "sgd", "musgd", "adam", "adamax", "nadam", "radam", "rmsprop", or "auto", by which ultralytics '
            "chooses it and the learning rate too."
        ),
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
    max_detections: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description=(
            "detections that are kept of an image, the best of all classes; where an image reached it, that is said. "
            "COCO's figures count 100 of a class in an image, whatever it is."
        ),
    )
    export: Literal["none", "onnx"] = Field(
        default="none",
        description='"onnx" writes RUN/model.onnx after training, checked against PyTorch.',
    )
    logger: LoggerName = logger_field("none")
    plots: bool = Field(default=True, description="whether ultralytics draws its plots.")
    train: dict[str, Any] = Field(
        default_factory=dict,
        description=(
            "ultralytics' own settings of training by their own names, which go before all others here, such as "
            f"{{flipud: 0.5, degrees: 180}}: {', '.join(passed_names()) or 'those that it lists once it is installed'}."
        ),
    )

    def scaled(self, width: int, height: int) -> tuple[float, float]:
        """Factors by which an image is made wider and higher: its longer side becomes `image_size`."""
        return (self.image_size / max(width, height),) * 2

    @field_validator("optimizer", mode="before")
    @classmethod
    def _in_small_letters(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value  # ultralytics writes "AdamW", and so did 0.1.0

    @field_validator("train")
    @classmethod
    def _as_ultralytics_takes_it(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        check_passed(value)
        frozen = info.data.get("freeze", "none")
        if "freeze" in value and frozen != "none":
            raise SettingError(f"does not go with freeze={frozen}", "set one of them", "freeze")
        return dict(sorted(value.items()))
