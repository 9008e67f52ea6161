"""A learner small enough to train in a second; as a program: python -m tests.finetune.engine.tiny DATA OUT."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import nn

from finetune.engine.checkpoints import load_weights
from finetune.engine.config import TrainedConfig
from finetune.engine.datasets import ImageDataset, repeatable_loader
from finetune.engine.devices import seed_all
from finetune.engine.distributed import gather_rows
from finetune.engine.runs import Run, start_run
from finetune.engine.splits import ImageRecords, SplitConfig, open_examples
from finetune.engine.trainer import Fit, fit

__all__ = ["Tiny", "predict", "train"]


def noisy(image: torch.Tensor) -> torch.Tensor:
    return image.float() / 255 + 0.1 * torch.rand(1)


def plain(image: torch.Tensor) -> torch.Tensor:
    return image.float() / 255


class Tiny(lightning.LightningModule):
    """A linear classifier with dropout, so that a step depends on torch's own random numbers too."""

    def __init__(self, classes: int, lr: float, *, kill_at: int = -1) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(3 * 16 * 16, classes))
        self.lr, self.kill_at = lr, kill_at

    def training_step(self, batch: dict[str, Any], number: int) -> torch.Tensor:
        if self.global_step == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        loss = nn.functional.cross_entropy(self.model(batch["image"]), batch["label"])
        self.log("train_loss", loss, on_epoch=True, on_step=False, batch_size=len(batch["label"]), sync_dist=True)
        return loss

    def validation_step(self, batch: dict[str, Any], number: int) -> None:
        loss = nn.functional.cross_entropy(self.model(batch["image"]), batch["label"])
        self.log("val_loss", loss, batch_size=len(batch["label"]), sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.lr)


def train(data: Path, out: Path, config: TrainedConfig, *, resume: bool = False, kill_at: int = -1) -> tuple[Run, Fit]:
    """Train on a native split whose test folder serves for validation."""
    found = open_examples(data, SplitConfig(strategy="native"))
    run = start_run(out, "tiny", config, subsets=found.subsets, data=data, resume=resume)
    loaders = []
    for subset, transform in (("train", noisy), ("test", plain)):
        dataset = ImageDataset(found.subset(subset), found.classes, 16, transform, seed=config.seed)
        loaders.append(
            repeatable_loader(dataset, batch_size=config.batch_size, shuffle=subset == "train", seed=config.seed)
        )
    seed_all(config.seed)
    module = Tiny(len(found.classes), config.lr, kill_at=kill_at)
    ended = fit(module, loaders[0], loaders[1], run, config)
    return run, ended


def predict(found: ImageRecords, checkpoint: Path) -> list[tuple[int, list[float]]]:
    """(index, scores) of each test image, by the processes that train together."""
    module = Tiny(len(found.classes), 0.1)
    load_weights(module, checkpoint)
    dataset = ImageDataset(found.subset("test"), found.classes, 16, plain)
    rows = []
    with torch.no_grad():
        for batch in repeatable_loader(dataset, batch_size=2, shuffle=False):
            scores = module.eval().model(batch["image"]).tolist()
            rows += list(zip(batch["index"].tolist(), scores, strict=True))
    return gather_rows(rows)


def main() -> None:
    """Train as told on the command line, as JSON; or, with a checkpoint, print predictions of all processes."""
    data, out, told = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    if "checkpoint" in told:
        torch.distributed.init_process_group("gloo")
        rows = predict(open_examples(data, SplitConfig(strategy="native")), Path(told["checkpoint"]))
        if torch.distributed.get_rank() == 0:
            out.write_text(json.dumps(rows))
        torch.distributed.destroy_process_group()
        return
    train(data, out, TrainedConfig(**told["config"]), resume=told.get("resume", False), kill_at=told.get("kill", -1))


if __name__ == "__main__":
    main()
