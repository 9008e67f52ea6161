"""A trained classifier as a graph: images in, the probabilities of its classes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from finetune.classification.config import BackboneConfig
from finetune.classification.inference import image_views, unlabelled_examples, view_batches
from finetune.classification.views.framing import input_size
from finetune.engine.config import Flips
from finetune.engine.outputs.exports import Exportable, Graph, Port, example_photos, noise, prepared
from finetune.engine.runs import Run
from finetune.engine.transforms import flipped_views
from toolkit.aliases import JsonObject

__all__ = ["export_classifier"]

Classify = Callable[[torch.Tensor], torch.Tensor]


class _Probabilities(nn.Module):
    """Images (B, 3, height, width) -> probabilities (B, classes), averaged over the mirrored views as in prediction."""

    def __init__(self, classify: Classify, part: nn.Module, flips: Flips) -> None:
        super().__init__()
        self.part = part  # of `classify`, so that its weights are the graph's own
        self._classify, self._flips = partial(classify), flips  # torch looks into methods, and not into these

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        views = flipped_views(images, self._flips)
        return torch.stack([self._classify(view).softmax(dim=1) for view in views]).mean(dim=0)


def export_classifier(
    run: Run, classify: Classify, part: nn.Module, classes: Sequence[str], config: BackboneConfig
) -> Exportable:
    """What `predict` does with an image, or with each of its tiles, as a graph.

    Args:
        run: of the classifier, whose data gives examples.
        classify: float32 (B, 3, height, width) -> logits (B, classes), by what is on the CPU.
        part: the module whose weights it uses.
        classes: names of the classes.
        config: settings of the run.
    """
    height, width = input_size(config)
    views = image_views(unlabelled_examples(example_photos(run), classes), config)
    examples = [*noise(height, width), *(images[:2] for _, images in view_batches(views, config))]
    graph = Graph(
        "model",
        _Probabilities(classify, part, config.tta).eval().requires_grad_(False),
        tuple((one,) for one in examples[:4]),
        (Port("images", ("batch", 3, height, width), "normalised images"),),
        (Port("probabilities", ("batch", len(classes)), "of each class, in the order of `classes`; a row sums to 1"),),
    )
    own = config.normalization
    letterbox = config.resize == "letterbox"
    about = prepared(height, width, own.mean, own.std, letterbox=letterbox, depth=config.bits)
    result = "the class of the largest probability"
    return Exportable((graph,), {**about, **_tiled(config), "classes": list(classes), "result": result})


def _tiled(config: BackboneConfig) -> JsonObject:
    """How an image is cut up, of a classifier that looks at tiles."""
    tiles = config.tiles
    if not tiles.side:
        return {}
    pools = {
        "max": 'the probabilities of the tile that is least likely "good" (of the surest one, where that is no class)',
        "mean": "the mean of the probabilities of all tiles",
    }
    pools["both"] = f"the mean of two: {pools['max']}, and {pools['mean']}"
    cut = (
        f"each image into squares of {tiles.side} pixels (of its shorter side where that is less) that are evenly "
        f"spread and overlap by {tiles.overlap:g} of their side or more; each of them is resized"
    )
    return {"tiles": {"side": tiles.side, "overlap": tiles.overlap, "cut": cut, "pool": pools[tiles.pool]}}
