"""A trained SAM at work: masks of boxes, and of all prompts that it is judged by, at the size of the images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from segment_anything.modeling import Sam

from finetune.engine.devices import mixed_seed
from finetune.metrics.detection import AveragePrecision, Detections, average_precision, coco_results
from finetune.sam.data import scaled_size
from finetune.sam.embeddings import Encoder, read_padded
from finetune.sam.metrics import PROMPTS, compare_masks
from finetune.sam.models import Prompts, decode
from finetune.sam.module import choose_masks
from finetune.sam.prompts import corrective_click, deepest_pixel, jittered_box
from toolkit.errors import ToolkitError
from toolkit.geometry.instances import crop_to_bbox
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.imaging.images import read_header

__all__ = ["Segmenter", "evaluate_image", "mask_ap"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
_AT_ONCE = 16  # prompts
_JITTER = 0.1  # of the boxes that a model is judged by, whatever it was trained with


@dataclass(frozen=True, eq=False)
class Segmenter:
    """A SAM in evaluation mode.

    Attributes:
        sam: of segment-anything, on `encoder.device`.
        encoder: its image encoder.
    """

    sam: Sam
    encoder: Encoder

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.encoder.device

    def embed(self, image: Path) -> torch.Tensor:
        """The embedding of an image file: float32 (1, C, h, w)."""
        item = read_padded(image, self.encoder.image_size, self.encoder.depth)
        return self.encoder.run(item["image"][None], item["size"][None])

    def segment(self, image: Path, boxes: npt.ArrayLike) -> tuple[Bools, Floats]:
        """Masks of boxes.

        Args:
            image: the file.
            boxes: (N, 4), x0 y0 x1 y1 in pixels of the image.

        Returns:
            bool (N, H, W) at the size of the image, and float64 (N,), the IoU that the model predicts of each.

        Raises:
            ToolkitError: the image cannot be read.
        """
        header, wanted = read_header(image), np.asarray(boxes, np.float64).reshape(-1, 4)
        shape = (header.height, header.width)
        if not len(wanted):
            return np.zeros((0, *shape), np.bool_), np.zeros(0)
        logits, predicted = self.ask(self.embed(image), shape, boxes=wanted)
        return np.concatenate(list(self.enlarge(logits, shape))), predicted

    def ask(
        self,
        embedding: torch.Tensor,
        shape: tuple[int, int],
        *,
        boxes: Floats | None = None,
        points: Floats | None = None,
        labels: npt.NDArray[np.int64] | None = None,
        masks: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, Floats]:
        """Logits of N prompts on one image: boxes, or points. A single point gives what the model thinks best of three.

        Args:
            embedding: float (1, C, h, w).
            shape: height and width of the image.
            boxes: (N, 4) in pixels of the image, or None.
            points: (N, K, 2), x y in pixels of the image, or None.
            labels: (N, K), 1 on the object and 0 beside it.
            masks: (N, L, L), logits so far, or None.

        Returns:
            float32 (N, L, L), and float64 (N,), the IoU that the model predicts.
        """
        height, width = scaled_size(*shape, self.encoder.image_size)
        factor = np.array([width / shape[1], height / shape[0]])
        number = len(boxes) if boxes is not None else len(points) if points is not None else 0
        clicks = np.zeros((number, 1, 2)) if points is None else points * factor
        prompts = Prompts(
            image=torch.zeros(number, dtype=torch.long),
            boxed=torch.full((number,), boxes is not None),
            boxes=torch.from_numpy(np.zeros((number, 4)) if boxes is None else boxes * np.tile(factor, 2)).float(),
            points=torch.from_numpy(clicks).float(),
            labels=torch.ones(clicks.shape[:2], dtype=torch.long) if labels is None else torch.from_numpy(labels),
            masks=None if masks is None else masks[:, None],
        )
        parts = [self._ask(embedding, _some(prompts, first)) for first in range(0, number, _AT_ONCE)]
        return torch.cat([one for one, _ in parts]), np.concatenate([two for _, two in parts])

    def _ask(self, embedding: torch.Tensor, prompts: Prompts) -> tuple[torch.Tensor, Floats]:
        moved = {name: value.to(self.device) for name, value in vars(prompts).items() if value is not None}
        there = Prompts(**moved)
        with torch.no_grad():
            logits, predicted = decode(self.sam, embedding.to(self.device), there)
        single = ~there.boxed & (there.points.shape[1] == 1)
        found, quality = choose_masks(logits.float(), predicted.float(), single)
        return found, quality.double().cpu().numpy()

    def enlarge(self, logits: torch.Tensor, shape: tuple[int, int]) -> Iterator[Bools]:
        """Masks at the size (H, W) of an image, as Meta enlarges them: bool (n, H, W), some of (N, L, L) at a time."""
        scaled = scaled_size(*shape, self.encoder.image_size)
        for some in logits.split(_AT_ONCE):
            with torch.no_grad():
                large = self.sam.postprocess_masks(some[:, None], scaled, shape)[:, 0]
            yield (large > self.sam.mask_threshold).cpu().numpy()


def _some(prompts: Prompts, first: int) -> Prompts:
    part = slice(first, first + _AT_ONCE)
    return Prompts(**{name: value[part] for name, value in vars(prompts).items() if value is not None})


def evaluate_image(
    segmenter: Segmenter, image: LabelledImage, embedding: torch.Tensor, seed: int
) -> list[dict[str, float]]:
    """Figures of each instance of an image, FIGURE_PROMPT, at the size of the image.

    Prompts are the true box, a box with noise, the deepest point, and three clicks: that point and two where the mask
    errs most. They do not depend on the model, but for the last two clicks.

    Args:
        segmenter: the model.
        image: its labels.
        embedding: float (1, C, h, w).
        seed: of the noise.
    """
    found: list[dict[str, float]] = []
    for first in range(0, len(image.instances), _AT_ONCE):
        some = image.instances[first : first + _AT_ONCE]
        truths = [one.whole(image.width, image.height) for one in some]
        rows: list[dict[str, float]] = [{} for _ in some]
        for prompt, masks in _prompted(segmenter, image, some, truths, embedding, mixed_seed(seed, first)):
            for row, truth, mask in zip(rows, truths, masks, strict=True):
                row |= {f"{figure}_{prompt}": value for figure, value in compare_masks(truth, mask).items()}
        found += rows
    return found


def _prompted(
    segmenter: Segmenter,
    image: LabelledImage,
    some: Sequence[Instance],
    truths: Sequence[Bools],
    embedding: torch.Tensor,
    seed: int,
) -> Iterator[tuple[str, Bools]]:
    """Name of each kind of prompt, and the masks that it gives: bool (n, H, W)."""
    shape, rng = (image.height, image.width), np.random.default_rng(seed)
    exact = np.array([one.bbox for one in some], np.float64)
    noisy = np.stack([jittered_box(one, image.width, image.height, _JITTER, rng) for one in some])
    for name, boxes in zip(PROMPTS[:2], (exact, noisy), strict=True):
        logits, _ = segmenter.ask(embedding, shape, boxes=boxes)
        yield name, _whole(segmenter, logits, shape)
    points = np.array([[deepest_pixel(truth)] for truth in truths], np.float64)
    labels = np.ones(points.shape[:2], np.int64)
    logits, _ = segmenter.ask(embedding, shape, points=points, labels=labels)
    masks = _whole(segmenter, logits, shape)
    yield PROMPTS[2], masks
    for _ in range(2):
        clicks = np.array([corrective_click(truth, mask) for truth, mask in zip(truths, masks, strict=True)])
        points = np.concatenate([points, clicks[:, None, :2].astype(np.float64)], axis=1)
        labels = np.concatenate([labels, clicks[:, None, 2]], axis=1)
        logits, _ = segmenter.ask(embedding, shape, points=points, labels=labels, masks=logits)
        masks = _whole(segmenter, logits, shape)
    yield PROMPTS[3], masks


def _whole(segmenter: Segmenter, logits: torch.Tensor, shape: tuple[int, int]) -> Bools:
    return np.concatenate(list(segmenter.enlarge(logits, shape)))


def mask_ap(segmenter: Segmenter, detections: Iterable[Detections], truth: Mapping[str, Any]) -> AveragePrecision:
    """COCO's mask AP of a detector's boxes, segmented; scores stay the detector's.

    Args:
        segmenter: the model.
        detections: what the detector found in the images of the truth.
        truth: as `finetune.metrics.detection.coco_truth` makes it.

    Raises:
        ToolkitError: an image cannot be read, or is not one of the truth.
    """
    return average_precision(truth, coco_results((_with_masks(segmenter, one) for one in detections), truth), "segm")


def _with_masks(segmenter: Segmenter, found: Detections) -> Detections:
    masks, _ = segmenter.segment(found.path, found.boxes)
    if masks.shape[1:] != (found.height, found.width):
        raise ToolkitError(found.path, "is not of the size that the boxes are for", "detect again")
    cut = [crop_to_bbox(mask, label) for mask, label in zip(masks, found.labels, strict=True)]
    empty = np.zeros((0, 0), np.bool_)
    return replace(
        found,
        masks=tuple(
            one or Instance(label, (0, 0, 0, 0), empty, 0) for one, label in zip(cut, found.labels, strict=True)
        ),
    )
