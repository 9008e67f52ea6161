"""A linear probe: the features of a frozen backbone, computed once, and logistic regression on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from converters.sources import Source
from finetune.backbones.backbone import Backbone, feature_extractor
from finetune.classification.inference import evaluating, view_batches
from finetune.classification.views.datasets import labelled_images
from finetune.classifier.config import ClassifierConfig
from finetune.engine.splits import ImageRecord
from finetune.engine.transforms import eval_transform

__all__ = ["fit_probe"]

_MOST_STEPS = 5000


def fit_probe(
    backbone: Backbone,
    examples: Sequence[ImageRecord],
    classes: Sequence[str],
    config: ClassifierConfig,
    device: torch.device,
    source: Source | None = None,
) -> None:
    """Fit the backbone's head, and only it, to the features of some images.

    The features are standardised for the regression; that is folded into the head, so that the backbone predicts alone.

    Args:
        backbone: its head is overwritten.
        examples: images to fit to; at least two classes.
        classes: names of the classes.
        config: settings of the classifier.
        device: where to compute features.
        source: of the labels, by which crops are placed where the config asks for tiles.
    """
    extractor = feature_extractor(backbone).to(device)
    parts = []
    shown = labelled_images(examples, classes, config, eval_transform(config), source, fixed=True)
    for _, images in view_batches(shown, config):
        with evaluating(extractor):
            parts.append(extractor(images.to(device)).double().cpu().numpy())
    features = np.concatenate(parts)
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale == 0] = 1.0
    weights = "balanced" if config.class_weights == "balanced" else None
    regression = LogisticRegression(C=config.probe_strength, max_iter=_MOST_STEPS, class_weight=weights)
    regression.fit((features - mean) / scale, shown.labels)
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
