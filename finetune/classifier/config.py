"""What the classifier can be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

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
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="share of the target that is spread over all classes."
    )
    plots: bool = Field(default=True, description="draw the confusion matrix and what the classifier looked at.")
