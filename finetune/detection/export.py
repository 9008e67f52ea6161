"""A trained detector as a file of ONNX or TorchScript, proven against PyTorch before it is handed out."""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from finetune.detection.config import DetectorConfig
from finetune.detection.predictor import checkpoint_of
from finetune.detection.runtime import load_ultralytics, read_ultralytics
from finetune.engine.outputs.exports import (
    Exportable,
    ExportKind,
    Graph,
    Port,
    example_photos,
    onnx_opset,
    prepared,
    write_graph,
)
from finetune.engine.runs import Run
from toolkit.errors import ToolkitError
from toolkit.imaging.images import read_image

__all__ = ["detector_graph", "export_onnx"]


_RESULT = (
    "a place is a detection of the class of its highest score, where that is above `threshold`; of detections of one "
    "class whose IoU is above 0.7, the best stays, and of all those the best `max_detections`"
)
_MASKS = "; its mask is, inside its box, where the sum of prototypes times coefficients, enlarged, is above 0"


class _Told(nn.Module):
    """What of a model's outputs is meant for use: boxes and scores, and with masks their prototypes too."""

    def __init__(self, model: nn.Module, *, masks: bool) -> None:
        super().__init__()
        self.model, self.masks = model, masks

    def forward(self, images: torch.Tensor) -> Any:
        found = self.model(images)
        told = found[0] if isinstance(found, tuple | list) else found
        return tuple(told) if self.masks else told


def detector_graph(
    run: Run,
    config: DetectorConfig,
    classes: Sequence[str],
    load: Callable[[Path], Any],
    about: Mapping[str, object] | None = None,
) -> Exportable:
    """Images in, boxes and scores of its own classes out, and what masks are made of.

    Args:
        run: what was trained.
        config: its settings.
        classes: in the order of its outputs.
        load: (checkpoint) -> the model.
        about: what export.json says besides.

    Raises:
        ToolkitError: the run is at fault.
    """
    load_ultralytics()
    checkpoint = checkpoint_of(run)
    read_ultralytics(checkpoint)
    model, side = load(checkpoint).float().eval(), config.image_size
    head = model.model[-1]
    if getattr(head, "end2end", False):
        problem = "ends in a head that sorts its detections, whose files cannot be proven"
        raise ToolkitError(f"model {config.model}", problem, "export a run of another model, for instance yolo11s.pt")
    masks = int(getattr(head, "nm", 0))
    noise = torch.rand(2, 1, 3, side, side, generator=torch.Generator().manual_seed(0))
    letterboxed = [_letterboxed(path, side, config.bits) for path in example_photos(run)]
    graph = Graph(
        "model",
        _Told(model, masks=masks > 0),
        tuple((one,) for one in (*noise, *letterboxed)),
        (Port("images", (1, 3, side, side), "RGB in [0, 1]"),),
        _outputs(len(classes), masks),
        partial(_written, model, checkpoint, config),
        partial(_in_sides, side),
    )
    told = prepared(side, side, (0.0,) * 3, (1.0,) * 3, depth=config.bits)
    how = f"into {side} x {side} pixels with its proportions kept (OpenCV's INTER_LINEAR), in the middle, on grey 114"
    told["input"]["resize"] = how
    told |= {"classes": list(classes), **(about or {}), "threshold": config.confidence}
    told |= {"max_detections": config.max_detections, "result": _RESULT + (_MASKS if masks else "")}
    return Exportable((graph,), told)


def _outputs(classes: int, masks: int) -> tuple[Port, ...]:
    """What comes out of a model of so many classes, and so many coefficients of a mask."""
    meaning = "x y (middle) width height in pixels; a score of each class"
    if not masks:
        return (Port("output0", (1, 4 + classes, "places"), meaning),)
    return (
        Port("output0", (1, 4 + classes + masks, "places"), f"{meaning}; {masks} coefficients of its mask"),
        Port("output1", (1, masks, "height", "width"), "prototypes of masks, of the whole square"),
    )


def _in_sides(side: int, found: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Boxes in parts of the side; scores, and prototypes of masks, as they are."""
    if found.ndim > 3:
        return found
    return np.concatenate([found[:, :4] / side, found[:, 4:]], axis=1)


def _letterboxed(path: Path, side: int, depth: int | None) -> torch.Tensor:
    """An image as ultralytics lays it into a square, but for rounding: float32 (1, 3, side, side)."""
    image = read_image(path, depth)
    scale = side / max(image.shape[:2])
    width, height = (max(1, round(length * scale)) for length in (image.shape[1], image.shape[0]))
    framed = np.full((side, side, 3), 114, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    framed[top : top + height, left : left + width] = cv2.resize(image, (width, height))[:, :, ::-1]
    return torch.from_numpy(framed).permute(2, 0, 1)[None].float() / 255


def export_onnx(exported: Exportable, run: Run, out: Path) -> dict[str, Any]:
    """Write the best checkpoint of a run as ONNX.

    Args:
        exported: as `detector_graph` makes it.
        run: what `train` made.
        out: the file.

    Returns:
        file, sha256, opset, and the largest difference to PyTorch.

    Raises:
        ToolkitError: the packages onnx and onnxruntime are missing, this model cannot be exported, or what was
            exported does not answer as PyTorch does.
    """
    with tempfile.TemporaryDirectory(prefix=".onnx-", dir=run.root) as folder:
        (graph,) = exported.graphs
        told = write_graph(replace(graph, name=out.stem), "onnx", Path(folder), out)
        out.parent.mkdir(parents=True, exist_ok=True)
        os.replace(Path(folder) / str(told["file"]), out)
    opset = onnx_opset(out)
    return {"file": out.name, "sha256": told["sha256"], "opset": opset, "difference": told["max_difference"]}


def _written(model: nn.Module, checkpoint: Path, config: DetectorConfig, kind: ExportKind, file: Path) -> None:
    """Have ultralytics write a file of its own, beside a copy of the checkpoint."""
    from ultralytics.models import YOLO

    with tempfile.TemporaryDirectory(prefix=".export-", dir=file.parent) as folder:
        copied = Path(folder) / "model.pt"
        shutil.copyfile(checkpoint, copied)
        writer: Any = YOLO(str(copied))
        writer.model = copy.deepcopy(model)
        writer.model.pt_path = str(copied)  # beside which ultralytics writes what it exports
        own = {"simplify": False} if kind == "onnx" else {}
        made = writer.export(format=kind, imgsz=config.image_size, device="cpu", verbose=False, **own)
        os.replace(made, file)
