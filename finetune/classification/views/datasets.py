"""The images or crops that a classifier trains on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from converters.sources import Source
from finetune.classification.config import BackboneConfig
from finetune.classification.views.framing import image_reader
from finetune.classification.views.tiles import CropDataset, find_crop_places
from finetune.engine.datasets import ImageDataset, Transform
from finetune.engine.splits import ImageRecord

__all__ = ["labelled_images"]


def labelled_images(
    examples: Sequence[ImageRecord],
    classes: Sequence[str],
    config: BackboneConfig,
    transform: Transform,
    source: Source | None,
    *,
    background: bool = True,
    fixed: bool = False,
) -> ImageDataset:
    """Images as the network sees them; crops of them where the config asks for tiles.

    Args:
        examples: the images.
        classes: all class names; their order gives the indices.
        config: sizes, tiles and seed.
        transform: uint8 (3, height, width) RGB -> float32 of the same shape.
        source: of the labels, by which crops are placed.
        background: whether crops of an image with a defect may be good ones.
        fixed: crops are not turned, and the same in each epoch.

    Raises:
        ToolkitError: as `find_crop_places`.
    """
    asked: dict[str, Any] = {"seed": config.seed, "depth": config.bits}
    if not config.tiles.side:
        return ImageDataset(examples, classes, config.image_size, transform, read=image_reader(config), **asked)
    turned = 0.0 if fixed else config.augment.rotation
    places = find_crop_places(examples, config.tiles.side, source, turned)
    return CropDataset(
        examples,
        classes,
        config.image_size,
        transform,
        tiles=config.tiles,
        places=places,
        background=background,
        fixed=fixed,
        **asked,
    )
