"""What every anomaly detector can be told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from finetune.anomaly.settings import ThresholdConfig
from finetune.engine.distributed import Workers, auto_workers
from finetune.engine.splits import SplitConfig

__all__ = ["AnomalyConfig", "Augment"]

Augment = Literal["auto", "none", "flip", "turn"]


class AnomalyConfig(ThresholdConfig):
    """What every anomaly detector can be told."""

    learns = "good"

    workers: Workers = auto_workers()
    hold_out: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description=(
            "share of the good train images that the best epoch and the threshold are chosen on, at least 5 images, "
            "unless the split has good val images."
        ),
    )
    smoothing: float = Field(
        default=0.024, ge=0, le=0.25, description="sigma of the blur of maps, as a share of `image_size`."
    )
    min_area: int = Field(default=0, ge=0, description="components of labels with fewer pixels are left out.")
    labels: str = Field(
        default="coco",
        description="format of the label trees that `predict` writes; several with commas between.",
    )
    plots: bool = Field(
        default=True, description="draw test images with their maps, scores with their ROC curve, and learning curves."
    )
    split: SplitConfig = Field(
        default=SplitConfig(strategy="native"),
        description=(
            "which images are train and test; the data's own unless told otherwise, but that defects among its train "
            "images are test."
        ),
    )

    @property
    def formats(self) -> list[str]:
        """The formats that `labels` names."""
        return [name.strip() for name in self.labels.split(",") if name.strip()]
