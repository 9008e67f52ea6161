"""What an anomaly detector learns from and is judged by: good images of one product, some held out, and truth masks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch

from converters.sources import LayoutLike, SourceLike, open_source
from finetune.anomaly.config import AnomalyConfig, Augment
from finetune.anomaly.maps import FEWEST_GOOD
from finetune.engine.datasets import Transform, read_rgb
from finetune.engine.devices import mixed_seed
from finetune.engine.splits import ImageRecord, ImageRecords, SplitConfig, open_examples
from toolkit.dataset.samples import GOOD
from toolkit.dataset.splits import split_dataset
from toolkit.errors import ToolkitError

__all__ = [
    "GoodImages",
    "choose_good",
    "has_random_pose",
    "open_good",
    "open_good_examples",
    "train_views",
    "truth_masks",
    "unit_range",
]

BoolMap = npt.NDArray[np.bool_]

_CHANCE = 0.05  # level of the test for a random pose
_POSE_SIDE = 64  # px; what decides how an object lies is no finer


@dataclass(frozen=True, eq=False)
class GoodImages:
    """Good images to train on, and those that are held out for the best epoch and the threshold.

    Attributes:
        train, held_out: examples.
        how: where the held-out images come from, in words.
    """

    train: list[ImageRecord]
    held_out: list[ImageRecord]
    how: str


def open_good_examples(
    data: SourceLike,
    split: SplitConfig,
    layout: LayoutLike = None,
    categories: str | Sequence[str] = (),
    on_problem: Literal["fail", "skip"] = "fail",
) -> ImageRecords:
    """As `open_examples`; but the data's own subsets, where train holds defects, as folders of good and bad do, change.

    All defects of train are test then, and where no good image is, a share of the good ones of train is drawn for it.

    Raises:
        ToolkitError: as `open_examples`.
    """
    examples = open_examples(data, split, layout, categories, on_problem)
    train = examples.subset("train")
    defects = {one.key for one in train if one.label != GOOD}
    if split.file is not None or split.strategy != "native" or not defects or examples.source is None:
        return examples
    good = {one.key for one in train} - defects
    drawn: set[str] = set()
    if len(good) > 2 * FEWEST_GOOD and not any(one.label == GOOD for one in examples.subset("test")):
        samples = [sample for sample in examples.source.dataset if sample.key in good]
        shares = split_dataset(samples, "stratified", val=0, test=split.test, seed=split.seed)
        drawn = {key for key, subset in shares.items() if subset == "test"}
    moved = defects | drawn
    told = f"train holds {len(defects)} image(s) with a defect: they are test"
    told += f", and so are {len(drawn)} good ones" if drawn else ""
    return replace(
        examples,
        examples=tuple(replace(one, subset="test") if one.key in moved else one for one in examples.examples),
        notes=(*examples.notes, told),
    )


def open_good(data: SourceLike, config: AnomalyConfig) -> ImageRecords:
    """As `open_good_examples`, with what a detector was told.

    Raises:
        ToolkitError: as `open_examples`.
    """
    return open_good_examples(data, config.split, config.layout, config.categories, config.on_problem)


def choose_good(examples: ImageRecords, hold_out: float | None, seed: int) -> GoodImages:
    """Decide what is trained on. Test images are neither trained on nor held out.

    Args:
        examples: split images.
        hold_out: share of the good train images that are held out, where there are no good ones in val; None where
            none has to be.
        seed: of that draw.

    Raises:
        ToolkitError: there is more than one product, a defect in train, or there are too few good images.
    """
    _check_one_product(examples)
    train = examples.subset("train")
    held, how = [one for one in examples.subset("val") if one.label == GOOD], "the good images of val"
    if not held and hold_out is not None:
        keys = _drawn(train, hold_out, seed)
        held, train = [one for one in train if one.key in keys], [one for one in train if one.key not in keys]
        how = f"{len(keys)} good images of train"
    if len(train) < FEWEST_GOOD or (len(held) < FEWEST_GOOD and hold_out is not None):
        raise ToolkitError(
            examples.root,
            f"has too few good images: {len(train)} to train on and {len(held)} to hold out",
            f"give {FEWEST_GOOD} or more for each (train/good, or good images of val)",
        )
    return GoodImages(train, held, how)


def _check_one_product(examples: ImageRecords) -> None:
    """Refuse several products, and defects among the train images."""
    products = sorted({example.category for example in examples.examples})
    if len(products) > 1:
        named = ", ".join(products[:3]) + (", ..." if len(products) > 3 else "")
        raise ToolkitError(
            examples.root,
            f"holds {len(products)} products ({named}), and an anomaly detector learns one",
            "name a product's folder",
        )
    defective = next((example for example in examples.subset("train") if example.label != GOOD), None)
    if defective is not None:
        raise ToolkitError(
            defective.image,
            f"is a defect ({defective.label}) among the train images, and an anomaly detector learns from good ones",
            "use --set split.strategy=native, or a split file whose train images are good",
        )


def _drawn(train: Sequence[ImageRecord], share: float, seed: int) -> set[str]:
    """Keys of a share of the images, of enough of them on both sides where there are so many."""
    number = min(max(FEWEST_GOOD, round(share * len(train))), max(0, len(train) - FEWEST_GOOD))
    order = np.random.default_rng((seed, 0x600D)).permutation(len(train))[:number]
    return {train[index].key for index in order}


def has_random_pose(examples: Sequence[ImageRecord], seed: int = 0, most: int = 200, depth: int | None = None) -> bool:
    """Whether the product lies at any angle, so that turned images are as good as new ones.

    Each image has an axis: the direction of its structure tensor. If the axes of all images might be drawn from a
    uniform distribution, the pose is random: Rayleigh's test on doubled angles, p = exp(-n R^2) (Mardia and Jupp,
    "Directional Statistics", 1999, section 6.3.1). A product that always lies the same way has axes that agree.

    Args:
        examples: good images.
        seed: of the draw, where there are more than `most`.
        most: images looked at.
        depth: bits of the range by which deep images are scaled.
    """
    order = np.random.default_rng(mixed_seed(seed, 1)).permutation(len(examples))[:most]
    axes = [_axis(read_rgb(examples[index].image, _POSE_SIDE, depth)) for index in sorted(order)]
    found = np.array([axis / abs(axis) for axis in axes if axis])
    return len(found) >= FEWEST_GOOD and math.exp(-len(found) * abs(found.mean()) ** 2) > _CHANCE


def _axis(image: npt.NDArray[np.uint8]) -> complex:
    """Direction of the structure tensor of an RGB image: a complex number of twice its angle."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)
    x, y = (np.asarray(cv2.Sobel(grey, cv2.CV_64F, dx, 1 - dx)) for dx in (1, 0))
    return complex(((x + 1j * y) ** 2).sum())


