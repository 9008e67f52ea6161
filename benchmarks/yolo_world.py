"""The open-vocabulary detector on a CPU: does it learn, and what does the driver cost beside ultralytics' own trainer?

Run: python -m benchmarks.yolo_world [--part fit|speed|all] [--epochs 80] [--rounds 5] [--device cpu]

fit    yolov8n-worldv2 from random weights on 16 images of the embedded product at 128 px, which it is then tested on:
       mAP50 should be .9 or more
speed  epochs of the driver and of `WorldTrainer` in turn, with the same data, seed and text features: the largest
       difference of their losses, and the ratio of their times for an epoch (training, validation, checkpoints)
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.timing import environment
from finetune.detection.data import open_detection_data, write_tree
from finetune.engine.config import parse_config
from finetune.engine.runs import Run, read_metrics, start_run
from finetune.yolo_world.config import YoloWorldConfig
from finetune.yolo_world.learner import text_features, train
from finetune.yolo_world.models import find_model
from finetune.yolo_world.prompts import TextEmbeddings, phrases_of_data, tree_names
from toolkit import load_dataset, write_product


def settings(**changed: Any) -> YoloWorldConfig:
    common = {"model": "yolov8n-worldv2.yaml", "prompts": "hash", "image_size": 128, "plots": False}
    return parse_config(YoloWorldConfig, {**common, **changed})


def sixteen(folder: Path) -> tuple[Path, Path]:
    """Two images of each class, and a split that trains on all of them."""
    data = write_product(folder, image_size=128, per_class=2, train_good=1)
    rows = [f"{one.key},{'train' if one.split == 'test' else 'none'}" for one in load_dataset(data)]
    split = folder / "split.csv"
    split.write_text("\n".join(["key,subset", *rows]) + "\n")
    return data, split


def fit(folder: Path, epochs: int, device: str) -> None:
    data, split = sixteen(folder)
    # Specks of a pixel belong to the defect beside them; a detector cannot learn them by themselves.
    config = settings(
        epochs=epochs,
        batch_size=4,
        augment={"preset": "none"},
        instances="image",
        split={"file": str(split)},
        device=device,
    )
    started = time.perf_counter()
    run = train(data, config, folder / "fit")
    found = read_metrics(run)
    seconds = time.perf_counter() - started
    told = f"mAP50 {found['map50']:.3f}   mAP50-95 {found['map50_95']:.3f}   {seconds:.0f} s"
    print(f"fit    16 images, {epochs} epochs:   {told}", flush=True)


class Timed:
    """Trains once, and keeps the losses of the steps and the seconds of the epochs."""

    def __init__(self) -> None:
        self.losses: list[list[float]] = []
        self.stamps: list[float] = []

    def run(self, trainer: Any) -> None:
        trainer.add_callback(
            "on_train_batch_end", lambda one: self.losses.append([*map(float, one.loss_items.values())])
        )
        trainer.add_callback("on_train_epoch_start", lambda one: self.stamps.append(time.perf_counter()))
        trainer.train()

    @property
    def seconds(self) -> list[float]:
        """Of each epoch but the first, which warms up, from its start to that of the next."""
        return [later - before for before, later in zip(self.stamps[1:], self.stamps[2:], strict=False)]


@dataclass(frozen=True)
class Beside:
    """Epochs of the driver beside those of ultralytics' own trainer.

    Attributes:
        driver, stock: median seconds of an epoch.
        ratio: median over pairs of epochs in turn.
        epochs: pairs.
        apart: largest difference of a loss.
    """

    driver: float
    stock: float
    ratio: float
    epochs: int
    apart: float


def beside_stock(data: Path, config: YoloWorldConfig, folder: Path, rounds: int) -> Beside:
    """Train with both in turn, with the same data, seed and text features; a first round warms up."""
    from finetune.detection.trainer import make_trainer, trainer_settings
    from finetune.yolo_world.trainer import prompted_trainer

    found, source = open_detection_data(data, config), find_model(config.model, "default")
    phrases = phrases_of_data(found, config)
    table: TextEmbeddings = text_features(phrases, config, source)[0]
    run: Run = start_run(folder / "run", "yolo-world", config, subsets=found.examples.subsets, data=data)
    tree = write_tree(found, run, config, masks=False, names=tree_names(phrases))
    base, known = prompted_trainer(source, table)

    from ultralytics.models.yolo.world.train import WorldTrainer
    from ultralytics.nn.tasks import WorldModel

    def given(model: Any, text: list[str], batch: int = 80, cache_clip_model: bool = False) -> torch.Tensor:
        return table.stacked(text)[None].to(next(model.parameters()).device)

    told = {**trainer_settings(run, config, source, tree), "save_dir": str(folder / "stock")}
    ratios, apart, medians = [], 0.0, []
    for number in range(rounds + 1):
        ours, stock = Timed(), Timed()
        ours.run(make_trainer(base, run, config, source, tree, known))
        with patch.object(WorldModel, "get_text_pe", given):
            stock.run(WorldTrainer(overrides=dict(told)))
        apart = max(apart, float((torch.tensor(ours.losses) - torch.tensor(stock.losses)).abs().max()))
        if number or not rounds:
            ratios += [mine / theirs for mine, theirs in zip(ours.seconds, stock.seconds, strict=True)]
            medians.append((statistics.median(ours.seconds), statistics.median(stock.seconds)))
    mine, theirs = (statistics.median(column) for column in zip(*medians, strict=True))
    return Beside(mine, theirs, statistics.median(ratios), len(ratios), apart)


def speed(folder: Path, rounds: int, epochs: int, device: str) -> None:
    data = write_product(folder / "speed", image_size=128, per_class=6, train_good=4)
    found = beside_stock(data, settings(epochs=epochs, batch_size=16, device=device), folder, rounds)
    print(
        f"speed  {found.epochs} epochs each:   driver {found.driver:.3f} s   WorldTrainer {found.stock:.3f} s   "
        f"ratio {found.ratio:.3f}   largest difference of a loss {found.apart:.1e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["fit", "speed", "all"], default="all")
    parser.add_argument("--epochs", type=int, default=80, help="of fit")
    parser.add_argument("--rounds", type=int, default=5, help="of speed, 6 epochs each")
    parser.add_argument("--device", default="cpu")
    told = parser.parse_args()
    print(environment("torch", "ultralytics"), f"{torch.get_num_threads()} threads", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        if told.part in ("fit", "all"):
            fit(Path(scratch) / "a", told.epochs, told.device)
        if told.part in ("speed", "all"):
            speed(Path(scratch) / "b", told.rounds, 6, told.device)


if __name__ == "__main__":
    main()
