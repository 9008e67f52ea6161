"""Settings of learners that train a classification backbone; without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from finetune.backbones.names import BACKBONE_MEANING, PACKAGED, WEIGHTS_MEANING, check_backbone
from finetune.backbones.normalization import normalization
from finetune.engine.config import AugmentConfig, Flips, Normalization, TrainedConfig
from finetune.engine.splits import SplitConfig

__all__ = ["BackboneConfig", "HeadConfig", "Pool", "Resize", "TilesConfig"]

Resize = Literal["squash", "letterbox"]
Pool = Literal["max", "mean", "both"]


_SMALLEST_TILE = 16  # px


class HeadConfig(BaseModel):
    """What stands between a backbone's features and the classes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["linear", "mlp"] = Field(
        default="linear", description='"linear" is one layer, "mlp" has a hidden one before it.'
    )
    hidden: int = Field(default=256, ge=1, description='of "mlp": units of the hidden layer.')
    dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of what the last layer reads that each training step leaves out.",
    )


class TilesConfig(BaseModel):
    """Squares of an image that are looked at one by one, so that a small defect stays large enough to be seen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    side: int = Field(
        default=0,
        ge=0,
        description=(
            "side of the squares in pixels of the image, each resized to `image_size`; 0 looks at the whole image. "
            "Training draws crops of this size, labelled by the masks or boxes: a crop has the class of its image if "
            "it holds at least half of what a crop can hold of one defect, is good if it holds none of any, and is "
            "not used in between. Prediction looks at all tiles."
        ),
    )
    overlap: float = Field(
        default=0.25, ge=0, le=0.9, description="share of its side by which a tile overlaps the next one, at least."
    )
    pool: Pool = Field(
        default="both",
        description=(
            'how the tiles of an image become one prediction: "max" is that of the tile which is least likely good '
            '(of the surest one, where no class is good), "mean" the mean over all, "both" the mean of these two.'
        ),
    )
    per_image: int = Field(default=4, ge=1, description="crops drawn from each training image in an epoch.")
    background: float = Field(
        default=0.25,
        ge=0,
        lt=1,
        description="share of the crops of an image with a defect that hold none, where good is a class.",
    )


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
    warmup: int = Field(
        default=0,
        ge=0,
        description="epochs, the first of `epochs`, in which the learning rate rises to `lr` in equal steps.",
    )
    ema: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description=(
            "decay of a running average of the weights, which is then what is validated, kept and used: near 1 it is "
            "long, .999 over a thousand steps. In step n it is (1 + n) / (10 + n) at most. 0 averages nothing."
        ),
    )
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="share of the target that is spread over all classes."
    )
    backbone_lr_scale: float = Field(
        default=1.0, gt=0, description="learning rate of the backbone, as a multiple of `lr`."
    )
    head_lr_scale: float = Field(default=1.0, gt=0, description="learning rate of the head, as a multiple of `lr`.")
    freeze: int = Field(
        default=0, ge=0, description="stages of the backbone, from the input on, that keep their weights."
    )
    head: HeadConfig = Field(default=HeadConfig(), description="what stands on the backbone's features.")
    resize: Resize = Field(
        default="squash",
        description=(
            'how an image gets the size that the network sees: "squash" changes its proportions, "letterbox" keeps '
            "them and fills the rest with grey."
        ),
    )
    aspect: float = Field(
        default=1.0,
        ge=1 / 16,
        le=16,
        description=(
            "width over height of what the network sees; other than 1 its sides are the multiples of 32 nearest to "
            "image_size * sqrt(aspect) and image_size / sqrt(aspect). Transformers see squares alone."
        ),
    )
    tiles: TilesConfig = Field(
        default=TilesConfig(), description="look at squares of the images instead of whole ones: for small defects."
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
    out_of_fold: int = Field(
        default=0,
        ge=0,
        description=(
            "train as many models more, each on all images of the split but a fold, and leave what each says of its "
            "fold in out_of_fold.csv: of every image, from a model that never saw it. 0 trains none."
        ),
    )

    plots: bool = Field(
        default=True,
        description=(
            "draw the confusion matrix, learning curves, scores with their ROC curve, and (of the classifier) what it "
            "looked at."
        ),
    )

    @field_validator("backbone")
    @classmethod
    def _known(cls, value: str) -> str:
        return check_backbone(value)

    @field_validator("warmup")
    @classmethod
    def _shorter(cls, value: int, info: ValidationInfo) -> int:
        epochs = info.data.get("epochs", value + 1)
        if value and value >= epochs:
            raise ValueError(f"takes all of the {epochs} epochs: set it to {epochs - 1} or less")
        return value

    @field_validator("tiles")
    @classmethod
    def _squares(cls, value: TilesConfig, info: ValidationInfo) -> TilesConfig:
        if value.side and value.side < _SMALLEST_TILE:
            raise ValueError(f"a side of {value.side} px shows nothing: set tiles.side to {_SMALLEST_TILE} or more")
        if value.side and (info.data.get("resize") == "letterbox" or info.data.get("aspect", 1.0) != 1.0):
            raise ValueError("tiles are squares, which need no letterbox and have no other aspect: leave those out")
        return value

    @field_validator("augment")
    @classmethod
    def _uncut(cls, value: AugmentConfig, info: ValidationInfo) -> AugmentConfig:
        tiles = info.data.get("tiles")
        if value.crop < 1 and tiles is not None and tiles.side:
            raise ValueError("crops of crops might lose the defect that they are to show: leave augment.crop at 1")
        return value

    @field_validator("out_of_fold")
    @classmethod
    def _folds(cls, value: int, info: ValidationInfo) -> int:
        if value == 1:
            raise ValueError("one fold leaves nothing to train on: set it to 2 or more, or to 0")
        if value and info.data.get("devices", 1) * info.data.get("nodes", 1) > 1:
            raise ValueError("folds are trained on one device: leave out devices and nodes, or set it to 0")
        return value

    def scaled(self, width: int, height: int) -> tuple[float, float]:
        """As `LearnerConfig.scaled`: of tiles, of a letterbox, or of the shape that `aspect` gives."""
        if self.tiles.side:
            return (self.image_size / self.tiles.side,) * 2
        root = math.sqrt(self.aspect)
        wider, higher = self.image_size * root / width, self.image_size / root / height
        return (min(wider, higher),) * 2 if self.resize == "letterbox" else (wider, higher)

    @property
    def normalization(self) -> Normalization:
        """What the backbone expects of its images."""
        return normalization(self.backbone, self.weights)
