"""Settings of the long-tail classifier."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from finetune.classification.config import BackboneConfig

__all__ = ["LEAST_IMBALANCE", "GroupRule", "LongtailConfig", "Method", "TailConfig"]

Method = Literal["cross-entropy", "class-balanced", "balanced-softmax", "logit-adjustment", "crt", "reslt"]

_BELONGS: dict[str, tuple[Method, Any]] = {
    "alpha": ("reslt", 0.85),
    "tau": ("logit-adjustment", 1.0),
    "adjust": ("logit-adjustment", "prediction"),
    "retrain_epochs": ("crt", 10),
}
"""Settings of one method alone -> that method, and what they are there unless given."""


LEAST_IMBALANCE = 2.0
"""Images of the largest class over those of the smallest, below which there is no tail to speak of."""

GroupRule = Literal["auto", "counts", "good"]


class TailConfig(BaseModel):
    """A tail made by leaving training images out; validation and test images stay."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    imbalance: float = Field(
        ge=LEAST_IMBALANCE,
        description="images of the largest class over those of the smallest; between them n_i falls exponentially.",
    )
    seed: int = Field(
        default=0,
        ge=0,
        description="of the draw of the images that stay. A steeper tail keeps some of those that a flatter one keeps.",
    )


class LongtailConfig(BackboneConfig):
    """What the long-tail classifier can be told."""

    batch_size: int = Field(default=16, ge=2)
    method: Method = Field(default="reslt", description="how the tail is helped: one way at a time.")
    branches: Literal[2, 3] = Field(
        default=3,
        description="groups of classes: 3 (head, medium, tail) or 2 (head, tail); also the branches of reslt.",
    )
    groups: GroupRule = Field(
        default="auto",
        description=(
            '"counts" sorts classes into groups by their training images, "good" makes good images the head and all '
            'defects the tail; "auto" is "good" with two branches where good images are the largest class.'
        ),
    )
    alpha: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="of reslt: weight of the branches' own loss against that of their sum.",
    )
    tau: float | None = Field(default=None, gt=0, description="of logit-adjustment: its strength.")
    adjust: Literal["prediction", "loss"] | None = Field(
        default=None,
        description=(
            'of logit-adjustment: the "prediction" after training, or the "loss" (which with tau 1 is '
            "balanced-softmax)."
        ),
    )
    retrain_epochs: int | None = Field(
        default=None,
        ge=1,
        description="of crt: epochs of its second stage, the classifier's, after `epochs` of the first.",
    )
    longtail: TailConfig | None = Field(default=None, description="make a tail first, of training images only.")

    @field_validator("method", mode="before")
    @classmethod
    def _one_method(cls, value: Any) -> Any:
        if isinstance(value, list | dict) or (isinstance(value, str) and any(sign in value for sign in ",+ ")):
            raise ValueError("takes one method: two would correct for the tail twice")
        return value

    @field_validator("groups")
    @classmethod
    def _two_groups(cls, value: GroupRule, info: ValidationInfo) -> GroupRule:
        if value == "good" and info.data.get("branches") == 3:
            raise ValueError("good images as head and defects as tail are two groups: set branches to 2")
        return value

    @field_validator(*_BELONGS)
    @classmethod
    def _one_rebalancing(cls, value: Any, info: ValidationInfo) -> Any:
        owner, default = _BELONGS[str(info.field_name)]
        method = info.data.get("method", owner)
        if method == owner:
            return default if value is None else value
        if value is not None:
            raise ValueError(f"belongs to the method {owner}, not to {method}: the tail is corrected for only once")
        return None
