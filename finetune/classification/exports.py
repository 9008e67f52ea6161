"""A trained classifier as a graph: images in, the probabilities of its classes out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from finetune.classification.config import BackboneConfig
from finetune.classification.inference import image_batches, unlabelled_examples
from finetune.engine.config import Flips
from finetune.engine.outputs.exports import Exportable, Graph, Port, example_photos, prepared_square
from finetune.engine.runs import Run
from finetune.engine.transforms import MEAN, STD, flipped_views

__all__ = ["export_classifier"]


class _Probabilities(nn.Module):
    """Images (B, 3, size, size) -> probabilities (B, classes), averaged over the mirrored views as in prediction."""

    def __init__(self, model: nn.Module, flips: Flips) -> None:
        super().__init__()
        self.model, self._flips = model, flips

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        views = flipped_views(images, self._flips)
        return torch.stack([self.model(view).softmax(dim=1) for view in views]).mean(dim=0)


def export_classifier(run: Run, model: nn.Module, classes: Sequence[str], config: BackboneConfig) -> Exportable:
    """What `predict` does, as a graph.

    Args:
        run: of the classifier, whose data gives examples.
        model: float32 (B, 3, size, size) -> logits (B, classes), on the CPU.
        classes: names of the classes.
        config: of which image_size and tta are used.
    """
    size = config.image_size
    noise = torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(0))
    examples = [noise[:1], noise[1:]]
    photos = unlabelled_examples(example_photos(run), classes)
    examples += [images for _, images in image_batches(photos, config)]
    graph = Graph(
        "model",
        _Probabilities(model, config.tta).eval(),
        tuple((one,) for one in examples),
        (Port("images", ("batch", 3, size, size), "normalised images"),),
        (Port("probabilities", ("batch", len(classes)), "of each class, in the order of `classes`; a row sums to 1"),),
    )
    about = prepared_square(size, MEAN, STD)
    result = "the class of the largest probability"
    return Exportable((graph,), {**about, "classes": list(classes), "threshold": None, "result": result})
