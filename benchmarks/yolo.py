"""Detectors of given classes on a CPU: do they learn, and are their losses those of ultralytics' own trainers?

Run: python -m benchmarks.yolo [--part fit|stock|all] [--epochs 80] [--image-size 128] [--mask-ratio 1]
       [--instances image] [--model yolo11n] [--device cpu]

fit    MODEL-seg from random weights on 16 images of the embedded product of 128 px, which it is then tested on: mAP50
       of boxes should be .9 or more, that of masks near it
stock  epochs of the driver beside ultralytics' own trainers, of MODEL and MODEL-seg: the largest difference of a loss
"""

from __future__ import annotations

import argparse
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


def settings(**changed: Any) -> YoloConfig:
    # Specks of a pixel belong to the defect beside them; a detector cannot learn them by themselves.
    common = {"image_size": 128, "plots": False, "instances": "merge:8", "min_area": 12}
    return parse_config(YoloConfig, {**common, **changed})


def fit(folder: Path, model: str, told: argparse.Namespace) -> None:
    data, split = sixteen(folder)
    config = settings(
        model=f"{model}-seg.yaml",
        epochs=told.epochs,
        image_size=told.image_size,
        batch_size=4,
        device=told.device,
        instances=told.instances,
        augment={"preset": "none"},
        train={"mask_ratio": told.mask_ratio},
        split={"file": str(split)},
    )
    started = time.process_time()
    found = read_metrics(train(data, config, folder / "fit"))
    shown = "   ".join(f"{name} {found[name]:.3f}" for name in ("map50", "map50_95", "mask_map50", "mask_map50_95"))
    how = f"{told.image_size} px, {told.epochs} epochs, {told.instances}, mask_ratio {told.mask_ratio}"
    print(f"fit    {model}-seg, {how}:   {shown}   {time.process_time() - started:.0f} s", flush=True)


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
        apart, steps = beside_stock(
            data, settings(model=f"{name}.yaml", epochs=4, device=device, instances="image", min_area=0), folder / name
        )
        print(f"stock  {name}: largest difference of a loss over {steps} steps {apart:.1e}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["fit", "stock", "all"], default="all")
    parser.add_argument("--epochs", type=int, default=80, help="of fit")
    parser.add_argument("--image-size", type=int, default=128, help="of fit, px: the photos have 128")
    parser.add_argument("--mask-ratio", type=int, default=1, help="of fit; 4 is stock")
    parser.add_argument("--instances", default="image", help="of fit: what is one object")
    parser.add_argument("--model", default="yolo11n")
    parser.add_argument("--device", default="cpu")
    told = parser.parse_args()
    print(environment("torch", "ultralytics"), f"{torch.get_num_threads()} threads", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        if told.part in ("fit", "all"):
            fit(Path(scratch) / "a", told.model, told)
        if told.part in ("stock", "all"):
            stock(Path(scratch) / "b", told.model, told.device)


if __name__ == "__main__":
    main()
