"""A trained detector as a file of ONNX or TorchScript, proven against PyTorch before it is handed out."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

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
from finetune.engine.runs import Run, read_config
from finetune.yolo_world.config import YoloWorldConfig
from finetune.yolo_world.predictor import WordFacts, checkpoint_of
from finetune.yolo_world.prompts import read_table
from finetune.yolo_world.runtime import load_ultralytics
from toolkit.imaging.images import read_image

__all__ = ["export_detector", "export_onnx"]


class _First(nn.Module):
    """A model's first output alone: boxes and scores. YOLO-World has no other that is meant for use."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> Any:
        found = self.model(images)
        return found[0] if isinstance(found, tuple | list) else found


def export_detector(run: Run) -> Exportable:
    """Images in, boxes and scores of its own classes out.

    Raises:
        ToolkitError: the run is at fault.
    """
    load_ultralytics()
    config, phrases = read_config(run, YoloWorldConfig), run.facts(WordFacts).phrases
    model, side = _loaded(run, list(phrases.values())), config.image_size
    noise = torch.rand(2, 1, 3, side, side, generator=torch.Generator().manual_seed(0))
    letterboxed = [_letterboxed(path, side, config.bits) for path in example_photos(run)]
    graph = Graph(
        "model",
        _First(model),
        tuple((one,) for one in (*noise, *letterboxed)),
        (Port("images", (1, 3, side, side), "RGB in [0, 1]"),),
        (
            Port(
                "output0", (1, 4 + len(phrases), "places"), "x y (middle) width height in pixels; a score of each class"
            ),
        ),
        partial(_written, run, config, list(phrases.values())),
        partial(_in_sides, side),
    )
    result = (
        "a place is a detection of the class of its highest score, where that is above `threshold`; of detections of "
        "one class whose IoU is above 0.7, the best stays"
    )
    about = prepared(side, side, (0.0,) * 3, (1.0,) * 3, depth=config.bits)
    how = f"into {side} x {side} pixels with its proportions kept (OpenCV's INTER_LINEAR), in the middle, on grey 114"
    about["input"]["resize"] = how
    about |= {"classes": list(phrases), "phrases": phrases, "threshold": config.confidence, "result": result}
    return Exportable((graph,), about)


def _in_sides(side: int, found: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Boxes in parts of the side; scores as they are."""
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


def export_onnx(run: Run, out: Path) -> dict[str, Any]:
    """Write the best checkpoint of a run as ONNX, as `export_detector` says.

    Args:
        run: what `train` made.
        out: the file.

    Returns:
        file, sha256, opset, and the largest difference to PyTorch.

    Raises:
        ToolkitError: the packages onnx and onnxruntime are missing, this model cannot be exported, or what was
            exported does not answer as PyTorch does.
    """
    with tempfile.TemporaryDirectory(prefix=".onnx-", dir=run.root) as folder:
        (graph,) = export_detector(run).graphs
        told = write_graph(replace(graph, name=out.stem), "onnx", Path(folder), out)
        out.parent.mkdir(parents=True, exist_ok=True)
        os.replace(Path(folder) / str(told["file"]), out)
    opset = onnx_opset(out)
    return {"file": out.name, "sha256": told["sha256"], "opset": opset, "difference": told["max_difference"]}


def _loaded(run: Run, phrases: list[str]) -> Any:
    from ultralytics.nn.tasks import load_checkpoint

    from finetune.yolo_world.trainer import set_text

    model, _ = load_checkpoint(str(checkpoint_of(run)))
    set_text(model, phrases, read_table(run.root / "prompts.pt").stacked(phrases))
    return model.float().eval()


def _written(run: Run, config: YoloWorldConfig, phrases: list[str], kind: ExportKind, file: Path) -> None:
    """Have ultralytics write a file of its own, beside a copy of the checkpoint."""
    from ultralytics.models import YOLO

    with tempfile.TemporaryDirectory(prefix=".export-", dir=file.parent) as folder:
        copied = Path(folder) / "model.pt"
        shutil.copyfile(checkpoint_of(run), copied)
        model: Any = YOLO(str(copied))
        model.model = _loaded(run, phrases)
        model.model.pt_path = str(copied)  # beside which ultralytics writes what it exports
        own = {"simplify": False} if kind == "onnx" else {}
        made = model.export(format=kind, imgsz=config.image_size, device="cpu", verbose=False, **own)
        os.replace(made, file)
