"""What PatchCore can be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from finetune.anomaly.config import AnomalyConfig, Augment
from finetune.backbones.names import check_backbone
from finetune.backbones.normalization import normalization
from finetune.engine.config import Normalization
from finetune.engine.remarks.memory import halved

__all__ = ["PatchcoreConfig"]


class PatchAugment(BaseModel):
    """How the images that are remembered are varied: every pixel keeps its value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Augment = Field(
        default="auto",
        description=(
            '"turn" remembers a quarter turn of each image besides, "flip" its mirror image, "none" neither; "auto" '
            "turns a product that lies at any angle, by a test on its train images, where there are few of them."
        ),
    )


class PatchcoreConfig(AnomalyConfig):
    """What PatchCore can be told."""

    belongs: ClassVar[Mapping[str, str]] = {"hold_out": "cross_fit=false"}

    epochs: int = Field(default=1, ge=1, description="of no effect: each image is looked at once, and nothing learns.")
    batch_size: int = Field(default=8, ge=1, description="images that go through the backbone at once.")
    image_size: int = Field(default=512, ge=32, description="side of the square that images are resized to, in pixels.")
    lr: float = Field(default=1e-3, gt=0, description="of no effect: no weight is changed.")
    weights: str = Field(
        default="default",
        description='of the backbone: "default" are its published ones, "none" random ones, else a file.',
    )
    backbone: str = Field(
        default="efficientnet_lite0",
        description='what sees the patches: a name of "defectkit backbones", or "timm:NAME".',
    )
    blocks: tuple[int | str, ...] = Field(
        default=(),
        description=(
            "whose maps make a patch, by number or by name of the submodule; none are the last ones that have a value "
            "for each 8 and each 16 pixels."
        ),
    )
    neighbourhood: int = Field(
        default=3, ge=1, le=9, description="side of the square of map values that are averaged at each place; odd."
    )
    coreset: float = Field(
        default=0.1, gt=0, le=1, description="share of the patches of the train images that are remembered, at most."
    )
    max_patches: int = Field(
        default=10_000, ge=10, description="patches that are remembered, at most: memory and time grow with it."
    )
    candidates: int = Field(
        default=100_000,
        ge=10,
        description="patches that those are chosen among: as many of each image, those that cover it best.",
    )
    neighbours: int = Field(
        default=9,
        ge=0,
        le=64,
        description="remembered patches that the weight of a distance is made of (equation 7 of the paper); 0: none.",
    )
    cross_fit: bool = Field(
        default=True,
        description=(
            "choose the threshold by all good train images, each scored without what is remembered of itself; false "
            "holds out `hold_out` of them."
        ),
    )
    augment: PatchAugment = Field(default=PatchAugment(), description="how the images that are remembered are varied.")

    @field_validator("backbone")
    @classmethod
    def _known(cls, value: str) -> str:
        return check_backbone(value)

    @field_validator("neighbourhood")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"is even, and has no middle; use {value - 1} or {value + 1}")
        return value

    def less_memory(self) -> list[str]:
        """What makes a memory bank take less of a GPU's memory."""
        ways = [*halved(self, "batch_size"), *halved(self, "max_patches", "candidates", least=10)]
        return [*ways, "a smaller image_size", "--set device=cpu"]

    @property
    def normalization(self) -> Normalization:
        """What the backbone expects of its images."""
        return normalization(self.backbone, self.weights)
