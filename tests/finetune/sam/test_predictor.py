"""Figures of instances are those that segment-anything's own predictor would give, prompt by prompt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor

from finetune.engine.devices import mixed_seed
from finetune.engine.splits import SplitConfig, open_examples
from finetune.sam.data import read_instances
from finetune.sam.embeddings import Encoder
from finetune.sam.metrics import FIGURES, PROMPTS, compare_masks
from finetune.sam.models import build_sam
from finetune.sam.predictor import Segmenter, evaluate_image
from finetune.sam.prompts import corrective_click, deepest_pixel, jittered_box
from tests.finetune.sam.segmenting import write_blobs
from toolkit.geometry.labels import LabelledImage
from toolkit.imaging.images import read_image


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    torch.manual_seed(3)
    sam = build_sam("tiny", 128)
    for layer in sam.prompt_encoder.mask_downscaling.parameters():  # so that what is fed back can be seen
        layer.data *= 3
    sam.mask_decoder.iou_prediction_head.layers[-1].bias.data[0] += 5  # the first mask is for whole prompts alone
    return Segmenter(sam, Encoder(sam.image_encoder, torch.device("cpu"), 128))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> LabelledImage:
    """An image of 48 x 64 pixels with 40 instances, more than are asked about at once."""
    root = write_blobs(tmp_path_factory.mktemp("data"), images=1)
    found = read_instances(open_examples(root, SplitConfig(strategy="native")).examples, root)
    (first, second) = (one for one in found if one.instances)
    return replace(first, instances=(first.instances + second.instances) * 20)


def by_hand(sam: Any, image: LabelledImage, number: int, noisy: Any) -> dict[str, Any]:
    """The mask of each kind of prompt, one call of the predictor after the other."""
    predictor = SamPredictor(sam)
    predictor.set_image(np.ascontiguousarray(read_image(image.path or Path())[:, :, ::-1]))
    one = image.instances[number]
    truth = one.whole(image.width, image.height)
    masks = {
        "box": predictor.predict(box=np.array(one.bbox, np.float64), multimask_output=False)[0][0],
        "jittered_box": predictor.predict(box=noisy, multimask_output=False)[0][0],
    }
    points, labels = np.array([deepest_pixel(truth)]), np.array([1])
    three, quality, low = predictor.predict(points, labels, multimask_output=True)
    masks["point"], fed = three[quality.argmax()], low[quality.argmax()][None]
    mask = masks["point"]
    for _ in range(2):
        x, y, label = corrective_click(truth, mask)
        points, labels = np.concatenate([points, [[x, y]]]), np.append(labels, label)
        (mask,), _, fed = predictor.predict(points, labels, mask_input=fed, multimask_output=False)
    return {**masks, "clicks3": mask}


@pytest.mark.parametrize("number", [0, 1, 17, 39])
def test_every_prompt_is_judged_as_by_hand(number: int, segmenter: Segmenter, image: LabelledImage) -> None:
    found = evaluate_image(segmenter, image, segmenter.embed(image.path or Path()), seed=5)
    assert len(found) == len(image.instances)
    first = number - number % 16
    rng = np.random.default_rng(mixed_seed(5, first))
    some = image.instances[first : first + 16]
    noisy = [jittered_box(one, image.width, image.height, 0.1, rng) for one in some][number - first]
    one = image.instances[number]
    truth = one.whole(image.width, image.height)
    masks = by_hand(segmenter.sam, image, number, noisy)
    assert set(found[number]) == {f"{figure}_{prompt}" for figure in FIGURES for prompt in PROMPTS}
    for prompt in PROMPTS:
        for figure, value in compare_masks(truth, masks[prompt]).items():
            assert found[number][f"{figure}_{prompt}"] == pytest.approx(value, abs=1e-9), (prompt, figure)
    assert len({masks[prompt].sum() for prompt in PROMPTS}) > 2  # else it would say little
