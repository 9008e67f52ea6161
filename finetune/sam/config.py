"""What the segmenter can be told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from finetune.engine.config import TrainedConfig
from finetune.engine.remarks.memory import halved
from finetune.engine.splits import SplitConfig

__all__ = ["SamConfig"]

META_SIZE = 1024
"""Pixels along the longer side of the images that Meta's models take."""

_TINY: dict[str, object] = {
    "image_size": 256,
    "lr": 0.001,
    "refinement_steps": 0,
    "box_share": 1.0,
    "train_prompt_encoder": True,
}
_TINY_ENCODER: dict[str, object] = {"train_encoder": True, "encoder_lr_scale": 1.0}
"""Defaults of the small model, the latter unless its encoder is told not to learn: all of it begins at random."""

_EPOCHS = 30


def _told(settings: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={str(value).lower()}" for name, value in settings.items())


class SamConfig(TrainedConfig):
    """What the segmenter can be told."""

    renamed: ClassVar[Mapping[str, str]] = {"prompts": "prompts_per_image", "rounds": "refinement_steps"}

    learns = "instances"
    belongs: ClassVar[Mapping[str, str]] = {
        "activation_checkpointing": "train_encoder=true or lora!=0",
        "cache": "train_encoder=false and lora=0",
        "colour": "train_encoder=true or lora!=0",
        "embed_batch": "train_encoder=false and lora=0",
        "encoder_lr_scale": "train_encoder=true",
        "jitter": "box_share!=0.0",
        "min_steps": "epochs=0 and model=tiny or epochs=0 and train_encoder=false and lora=0 and cache!=none",
    }

    epochs: int = Field(
        default=0,
        ge=0,
        description=(
            "passes over the training images; 0 is 30, and more where these would be fewer than `min_steps` and steps "
            "are cheap."
        ),
    )
    min_steps: int = Field(
        default=1000,
        ge=0,
        description=(
            "steps that are taken at least, with epochs=0, where embeddings are kept or the model is tiny: they are "
            "cheap there."
        ),
    )
    batch_size: int = Field(
        default=4, ge=1, description="images in a step; each comes with `prompts_per_image` prompts."
    )
    image_size: int = Field(
        default=META_SIZE,
        ge=64,
        le=META_SIZE,
        multiple_of=16,
        description=(
            "images are scaled so that their longer side has so many pixels, 1024 for Meta's models, and for "
            '"tiny" any multiple of 16. The masks have a quarter of it, and are then enlarged: what is narrower than '
            "four of these pixels is hardly met."
        ),
    )
    lr: float = Field(default=2e-4, gt=0)
    model: Literal["vit_b", "vit_l", "vit_h", "tiny"] = Field(
        default="vit_b",
        description=(
            '"vit_b", "vit_l", "vit_h", or "tiny", a small one for tests and demos. It begins at random, and has '
            f"defaults of its own: {_told(_TINY | _TINY_ENCODER)}."
        ),
    )
    weights: str = Field(
        default="default",
        description=(
            "\"default\" is Meta's file of that model, fetched once and kept in torch's cache; a checkpoint file with "
            'Meta\'s names in it, such as MedSAM\'s; or "none" for random ones: "tiny" has no others by default.'
        ),
    )
    prompts_per_image: int = Field(
        default=4,
        ge=1,
        description="instances of an image that are asked for in a step, each by a prompt of its own.",
    )
    refinement_steps: int = Field(
        default=2,
        ge=0,
        le=16,
        description="corrective clicks after the first prompt of each, with the mask so far fed back.",
    )
    box_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of prompts that begin with a box; the others begin with a point.",
    )
    jitter: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="standard deviation of the noise on boxes, as a share of their sides; it stays below 20 pixels.",
    )
    train_prompt_encoder: bool = Field(
        default=False,
        description="whether the prompt encoder learns too; the mask decoder always does.",
    )
    train_encoder: bool = Field(
        default=False, description="whether the image encoder learns too; there is then no cache."
    )
    encoder_lr_scale: float = Field(default=0.1, gt=0, description="learning rate of that part, as a multiple of `lr`.")
    lora: int = Field(
        default=0,
        ge=0,
        description="rank of low-rank updates of the image encoder's attention, 0 for none; there is then no cache.",
    )
    activation_checkpointing: bool = Field(
        default=False,
        description=(
            "whether the activations of an image encoder that learns are computed twice instead of being kept: far "
            "less memory, and about a third more time."
        ),
    )
    accumulate: int = Field(
        default=1,
        ge=1,
        description="batches whose gradients are put together in a step, where memory holds few images.",
    )
    views: Literal["auto", 1, 2, 4, 8] = Field(
        default="auto",
        description=(
            "mirrored and turned views of each training image, one of which is drawn in each epoch: 1 is none, 2 are "
            "mirrored left and right, 4 upside down too, 8 turned by right angles besides. Each is embedded and kept "
            'for itself. "auto" is 8 where the image encoder learns, as nothing is kept there, else 1.'
        ),
    )
    colour: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="where the image encoder learns, brightness, contrast and saturation change by at most this part.",
    )
    cache: str = Field(
        default="auto",
        min_length=1,
        description='folder of the embeddings; "auto" is RUN/cache, and "none" encodes images again in every epoch.',
    )
    embed_batch: int = Field(default=4, ge=1, description="images that are encoded at once on a GPU.")
    weight_decay: float = Field(default=0.01, ge=0, description="of AdamW.")
    instances: str = Field(
        default="components",
        pattern=r"^(components|image|merge:\d+)$",
        description='which components of a mask make an instance: "components", "image" or "merge:GAP".',
    )
    min_area: int = Field(default=0, ge=0, description="instances of fewer pixels are left out.")
    hold_out: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="where the split has no val subset, the share of train that the best epoch is chosen on.",
    )
    points_per_side: int = Field(
        default=32,
        ge=1,
        description=(
            "of `predict` where no boxes are known: points of the grid to a side, as segment-anything's automatic mask "
            "generator takes them."
        ),
    )
    predicted_iou: float = Field(
        default=0.88,
        ge=0,
        le=1,
        description="of `predict` where no boxes are known: the least IoU that the model expects of a mask.",
    )
    stability: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description="of `predict` where no boxes are known: the least stability of a mask.",
    )
    detector: str = Field(
        default="",
        description='run of a detector, whose boxes on the test images are segmented for COCO\'s mask AP; "" for none.',
    )
    split: SplitConfig = Field(default=SplitConfig(), description="which images are train, val and test.")

    @model_validator(mode="before")
    @classmethod
    def _sized(cls, given: object) -> object:
        if isinstance(given, dict) and given.get("model") == "tiny":
            learns = given.get("train_encoder", not given.get("lora"))
            return {**(_TINY | _TINY_ENCODER if learns else _TINY), **given}
        return given

    @model_validator(mode="after")
    def _agreeing(self) -> SamConfig:
        if self.model != "tiny" and self.image_size != META_SIZE:
            raise ValueError(f"{self.model} takes images of {META_SIZE} px; leave image_size out, or use model=tiny")
        if self.lora and self.train_encoder:
            raise ValueError("lora and train_encoder both change the image encoder; choose one")
        return self

    def scaled(self, width: int, height: int) -> tuple[float, float]:
        """Factors by which an image is made wider and higher: its longer side becomes `image_size`."""
        return (self.image_size / max(width, height),) * 2

    def less_memory(self) -> list[str]:
        """What makes a training take less of a GPU's memory; Meta's models take images of one size alone."""
        ways = halved(self, "batch_size", "prompts_per_image")
        if self.batch_size > 1 and not self.cached:
            ways[0] += f" with --set accumulate={2 * self.accumulate}"
        if not (self.frozen or self.activation_checkpointing):
            ways = ["--set activation_checkpointing=true", *ways]
        ways += ["a smaller image_size"] if self.model == "tiny" else []
        return [*ways, "--set device=cpu"]

    def less_memory_to_embed(self) -> list[str]:
        """What makes embedding take less of a GPU's memory."""
        return [*halved(self, "embed_batch"), "--set device=cpu"]

    def less_memory_in_use(self) -> list[str]:
        """Lines of a run's config.yaml that make the finished run take less: it encodes image by image."""
        return ["device: cpu"]

    @property
    def frozen(self) -> bool:
        """Whether the image encoder stays as it is, so that its embeddings can be kept."""
        return not (self.lora or self.train_encoder)

    @property
    def cached(self) -> bool:
        """Whether training reads embeddings that were made before."""
        return self.frozen and self.cache != "none"

    @property
    def number_of_views(self) -> int:
        """How many views of a training image are learnt from."""
        if self.views != "auto":
            return self.views
        return 1 if self.frozen else 8

    def with_epochs(self, images: int) -> SamConfig:
        """The settings with the number of epochs that they mean for so many training images."""
        if self.epochs:
            return self
        batches = math.ceil(max(1, images // (self.devices * self.nodes)) / self.batch_size)
        steps = math.ceil(batches / self.accumulate)
        least = math.ceil(self.min_steps / steps) if self.cached or self.model == "tiny" else 0
        return self.model_copy(update={"epochs": max(_EPOCHS, least)})
