"""A trained VAE as a graph: images in, anomaly maps out."""

from __future__ import annotations

import torch
from torch import nn

from finetune.engine.outputs.exports import Exportable, Graph, Port, example_photos, prepared_square
from finetune.engine.runs import Run
from finetune.engine.splits import ImageRecord
from finetune.vae.config import VaeConfig
from finetune.vae.predictor import anomaly_maps, image_loader, load_trained
from toolkit.dataset.samples import GOOD
from toolkit.errors import ToolkitError

__all__ = ["export_vae"]


class _Maps(nn.Module):
    """Images (B, 3, size, size), RGB in [0, 1] -> maps (B, size, size), as in prediction."""

    def __init__(self, model: nn.Module, config: VaeConfig) -> None:
        super().__init__()
        self.model, self._config = model, config

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return anomaly_maps(self.model, images, self._config)  # type: ignore[arg-type]


def export_vae(run: Run) -> Exportable:
    """What `predict` does, as a graph.

    Raises:
        ToolkitError: as `load_trained`, or its maps need gradients, which a graph does not have.
    """
    ready = load_trained(run, device="cpu")
    config, size = ready.config, ready.config.image_size
    if config.score == "grad":
        raise ToolkitError(run.root, "makes its maps by gradients (score=grad), which a file cannot", "use 'residual'")
    noise = torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(0))
    photos = [ImageRecord(str(path), path, GOOD, "", "test") for path in example_photos(run)]
    examples = [noise[:1], noise[1:], *(batch["image"] for batch in image_loader(photos, config))]
    graph = Graph(
        "model",
        _Maps(ready.model, config).eval(),
        tuple((one,) for one in examples),
        (Port("images", ("batch", 3, size, size), "RGB in [0, 1]"),),
        (Port("maps", ("batch", size, size), "how little each pixel is what was expected"),),
    )
    result = (
        "enlarge a map bilinearly to the size of the image (OpenCV INTER_LINEAR); what is above `threshold` is anomalous, "
        "and the score of the image is the highest value"
    )
    if config.min_area > 1:
        result += f" that a component (8-connected) of {config.min_area} pixels or more reaches"
    told = prepared_square(size, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    return Exportable((graph,), {**told, "classes": [], "threshold": ready.threshold, "result": result})
