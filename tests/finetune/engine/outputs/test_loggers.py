"""Where figures of a training go besides: asked of Lightning with stand-ins, refused where nothing is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import loggers as stock

from finetune.engine.config import parse_config
from finetune.engine.outputs import loggers
from finetune.engine.outputs.loggers import check_logger, lightning_logger
from finetune.vae.config import VaeConfig
from finetune.yolo.config import YoloConfig
from toolkit.errors import ToolkitError


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_package_that_is_not_there_is_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    said = f"logger {name}: needs the package {name}, which is not installed; pip install {name}, or use logger="
    for kind in (VaeConfig, YoloConfig):
        with pytest.raises(ToolkitError, match=said):
            check_logger(parse_config(kind, {"logger": name}))


def test_what_learners_log_to_where_nothing_is_said(tmp_path: Path) -> None:
    assert (VaeConfig().logger, YoloConfig().logger) == ("tensorboard", "none")
    assert lightning_logger("none", tmp_path) is False
    assert lightning_logger("tensorboard", tmp_path).log_dir == str(tmp_path / "tensorboard")
    with pytest.raises(ToolkitError, match="logger: input should be 'none', 'tensorboard', 'mlflow' or 'wandb'"):
        parse_config(VaeConfig, {"logger": "comet"})


class _Recorded:
    def __init__(self, *given: Any, **told: Any) -> None:
        self.given, self.told = given, told


def test_runs_are_listed_under_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFlowLogger", "WandbLogger"):
        monkeypatch.setattr(stock, name, _Recorded)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = tmp_path / "run"
    found = lightning_logger("mlflow", root)
    assert (found.given, found.told["run_name"]) == (("defectkit",), "run")
    assert found.told["tracking_uri"] == (root / "mlruns").as_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert lightning_logger("mlflow", root).told["tracking_uri"] == "http://127.0.0.1:5000"
    found = lightning_logger("wandb", root)
    assert (found.given, found.told) == (("run",), {"save_dir": root, "project": "defectkit"})


def test_a_package_that_lightning_cannot_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any, **told: Any) -> None:
        raise ModuleNotFoundError("requires mlflow>=1.0.0")

    monkeypatch.setattr(stock, "MLFlowLogger", refuse)
    with pytest.raises(ToolkitError, match=r"logger mlflow: cannot be loaded \(requires mlflow>=1.0.0\); pip install"):
        lightning_logger("mlflow", tmp_path)
