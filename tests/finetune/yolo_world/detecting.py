"""A detector small enough to train in seconds, and data for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finetune.engine.config import parse_config
from finetune.yolo_world.config import YoloWorldConfig
from toolkit.dataset.layouts import load_dataset
from toolkit.synthetic.product import write_product

__all__ = ["SMALL", "STOCK", "make_data", "settings", "split_file", "three_subsets"]

STOCK = "yolov8n-worldv2.yaml"
"""The smallest model of ultralytics; that of `SMALL` has fewer layers and takes a third of its time."""
SMALL: dict[str, Any] = {
    "model": str(Path(__file__).with_name("tiny-worldv2.yaml")),
    "prompts": "hash",
    "epochs": 2,
    "batch_size": 4,
    "image_size": 64,
    "device": "cpu",
    "plots": False,
    "augment": {"preset": "none"},
    "split": {"strategy": "stratified", "val": 0, "test": 0.5},
}


def settings(**changed: Any) -> YoloWorldConfig:
    """Settings that cost little."""
    return parse_config(YoloWorldConfig, {**SMALL, **changed})


def make_data(folder: Path, *, per_class: int = 2, image_size: int = 64) -> Path:
    """The embedded product, with a few images of each class."""
    return write_product(folder, image_size=image_size, per_class=per_class, train_good=1)


def split_file(data: Path, file: Path) -> Path:
    """A split that trains on all images with a defect and the good ones beside them, and tests on none."""
    rows = [f"{one.key},{'train' if one.split == 'test' else 'none'}" for one in load_dataset(data)]
    file.write_text("\n".join(["key,subset", *rows]) + "\n")
    return file


def three_subsets(data: Path, file: Path) -> Path:
    """A split of two images a class: the first is train, the second val or test."""
    rows = []
    for place, one in enumerate(load_dataset(data)):
        second = "val" if place % 4 < 2 else "test"
        rows.append(f"{one.key},{second if one.key.endswith('/001') else 'train'}")
    file.write_text("\n".join(["key,subset", *rows]) + "\n")
    return file
