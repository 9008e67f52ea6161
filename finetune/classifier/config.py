"""What the classifier can be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from finetune.classification.config import BackboneConfig

__all__ = ["ClassifierConfig"]


class ClassifierConfig(BackboneConfig):
    """What the classifier can be told."""

    belongs: ClassVar[Mapping[str, str]] = {
        "probe_strength": "mode=linear-probe",
        **dict.fromkeys(
            (
                *("epochs", "lr", "optimizer", "weight_decay", "schedule", "backbone_lr_scale", "head_lr_scale"),
                *("freeze", "augment", "hold_out", "label_smoothing"),
            ),
            "mode=finetune",
        ),
    }

    mode: Literal["finetune", "linear-probe"] = Field(
        default="finetune",
        description=(
            '"finetune" trains the backbone; "linear-probe" computes its features once, as they are, and fits logistic '
            "regression on them, so that epochs, lr, optimizer and augmentation are unused."
        ),
    )
    probe_strength: float = Field(
        default=1.0, gt=0, description="inverse strength of that regression's regularisation."
    )
    class_weights: Literal["none", "balanced"] = Field(
        default="none",
        description=(
            'what an image of each class weighs in the loss: "none" is 1, "balanced" is one over the number of its '
            "class, times the mean of these numbers."
        ),
    )

    @field_validator("mode")
    @classmethod
    def _linear(cls, value: str, info: ValidationInfo) -> str:
        head = info.data.get("head")
        if value == "linear-probe" and head is not None and (head.kind != "linear" or head.dropout):
            raise ValueError("a linear probe has a linear head without dropout: leave head out, or set mode: finetune")
        return value
