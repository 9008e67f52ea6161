"""Training a detector of given classes: the losses of ultralytics' own trainers, what passes through, and going on."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from finetune.detection.data import open_detection_data, write_tree
from finetune.engine.runs import start_run
from finetune.yolo.config import YoloConfig
from finetune.yolo.learner import train
from finetune.yolo.models import find_model
from tests.finetune.yolo.plain import BOXES, MASKS, settings
from tests.finetune.yolo_world.detecting import make_data
from toolkit.errors import ToolkitError


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"))


def trainer(data: Path, out: Path, config: YoloConfig, *, stock: Any = None) -> Any:
    """Ours, ready to train; or ultralytics' own, with the same settings and data."""
    from finetune.detection.trainer import make_trainer, trainer_settings
    from finetune.yolo.trainer import plain_trainer

    found, source = open_detection_data(data, config), find_model(config.model, config.weights)
    run = start_run(out, "yolo", config, subsets=found.examples.subsets, data=data)
    tree = write_tree(found, run, config, masks=source.masks)
    if stock is None:
        return make_trainer(plain_trainer(masks=source.masks), run, config, source, tree, validate=False)
    told = trainer_settings(run, config, source, tree)
    return stock(overrides={**told, "save_dir": str(out / "stock"), "val": False})


def steps(one: Any) -> list[list[float]]:
    """Train, and return the parts of the loss at each step."""
    found: list[list[float]] = []
    one.add_callback("on_train_batch_end", lambda now: found.append([float(part) for part in now.loss_items.values()]))
    one.train()
    return found


@pytest.mark.parametrize("model", [BOXES, MASKS], ids=["boxes", "masks"])
def test_losses_are_those_of_ultralytics_own_trainer(model: str, data: Path, tmp_path: Path) -> None:
    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.models.yolo.segment import SegmentationTrainer

    varied = {"flipud": 0.5, "mosaic": 0.5, "degrees": 90}
    config = settings(model=model, instances="image", batch_size=2, train=varied)
    ours = steps(trainer(data, tmp_path / "ours", config))
    stock = SegmentationTrainer if model == MASKS else DetectionTrainer
    theirs = steps(trainer(data, tmp_path / "stock", config, stock=stock))
    assert len(ours) == len(theirs) == 4
    assert torch.allclose(torch.tensor(ours), torch.tensor(theirs), rtol=0, atol=1e-4)
    assert all(part > 0.01 for part in ours[0][: 4 if model == MASKS else 3])
    assert ours[0] != ours[-1]


def test_settings_pass_through_and_a_stopped_run_goes_on(data: Path, tmp_path: Path) -> None:
    config = settings(model=BOXES, epochs=2, train={"flipud": 0.5, "mosaic": 0, "cos_lr": True, "freeze": [0]})
    out = tmp_path / "run"

    def stop(done: int, most: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(data, config, out, False, stop)
    assert not (out / "metrics.json").exists()
    told = yaml.safe_load((out / "plots/ultralytics/args.yaml").read_text())
    assert {name: told[name] for name in config.train} == config.train
    assert train(data, config, out, True).finished
    with open(out / "log.csv", newline="", encoding="utf-8") as found:
        assert [row["epoch"] for row in csv.DictReader(found)] == ["0", "1"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"train": {"flipud": 2}}, r"train.flipud: is not taken by ultralytics: .*'flipud=2' is an invalid value"),
        ({"train": {"mask_ratio": 1}}, r"train.mask_ratio: changes nothing: .*tiny.yaml learns boxes, and no masks"),
        ({"train": {"freeze": 99}}, r"train.freeze: leaves nothing that learns; freeze fewer layers"),
    ],
)
def test_settings_that_cannot_be(changed: dict[str, Any], said: str, data: Path, tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match=said):
        train(data, settings(model=BOXES, **changed), tmp_path / "run")
