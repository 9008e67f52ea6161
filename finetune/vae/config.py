"""What the anomaly detector can be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from finetune.classification.backbones import BACKBONES
from finetune.engine.config import TrainedConfig, nearest
from finetune.engine.splits import SplitConfig
from finetune.vae.data import Augment
from finetune.vae.models import VaeShape

__all__ = ["VaeAugment", "VaeConfig"]


class VaeAugment(BaseModel):
    """How training images are varied: every pixel keeps its value.

    Attributes:
        preset: "turn" trains on the eight turned and mirrored views, "flip" mirrors left and right, "none" does
            neither; "auto" turns a product that lies at any angle, by a test on its train images, and else does none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Augment = "auto"


class VaeConfig(TrainedConfig):
    """What the anomaly detector can be told.

    Attributes:
        weights: of the backbone of a feature VAE: "default" are torchvision's own, "none" random ones, else a file. A
            VAE of bands or pixels begins at random.
        model: of what: "bands" (contrast by direction and width of lines), "pixel", or "feature" (a frozen backbone's
            features beside the pixels).
        backbone: of the feature VAE, by torchvision's name.
        loss: of the pixel VAE: "l2", "ssim" or both.
        beta: weight of the divergence; 1 is the evidence bound.
        patch_size: side of the squares of pixels that the first layer strides over and the last one writes.
        num_downsamples: how often the images are halved: the latent map has image_size / 2 ** num_downsamples to a
            side.
        base_channels: channels behind the first layer; they double with each further halving, up to 128.
        latent: channels of the latent map.
        augment: how training images are varied.
        hold_out: share of the good train images that the best epoch and the threshold are chosen on, at least 5 images,
            unless the split has good val images.
        score: how maps are made: "residual", "ssim", or "grad" (VAE-grad; slow).
        grad_steps: of VAE-grad.
        smoothing: sigma of the blur of maps, as a share of `image_size`.
        percentile: of held-out good images that stay below the threshold.
        min_area: components of labels with fewer pixels are left out.
        labels: format of the label trees that `predict` writes; several with commas between.
        split: which images are train and test; the data's own unless told otherwise.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "patch": "patch_size",
        "halvings": "num_downsamples",
        "width": "base_channels",
        "augment": "augment.preset",
    }

    epochs: int = Field(40, ge=1)
    batch_size: int = Field(16, ge=1)
    image_size: int = Field(256, ge=16)
    lr: float = Field(2e-3, gt=0)
    model: Literal["bands", "pixel", "feature"] = "bands"
    backbone: str = "resnet18"
    loss: Literal["l2", "ssim", "l2+ssim"] = "l2"
    beta: float = Field(default=1.0, ge=0)
    patch_size: Literal[2, 4, 8] = 4
    num_downsamples: int = Field(default=5, ge=1, le=8)
    base_channels: int = Field(default=32, ge=8, multiple_of=8)
    latent: int = Field(default=16, ge=1)
    augment: VaeAugment = VaeAugment()
    hold_out: float = Field(default=0.1, gt=0, lt=1)
    score: Literal["residual", "ssim", "grad"] = "residual"
    grad_steps: int = Field(default=50, ge=1)
    smoothing: float = Field(default=0.024, ge=0, le=0.25)
    percentile: float = Field(default=99.0, gt=0, le=100)
    min_area: int = Field(default=0, ge=0)
    labels: str = "coco"
    split: SplitConfig = SplitConfig(strategy="native")

    @field_validator("backbone")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in BACKBONES:
            raise ValueError(f"torchvision has no such backbone; {nearest(value, BACKBONES)}")
        return value

    @property
    def shape(self) -> VaeShape:
        """Form of the network."""
        return VaeShape(self.image_size, self.patch_size, self.num_downsamples, self.base_channels, latent=self.latent)
