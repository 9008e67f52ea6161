"""Detectors of given classes on a CPU: do they learn, do their losses equal stock's, and what do settings change?

Run: python -m benchmarks.yolo [--part fit|stock|settings|masks|all] [--epochs 120] [--model yolo11n] [--device cpu]

fit       MODEL-seg from random weights on 16 images of the embedded product at 128 px, which it is then tested on:
          mAP50 of boxes and of masks should be .9 or more
stock     six epochs of the driver beside ultralytics' own trainers, of MODEL and MODEL-seg: the largest difference of
          a loss
settings  MODEL from random weights on 40 images, tested on 40 others, three seeds: rate and decay of AdamW
masks     MODEL-seg likewise, by mask_ratio and overlap_mask: mask mAP50, and seconds of the processor an epoch
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.timing import environment
from benchmarks.yolo_world import Timed, sixteen
from finetune.detection.data import open_detection_data, write_tree
from finetune.engine.config import parse_config
from finetune.engine.runs import read_metrics, start_run
from finetune.yolo.config import YoloConfig
from finetune.yolo.learner import train
from finetune.yolo.models import find_model
from toolkit import write_product

SEEDS = 3
OPTIMISERS: tuple[dict[str, Any], ...] = (
    {},
    {"lr": 2e-4, "weight_decay": 0.05},
    {"lr": 1e-3, "weight_decay": 0.05},
)
MASKS: tuple[dict[str, Any], ...] = (
    {},
    {"mask_ratio": 1},
    {"overlap_mask": False},
    {"mask_ratio": 1, "overlap_mask": False},
)


def settings(**changed: Any) -> YoloConfig:
    # Specks of a pixel belong to the defect beside them; a detector cannot learn them by themselves.
    return parse_config(YoloConfig, {"image_size": 128, "plots": False, "instances": "image", **changed})


def fit(folder: Path, model: str, epochs: int, device: str) -> None:
    data, split = sixteen(folder)
    told = {"epochs": epochs, "batch_size": 4, "augment": {"preset": "none"}, "split": {"file": str(split)}}
    told["train"] = {"mask_ratio": 1}  # at 128 px stock's masks have 32
    started = time.process_time()
    found = read_metrics(train(data, settings(model=f"{model}-seg.yaml", device=device, **told), folder / "fit"))
    shown = "   ".join(f"{name} {found[name]:.3f}" for name in ("map50", "map50_95", "mask_map50", "mask_map50_95"))
    print(
        f"fit    {model}-seg, 16 images, {epochs} epochs:   {shown}   {time.process_time() - started:.0f} s", flush=True
    )


def beside_stock(data: Path, config: YoloConfig, folder: Path) -> tuple[float, int]:
    """The largest difference of a loss between the driver and ultralytics' own trainer, and the steps compared."""
    from finetune.detection.trainer import make_trainer, trainer_settings
    from finetune.yolo.trainer import plain_trainer

    found, source = open_detection_data(data, config), find_model(config.model, "default")
    run = start_run(folder / "run", "yolo", config, subsets=found.examples.subsets, data=data)
    tree = write_tree(found, run, config, masks=source.masks)

    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.models.yolo.segment import SegmentationTrainer

    ours, stock = Timed(), Timed()
    ours.run(make_trainer(plain_trainer(masks=source.masks), run, config, source, tree))
    told = {**trainer_settings(run, config, source, tree), "save_dir": str(folder / "stock")}
    kind: Any = SegmentationTrainer if source.masks else DetectionTrainer
    stock.run(kind(overrides=told))
    difference = torch.tensor(ours.losses) - torch.tensor(stock.losses)
    return float(difference.abs().max()), len(ours.losses)


def stock(folder: Path, model: str, device: str) -> None:
    data = write_product(folder, image_size=128, per_class=4, train_good=1)
    for name in (model, f"{model}-seg"):
        apart, steps = beside_stock(data, settings(model=f"{name}.yaml", epochs=6, device=device), folder / name)
        print(f"stock  {name}: largest difference of a loss over {steps} steps {apart:.1e}", flush=True)


def compared(folder: Path, model: str, changes: tuple[dict[str, Any], ...], figure: str, **common: Any) -> None:
    """A figure on images that were not trained on, over seeds, for each change."""
    data = write_product(folder, image_size=128, per_class=10, train_good=1)
    split = {"strategy": "stratified", "val": 0, "test": 0.5}
    for place, change in enumerate(changes):
        found, spent = [], []
        for seed in range(SEEDS):
            config = settings(model=f"{model}.yaml", seed=seed, split=split, batch_size=4, **common, **change)
            began = time.process_time()
            run = train(data, config, folder / f"{place}-{seed}")
            spent.append(time.process_time() - began)
            found.append(float(read_metrics(run)[figure] or 0))
        told = ", ".join(f"{value:.3f}" for value in found)
        mean, seconds = statistics.mean(found), statistics.mean(spent) / config.epochs
        print(f"{change or 'defaults'}:   {figure} {mean:.3f} ({told})   {seconds:.2f} s an epoch", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["fit", "stock", "settings", "masks", "all"], default="all")
    parser.add_argument("--epochs", type=int, default=120, help="of fit, and of the comparisons")
    parser.add_argument("--model", default="yolo11n")
    parser.add_argument("--device", default="cpu")
    told = parser.parse_args()
    parts = ("fit", "stock", "settings", "masks") if told.part == "all" else (told.part,)
    print(environment("torch", "ultralytics"), f"{torch.get_num_threads()} threads", flush=True)
    common = {"epochs": told.epochs, "device": told.device}
    with tempfile.TemporaryDirectory() as scratch:
        if "fit" in parts:
            fit(Path(scratch) / "a", told.model, told.epochs, told.device)
        if "stock" in parts:
            stock(Path(scratch) / "b", told.model, told.device)
        if "settings" in parts:
            compared(Path(scratch) / "c", told.model, OPTIMISERS, "map50", **common)
        if "masks" in parts:
            changes = tuple({"train": change} for change in MASKS)
            compared(Path(scratch) / "d", f"{told.model}-seg", changes, "mask_map50", **common)


if __name__ == "__main__":
    main()
