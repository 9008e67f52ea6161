"""A trained detector as an ONNX file, checked against PyTorch before it is handed out."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from finetune.engine.runs import Run, file_sha256, read_config
from finetune.yolo_world.config import YoloWorldConfig
from finetune.yolo_world.predictor import WordFacts, checkpoint_of
from finetune.yolo_world.prompts import read_table
from finetune.yolo_world.runtime import load_ultralytics
from toolkit.errors import ToolkitError

__all__ = ["export_onnx"]

_TOLERANCE = 1e-3  # largest difference, of boxes in parts of the image side, and of scores


def export_onnx(run: Run, out: Path) -> dict[str, Any]:
    """Write the best checkpoint of a run as ONNX: images in, boxes and scores of its own classes out.

    Args:
        run: what `train` made.
        out: the file.

    Returns:
        file, sha256, opset, and the largest difference to PyTorch.

    Raises:
        ToolkitError: the packages onnx and onnxruntime are missing, this model cannot be exported, or what was
            exported does not answer as PyTorch does.
    """
    try:
        import onnx
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ToolkitError("export onnx", f"needs the package {error.name}", "pip install onnx onnxruntime") from error
    load_ultralytics()
    config = read_config(run, YoloWorldConfig)
    phrases = run.facts(WordFacts).phrases
    with tempfile.TemporaryDirectory(prefix=".onnx-", dir=run.root) as folder:
        made = _exported(run, Path(folder), config, list(phrases.values()))
        session = onnxruntime.InferenceSession(str(made), providers=["CPUExecutionProvider"])
        side = session.get_inputs()[0].shape[-1]
        image = np.random.default_rng(config.seed).random((1, 3, side, side), np.float32)
        answered = session.run(None, {session.get_inputs()[0].name: image})[0]
        with torch.inference_mode():
            wanted = _loaded(run, list(phrases.values()))(torch.from_numpy(image))[0]
        expected = (wanted[0] if isinstance(wanted, tuple | list) else wanted).numpy()
        difference = _difference(answered, expected, side)
        if not difference <= _TOLERANCE:
            problem = f"answers differently from PyTorch (by {difference:.2g})"
            raise ToolkitError(out, problem, "use the checkpoint, or a worldv2 model")
        out.parent.mkdir(parents=True, exist_ok=True)
        opset = int(onnx.load(made, load_external_data=False).opset_import[0].version)
        shutil.copyfile(made, part := out.with_name(f".{out.name}.part"))
        os.replace(part, out)
    return {"file": out.name, "sha256": file_sha256(out), "opset": opset, "difference": difference}


def _loaded(run: Run, phrases: list[str]) -> Any:
    from ultralytics.nn.tasks import load_checkpoint

    from finetune.yolo_world.trainer import set_text

    model, _ = load_checkpoint(str(checkpoint_of(run)))
    set_text(model, phrases, read_table(run.root / "prompts.pt").stacked(phrases))
    return model.float().eval()


def _exported(run: Run, folder: Path, config: YoloWorldConfig, phrases: list[str]) -> Path:
    from ultralytics.models import YOLO

    copied = folder / "model.pt"
    shutil.copyfile(checkpoint_of(run), copied)
    try:
        model: Any = YOLO(str(copied))
        model.model = _loaded(run, phrases)
        model.model.pt_path = str(copied)  # beside which ultralytics writes what it exports
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # which torch gives about its own exporter and about shapes that are fixed
            made = model.export(format="onnx", imgsz=config.image_size, simplify=False, device="cpu", verbose=False)
        return Path(made)
    except Exception as error:  # torch, onnx and ultralytics have no error in common
        told = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise ToolkitError(run.root, f"cannot be exported to ONNX ({told})", "worldv2 models can") from error


def _difference(found: Any, expected: Any, side: int) -> float:
    """The largest difference: of box numbers in parts of the side, of all others as they are."""
    if found.shape != expected.shape:
        return float("inf")
    apart = np.abs(np.asarray(found, np.float64) - expected)
    apart[:, :4] /= side
    return float(apart.max())
