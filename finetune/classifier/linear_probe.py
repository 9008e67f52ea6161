"""A linear probe: the features of a frozen backbone, computed once, and logistic regression on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from finetune.classification.backbones import Backbone, feature_extractor
from finetune.classification.inference import evaluating, image_batches
from finetune.classifier.config import ClassifierConfig
from finetune.engine.splits import ImageRecord

__all__ = ["fit_probe"]

_MOST_STEPS = 5000


def fit_probe(
    backbone: Backbone,
    examples: Sequence[ImageRecord],
    classes: Sequence[str],
    config: ClassifierConfig,
    device: torch.device,
) -> None:
    """Fit the backbone's head, and only it, to the features of some images.

    The features are standardised for the regression; that is folded into the head, so that the backbone predicts alone.

    Args:
        backbone: its head is overwritten.
        examples: images to fit to; at least two classes.
        classes: names of the classes.
        config: settings of the classifier.
        device: where to compute features.
    """
    extractor = feature_extractor(backbone).to(device)
    parts = []
    for _, images in image_batches(examples, config):
        with evaluating(extractor):
            parts.append(extractor(images.to(device)).double().cpu().numpy())
    features = np.concatenate(parts)
    labels = [classes.index(example.label) for example in examples]
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale == 0] = 1.0
    regression = LogisticRegression(C=config.probe_strength, max_iter=_MOST_STEPS)
    regression.fit((features - mean) / scale, labels)
    slopes, offsets = regression.coef_, regression.intercept_
    if len(classes) == 2:  # one logit for both: half of it for the one class, half against the other
        slopes, offsets = np.concatenate([-slopes, slopes]) / 2, np.concatenate([-offsets, offsets]) / 2
    slopes = slopes / scale
    offsets = offsets - slopes @ mean
    head = backbone.model.get_submodule(backbone.head)
    if not isinstance(head, nn.Linear):
        raise TypeError(f"{backbone.name}.{backbone.head} is no Linear")
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(slopes))
        head.bias.copy_(torch.from_numpy(offsets))
