"""What to think of a detector's figures: instances that it cannot see, a validation that lags behind the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from finetune.yolo_world.config import YoloWorldConfig

__all__ = ["about_specks", "about_zero"]

_SPECK = 2  # px; ultralytics drops narrower boxes when it trains


def about_specks(truth: Mapping[str, Any], config: YoloWorldConfig) -> list[str]:
    """What to think of instances that vanish when images are resized."""
    sides = {image["id"]: max(image["width"], image["height"]) for image in truth["images"]}
    boxes = [(min(one["bbox"][2:]), sides[one["image_id"]]) for one in truth["annotations"]]
    specks = sum(short * config.image_size < _SPECK * side for short, side in boxes)
    if not specks:
        return []
    return [
        f"{specks} of {len(boxes)} instances are narrower than {_SPECK} px once images are resized to "
        f"{config.image_size}: a detector cannot learn them, and they count as missed; raise image_size, join them "
        "(instances=merge:8), or leave them out (min_area=PX)"
    ]


def about_zero(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """What to think of a validation mAP that stays 0 while the loss falls.

    In training a batch is normalised by its own mean and variance, in validation by running averages, of which each
    step renews 3 % (ultralytics' BatchNorm momentum): after n steps (0.97)^n of the random start is left, in every
    layer. Weights that were trained bring theirs along.
    """
    figures = [float(row["map50"]) for row in rows if row.get("map50")]
    zeros = next((place for place, value in enumerate(figures) if value > 0), len(figures))
    if zeros < 2:
        return []
    losses = [float(row.get("train_loss") or "nan") for row in (rows[0], rows[-1])]
    fall = f"the train loss went from {losses[0]:.2f} to {losses[1]:.2f}"
    why = (
        "validation uses running averages (BatchNorm), which from random weights need some hundred steps to follow; "
        "more epochs, a smaller batch_size or trained weights give them"
    )
    when = f"is 0 after {zeros} epochs" if zeros == len(figures) else f"was 0 for the first {zeros} epochs"
    return [f"validation mAP {when} while {fall}: {why}"]
