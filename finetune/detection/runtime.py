"""ultralytics, loaded so that it reaches for no network, keeps to a folder of its own, and runs no code of files.

ultralytics is AGPL-3.0. It looks at its environment when it is imported, so whoever needs it asks here first.
"""

from __future__ import annotations

import atexit
import copy
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch

from finetune.engine.config import nearest
from finetune.engine.runs import file_sha256
from toolkit.errors import ToolkitError

__all__ = ["ModelSource", "find_model", "load_ultralytics", "read_ultralytics"]

_ENVIRONMENT = {
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_VERBOSE": "false",
    "ULTRALYTICS_SAFE_LOAD": "true",  # checkpoints by weights_only with a list of known classes, YAML without eval
}
_INTEGRATIONS = ("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")
_DOWNLOADS = "ultralytics.nn.modules.block.TorchVision"  # the one known class that fetches weights when it is made
_FONTS = ("Arial.ttf", "Arial.Unicode.ttf")
_HEADS = {"WorldDetect": False, "YOLOESegment": True, "YOLOESegment26": True}  # head -> whether it makes masks
_STOCK_ENCODERS = {
    "clip:ViT-B/32": "ViT-B-32-quickgelu/openai",
    "mobileclip:blt": "MobileCLIP-B/datacompdr_lt",
    "mobileclip2:b": "MobileCLIP2-B/dfndr2b",
}


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from.

    Attributes:
        model: a `.pt` file, or the `.yaml` file or name of an architecture.
        weights: a `.pt` file whose weights it begins with; None for those of `model`, or random ones.
        random: whether it begins with random weights.
        masks: whether it makes masks: it is YOLOE then, and else YOLO-World.
        encoder: the text encoder that the weights were trained with, or that the architecture is made for.
        stages: layers in the backbone, and layers before the head.
        sha256: hash of the file with the weights; None for random ones.
    """

    model: str
    weights: Path | None
    random: bool
    masks: bool
    encoder: str
    stages: tuple[int, int]
    sha256: str | None


@cache
def load_ultralytics() -> None:
    """Import ultralytics, once: quiet, offline, in a folder that goes away with this process.

    Raises:
        ToolkitError: it is not installed.
    """
    early = "ultralytics" in sys.modules
    if not early:
        folder = Path(tempfile.mkdtemp(prefix="defectkit-ultralytics-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _put_fonts(folder / "Ultralytics")
        os.environ |= {**_ENVIRONMENT, "YOLO_CONFIG_DIR": str(folder)}
    shown = np.get_printoptions()
    try:
        import ultralytics.nn.tasks
        import ultralytics.utils
        from ultralytics.utils.events import events
    except ModuleNotFoundError as error:
        remedy = "pip install 'defectkit[yolo]' (ultralytics is under the AGPL-3.0)"
        raise ToolkitError("yolo-world", f"needs the package {error.name}", remedy) from error
    np.set_printoptions(**shown)  # which it sets for the whole process
    if early:
        os.environ |= _ENVIRONMENT
        ultralytics.utils.LOGGER.setLevel("ERROR")
        vars(ultralytics.nn.tasks)["SAFE_LOAD"] = True
        _put_fonts(ultralytics.utils.USER_CONFIG_DIR)
    else:
        ultralytics.utils.SETTINGS.update({"sync": False, **dict.fromkeys(_INTEGRATIONS, False)})
    events.enabled = False


def _put_fonts(folder: Path) -> None:
    """Put matplotlib's font where ultralytics looks for one before it downloads it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FONTS:
        if not (folder / name).exists():
            shutil.copyfile(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", folder / name)


def read_ultralytics(file: Path) -> tuple[torch.nn.Module, dict[str, Any]]:
    """The model in a checkpoint of ultralytics, and the rest of it. Code in the file is refused, not run.

    Raises:
        ToolkitError: the file is damaged, holds anything but a model of ultralytics, or would run code.
    """
    load_ultralytics()
    from ultralytics.nn.tasks import torch_safe_load

    if not file.is_file():
        raise ToolkitError(file, "no such file", "check the path")
    remedy = "use one that ultralytics or 'defectkit train' wrote"
    try:
        if _DOWNLOADS in torch.serialization.get_unsafe_globals_in_checkpoint(file):
            raise ValueError(_DOWNLOADS)
        checkpoint, _ = torch_safe_load(str(file.resolve()), safe_only=True)
    except Exception as error:  # whatever a damaged or hostile file makes of the unpickler
        problem = "is no checkpoint of ultralytics: damaged, or made to run code"
        raise ToolkitError(file, problem, remedy) from error
    model = (checkpoint.get("ema") or checkpoint.get("model")) if isinstance(checkpoint, dict) else None
    if not isinstance(model, torch.nn.Module):
        raise ToolkitError(file, "is no checkpoint of ultralytics: it holds no model", remedy)
    return model, checkpoint


def find_model(model: str, weights: str) -> ModelSource:
    """Look at a model before anything is written.

    Args:
        model, weights: as in `YoloWorldConfig`.

    Raises:
        ToolkitError: there is no such model, it cannot be fetched or read, or is neither YOLO-World nor YOLOE-seg.
    """
    load_ultralytics()
    given = None if weights in ("default", "none") else Path(weights)
    file: Path | None = None
    layers: Any
    if model.lower().endswith(".pt"):
        file = Path(model) if Path(model).is_file() else _fetch(model)
        found, _ = read_ultralytics(file)
        masks, layers, encoder = _makes_masks(model, found.yaml), found.yaml, _encoder_of(found)
    elif model.lower().endswith((".yaml", ".yml")):
        layers = _read_layers(model)
        masks = _makes_masks(model, layers)
        stock = str(layers.get("text_model", "mobileclip:blt" if masks else "clip:ViT-B/32"))
        encoder = _STOCK_ENCODERS.get(stock, stock)
    else:
        raise ToolkitError(f"model {model}", "is neither a .pt nor a .yaml", "for instance yolov8s-worldv2.pt")
    if given is not None:
        found, _ = read_ultralytics(given)
        if _makes_masks(str(given), found.yaml) != masks:
            raise ToolkitError(given, f"holds weights of another kind of model than {model}", "use those of its kind")
        encoder = _encoder_of(found)
    _check_builds(model, layers, masks=masks)
    begins = given or (file if weights == "default" else None)
    stages = (len(layers["backbone"]), len(layers["backbone"]) + len(layers["head"]) - 1)
    place = file or Path(model)
    name = str(place.resolve()) if place.is_file() else model
    digest = None if begins is None else file_sha256(begins)
    return ModelSource(name, given, begins is None, masks, encoder, stages, digest)


def _encoder_of(model: torch.nn.Module) -> str:
    """The text encoder that a model was trained with: ours say so, ultralytics' by their kind."""
    ours = getattr(model, "text_encoder", None)
    if isinstance(ours, str):
        return ours
    stock = str(getattr(model, "text_model", "clip:ViT-B/32"))
    return _STOCK_ENCODERS.get(stock, stock)


def _makes_masks(model: str, layers: Any) -> bool:
    """Whether a model makes masks, by its head.

    Raises:
        ToolkitError: it is neither YOLO-World nor YOLOE with masks.
    """
    try:
        head = str(layers["head"][-1][2])
    except (KeyError, IndexError, TypeError) as error:
        raise ToolkitError(
            f"model {model}", "describes no detector", "use for instance yolov8s-worldv2.yaml"
        ) from error
    if head not in _HEADS:
        problem = f"is neither YOLO-World nor YOLOE with masks (its head is {head})"
        raise ToolkitError(f"model {model}", problem, "use for instance yolov8s-worldv2.pt or yoloe-v8s-seg.pt")
    return _HEADS[head]


def _check_builds(model: str, layers: Any, *, masks: bool) -> None:
    """Build a model once: ultralytics runs no code of its description, but says so in errors of its own."""
    from ultralytics.nn.tasks import WorldModel, YOLOESegModel

    try:
        (YOLOESegModel if masks else WorldModel)(copy.deepcopy(dict(layers)), nc=1, verbose=False)
    except Exception as error:  # whatever wrong layers lead to
        told = (str(error).splitlines() or [type(error).__name__])[0][:120]
        remedy = "use for instance yolov8s-worldv2.yaml"
        raise ToolkitError(f"model {model}", f"cannot be built ({told})", remedy) from error


def _read_layers(model: str) -> Mapping[str, Any]:
    from ultralytics.nn.tasks import yaml_model_load

    try:
        told = yaml_model_load(model)
    except Exception as error:  # a name that is unknown, a file that is no YAML or has no layers
        remedy = "use for instance yolov8n-worldv2.yaml, yoloe-v8s-seg.yaml, or check the file"
        raise ToolkitError(f"model {model}", "is no architecture that ultralytics can read", remedy) from error
    if not isinstance(told, Mapping):
        raise ToolkitError(f"model {model}", "describes no detector", "use for instance yolov8s-worldv2.yaml")
    return told


def _fetch(model: str) -> Path:
    """A model of ultralytics by its name, fetched once into torch's folder of checkpoints."""
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, attempt_download_asset

    known = sorted(name for name in GITHUB_ASSETS_NAMES if "world" in name or re.fullmatch(r"yoloe-.*-seg\.pt", name))
    if Path(model).name != model or model not in known:
        raise ToolkitError(f"model {model}", "no such file, and no such model of ultralytics", nearest(model, known))
    file = Path(torch.hub.get_dir()) / "checkpoints" / model
    if file.is_file():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder, _online():
        try:
            found = Path(attempt_download_asset(str(Path(folder) / model)))
            os.replace(found, file)
        except Exception as error:  # no network, no such file there, a full disk
            remedy = "name a file that is on this machine (--set model=FILE.pt)"
            raise ToolkitError(f"model {model}", "cannot be fetched", remedy) from error
    return file


@contextmanager
def _online() -> Iterator[None]:
    """Let ultralytics reach for the network: the user named what to fetch."""
    before = os.environ.pop("YOLO_OFFLINE", None)
    try:
        yield
    finally:
        if before is not None:
            os.environ["YOLO_OFFLINE"] = before
