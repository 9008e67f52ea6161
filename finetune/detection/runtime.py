"""ultralytics, loaded so that it reaches for no network, keeps to a folder of its own, and runs no code of files.

ultralytics is AGPL-3.0. It looks at its environment when it is imported, so whoever needs it asks here first.
"""

from __future__ import annotations

import atexit
import http.client
import inspect
import os
import shutil
import sys
import tempfile
import urllib.request
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch

from toolkit.errors import ToolkitError

__all__ = ["fetch_model", "load_ultralytics", "read_ultralytics"]

_ENVIRONMENT = {
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_VERBOSE": "false",
    "ULTRALYTICS_SAFE_LOAD": "true",  # checkpoints by weights_only with a list of known classes, YAML without eval
}
_INTEGRATIONS = ("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")
_DOWNLOADS = "ultralytics.nn.modules.block.TorchVision"  # the one known class that fetches weights when it is made
_PATIENCE = 20  # seconds without a word from where a model is fetched
_FONTS = ("Arial.ttf", "Arial.Unicode.ttf")


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
        raise ToolkitError("yolo", f"needs the package {error.name}", remedy) from error
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


def fetch_model(model: str) -> Path:
    """A model of ultralytics by the name of its file, fetched once into torch's folder of checkpoints.

    Args:
        model: a name that ultralytics publishes.

    Raises:
        ToolkitError: it cannot be fetched; after one try, whatever the reason.
    """
    load_ultralytics()
    from ultralytics.utils.downloads import GITHUB_ASSETS_REPO, attempt_download_asset

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    file = folder / model
    if file.is_file():
        return file
    release = inspect.signature(attempt_download_asset).parameters["release"].default
    url = f"https://github.com/{GITHUB_ASSETS_REPO}/releases/download/{release}/{model}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as held:
            part = Path(held) / model
            with urllib.request.urlopen(url, timeout=_PATIENCE) as answer, open(part, "wb") as kept:
                shutil.copyfileobj(answer, kept)
            read_ultralytics(part)  # a page of a proxy is no model, and must not be kept
            os.replace(part, file)
    except (OSError, http.client.HTTPException, ToolkitError) as error:  # no network, no file there, a full disk
        told = error.problems[0].problem if isinstance(error, ToolkitError) else getattr(error, "reason", None) or error
        problem = f"cannot be fetched from {url} ({' '.join(str(told).split())[:120]})"
        remedy = (
            f"go online once (it is kept in {folder}), put the file there, name one with --set model=FILE.pt, or begin "
            f"at random with --set model={Path(model).stem}.yaml"
        )
        raise ToolkitError(f"model {model}", problem, remedy) from error
    return file
