"""Where the figures of a training go besides log.csv: TensorBoard, MLflow or Weights & Biases. Loads none of them."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from toolkit.errors import ToolkitError

__all__ = ["PROJECT", "LoggerName", "check_logger", "lightning_logger", "logger_field", "mlflow_place"]

LoggerName = Literal["none", "tensorboard", "mlflow", "wandb"]

PROJECT = "defectkit"
"""The experiment of MLflow, and the project of Weights & Biases, that runs are listed under."""


def logger_field(default: LoggerName) -> Any:
    """The field of `LoggerName`."""
    told = (
        'where figures of training go besides log.csv: "none"; "tensorboard", in the run; "mlflow", to where '
        'MLFLOW_TRACKING_URI says or else RUN/mlruns; "wandb", as its own environment variables say. The last two are '
        "packages to install."
    )
    return Field(default=default, description=told)


def check_logger(config: object) -> None:
    """Refuse a logger whose package is not there, before anything is trained.

    Args:
        config: of any learner; one without such a setting logs nowhere.

    Raises:
        ToolkitError: it is not installed.
    """
    name = getattr(config, "logger", "none")
    if name != "none" and find_spec(name) is None:
        remedy = f"pip install {name}, or use --set logger=none"
        raise ToolkitError(f"logger {name}", f"needs the package {name}, which is not installed", remedy)


def mlflow_place(root: Path) -> str:
    """Where MLflow keeps what it is told of a run: as the user says, or else in the run."""
    return os.environ.get("MLFLOW_TRACKING_URI") or (root / "mlruns").resolve().as_uri()


def lightning_logger(name: LoggerName, root: Path) -> Any:
    """Lightning's own logger of a training; False for none.

    Args:
        name: which one.
        root: of the run.

    Raises:
        ToolkitError: it cannot be loaded.
    """
    if name == "none":
        return False
    from lightning.pytorch import loggers

    try:
        if name == "mlflow":
            return loggers.MLFlowLogger(PROJECT, run_name=root.name, tracking_uri=mlflow_place(root))
        if name == "wandb":
            return loggers.WandbLogger(root.name, save_dir=root, project=PROJECT)
        return loggers.TensorBoardLogger(root, name="", version="tensorboard")
    except ModuleNotFoundError as error:
        remedy = f"pip install {name}, or use --set logger=none"
        raise ToolkitError(f"logger {name}", f"cannot be loaded ({error})", remedy) from error