def train_views(kind: Augment) -> Transform:
    """Augmentation: uint8 (3, side, side) -> float32 in [0, 1]; exact, as every pixel keeps its value.

    Args:
        kind: "turn" draws one of the eight turned and mirrored views, "flip" mirrors left and right, "none" does
            nothing. "auto" is to be decided before.
    """

    def vary(image: torch.Tensor) -> torch.Tensor:
        view = int(torch.randint(8, ()))
        if kind == "turn" and view & 1:
            image = image.transpose(1, 2)
        axes = [axis for axis, bit in ((1, 2), (2, 4)) if view & bit and (kind == "turn" or axis == 2)]
        return unit_range(image.flip(axes) if axes and kind != "none" else image)

    return vary


def unit_range(image: torch.Tensor) -> torch.Tensor:
    """uint8 in [0, 255] -> float32 in [0, 1], in rows."""
    return image.to(torch.float32).div(255).contiguous()


def truth_masks(data: SourceLike) -> dict[str, Callable[[], BoolMap | None]]:
    """What is marked as defect in each image of a dataset or label tree: key -> a function that reads it.

    The function gives bool (H, W), or None where the label is no mask; where none is, for good images too, as there is
    nothing to tell them from.

    Raises:
        ToolkitError: `data` is neither.
    """
    source = open_source(data)
    pixels = source.holds == "pixels"
    return {
        member.sample.key: member.marked if pixels and member.sample.kind in ("masks", "good") else _nothing
        for member in source.members
    }


def _nothing() -> None:
    return None
