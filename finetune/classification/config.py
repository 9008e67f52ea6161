"""Settings of learners that train a classification backbone; without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from finetune.classification.names import BACKBONE_MEANING, PACKAGED, WEIGHTS_MEANING, check_backbone
from finetune.classification.normalization import normalization
from finetune.engine.config import AugmentConfig, Flips, Normalization, TrainedConfig
from finetune.engine.splits import SplitConfig

__all__ = ["BackboneConfig"]


class BackboneConfig(TrainedConfig):
    """Settings of a learner that trains a classification backbone."""

    renamed: ClassVar[Mapping[str, str]] = {"optimiser": "optimizer"}

    backbone: str = Field(default=PACKAGED, description=BACKBONE_MEANING)
    weights: str = Field(default="default", description=WEIGHTS_MEANING)
    optimizer: Literal["adam", "adamw", "sgd"] = Field(
        default="adam",
        description='"adam", "adamw" or "sgd" (with momentum 0.9).',
    )
    weight_decay: float = Field(default=0.0, ge=0, description="of the optimiser.")
    schedule: Literal["constant", "cosine", "step"] = Field(
        default="constant",
        description=(
            'of the learning rate: "constant", "cosine" (down to 0), or "step" (a tenth after one half of the epochs, a'
            " hundredth after three quarters)."
        ),
    )
    backbone_lr_scale: float = Field(
        default=1.0, gt=0, description="learning rate of the backbone, as a multiple of `lr`."
    )
    head_lr_scale: float = Field(default=1.0, gt=0, description="learning rate of the head, as a multiple of `lr`.")
    freeze: int = Field(
        default=0, ge=0, description="stages of the backbone, from the input on, that keep their weights."
    )
    augment: AugmentConfig = Field(default=AugmentConfig(), description="how training images are varied.")
    tta: Flips = Field(
        default="none",
        description='flips whose probabilities are averaged in prediction: "none", "horizontal" or "both".',
    )
    hold_out: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description=(
            "where the split has no val subset, the share of train that the best epoch is chosen on; with 0 the last "
            "epoch is taken."
        ),
    )
    split: SplitConfig = Field(default=SplitConfig(), description="which images are train, val and test.")

    @field_validator("backbone")
    @classmethod
    def _known(cls, value: str) -> str:
        return check_backbone(value)

    @property
    def normalization(self) -> Normalization:
        """What the backbone expects of its images."""
        return normalization(self.backbone, self.weights)
