"""A trained anomaly detector as a graph: images in, anomaly maps out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from finetune.anomaly.detector import Detector, MapMaker, image_loader
from finetune.anomaly.maps import smooth
from finetune.engine.outputs.exports import Exportable, Graph, Port, example_photos, noise, prepared
from finetune.engine.runs import Run
from finetune.engine.splits import ImageRecord
from toolkit.dataset.samples import GOOD

__all__ = ["export_detector"]


class _Maps(nn.Module):
    """Images (B, 3, side, side), RGB in [0, 1] -> maps (B, side, side), blurred as in prediction."""

    def __init__(self, maps: MapMaker, sigma: float, parts: Sequence[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)  # of `maps`, so that their weights are the graph's own
        self._maps, self._sigma = maps, sigma

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return smooth(self._maps(images), self._sigma).float()


def export_detector(run: Run, ready: Detector, parts: Sequence[nn.Module], *, one_by_one: bool = False) -> Exportable:
    """What `predict` does, as a graph.

    Args:
        run: of the detector, whose data gives examples.
        ready: the detector; it is moved to the CPU.
        parts: the modules that its maps are made by.
        one_by_one: whether what makes the maps has to be told how many images there are, so that the graph takes one.
    """
    config, side = ready.config, ready.config.image_size
    module = _Maps(ready.maps, config.smoothing * side, parts).cpu().eval().requires_grad_(False)
    photos = [ImageRecord(str(path), path, GOOD, "", "test") for path in example_photos(run)]
    examples = [*noise(side, side), *(batch["image"] for batch in image_loader(photos, config))]
    number: int | str = 1 if one_by_one else "batch"
    graph = Graph(
        "model",
        module,
        tuple((one,) for batch in examples for one in batch.split(1 if one_by_one else len(batch))),
        (Port("images", (number, 3, side, side), "RGB in [0, 1]"),),
        (Port("maps", (number, side, side), "how little each pixel is what was expected"),),
    )
    result = (
        "enlarge a map bilinearly to the size of the image (OpenCV's INTER_LINEAR); what is above `threshold` is "
        "anomalous, and the score of the image is the highest value"
    )
    if config.min_area > 1:
        result += f" that a component (8-connected) of {config.min_area} pixels or more reaches"
    about = prepared(side, side, (0.0,) * 3, (1.0,) * 3, depth=config.bits)
    return Exportable((graph,), {**about, "classes": [], "threshold": ready.threshold, "result": result})
