"""What the anomaly detector can be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from finetune.anomaly.config import AnomalyConfig, Augment
from finetune.backbones.names import BACKBONE_MEANING, PACKAGED, WEIGHTS_MEANING, check_backbone
from finetune.engine.config import TrainedConfig
from finetune.vae.shape import VaeShape

__all__ = ["VaeConfig"]


class VaeAugment(BaseModel):
    """How training images are varied: every pixel keeps its value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Augment = Field(
        default="auto",
        description=(
            '"turn" trains on the eight turned and mirrored views, "flip" mirrors left and right, "none" does neither; '
            '"auto" turns a product that lies at any angle, by a test on its train images, and else does none.'
        ),
    )


class VaeConfig(AnomalyConfig, TrainedConfig):
    """What the anomaly detector can be told."""

    renamed: ClassVar[Mapping[str, str]] = {
        **AnomalyConfig.renamed,
        "patch": "patch_size",
        "halvings": "num_downsamples",
        "width": "base_channels",
        "augment": "augment.preset",
    }

    learns = "good"
    belongs: ClassVar[Mapping[str, str]] = {
        "weights": "model=feature",
        "backbone": "model=feature",
        "loss": "model=pixel",
        "grad_steps": "score=grad",
    }

    epochs: int = Field(default=40, ge=1)
    batch_size: int = Field(default=16, ge=1)
    image_size: int = Field(default=256, ge=16)
    lr: float = Field(default=2e-3, gt=0)
    weights: str = Field(
        default="default",
        description=(f"of the backbone of a feature VAE: {WEIGHTS_MEANING} A VAE of bands or pixels begins at random."),
    )
    model: Literal["bands", "pixel", "feature"] = Field(
        default="bands",
        description=(
            'of what: "bands" (contrast by direction and width of lines), "pixel", or "feature" (a frozen backbone\'s '
            "features beside the pixels)."
        ),
    )
    backbone: str = Field(default=PACKAGED, description=f"of the feature VAE: {BACKBONE_MEANING}")
    loss: Literal["l2", "ssim", "l2+ssim"] = Field(default="l2", description='of the pixel VAE: "l2", "ssim" or both.')
    beta: float = Field(default=1.0, ge=0, description="weight of the divergence; 1 is the evidence bound.")
    patch_size: Literal[2, 4, 8] = Field(
        default=4,
        description="side of the squares of pixels that the first layer strides over and the last one writes.",
    )
    num_downsamples: int = Field(
        default=5,
        ge=1,
        le=8,
        description="how often the images are halved: the latent map has image_size / 2 ** num_downsamples to a side.",
    )
    base_channels: int = Field(
        default=32,
        ge=8,
        multiple_of=8,
        description="channels behind the first layer; they double with each further halving, up to 128.",
    )
    latent: int = Field(default=16, ge=1, description="channels of the latent map.")
    augment: VaeAugment = Field(default=VaeAugment(), description="how training images are varied.")
    score: Literal["residual", "ssim", "grad"] = Field(
        default="residual",
        description='how maps are made: "residual", "ssim", or "grad" (VAE-grad; slow).',
    )
    grad_steps: int = Field(default=50, ge=1, description="of VAE-grad.")

    @field_validator("backbone")
    @classmethod
    def _known(cls, value: str) -> str:
        return check_backbone(value)

    @property
    def shape(self) -> VaeShape:
        """Form of the network."""
        return VaeShape(self.image_size, self.patch_size, self.num_downsamples, self.base_channels, latent=self.latent)
