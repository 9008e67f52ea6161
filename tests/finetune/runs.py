"""Settings with which each learner trains in seconds, and data that all of them can learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolkit.synthetic.product import write_product

__all__ = ["TINY", "make_data"]

_CLASSIFIER: dict[str, Any] = {
    "backbone": "squeezenet1_1",
    "weights": "none",
    "image_size": 32,
    "batch_size": 16,
    "epochs": 1,
    "device": "cpu",
}
TINY: dict[str, dict[str, Any]] = {
    "classifier": {**_CLASSIFIER, "plots": False, "split": {"strategy": "stratified"}},
    "longtail": {**_CLASSIFIER, "plots": False, "augment": {"rotation": 0, "colour": 0}},
    "vae": {
        "model": "pixel",
        "epochs": 2,
        "batch_size": 8,
        "image_size": 32,
        "num_downsamples": 3,
        "base_channels": 8,
        "latent": 4,
        "patch_size": 2,
        "plots": False,
        "device": "cpu",
    },
    "patchcore": {"weights": "none", "image_size": 32, "max_patches": 64, "candidates": 400, "device": "cpu"},
    "sam": {
        "model": "tiny",
        "weights": "none",
        "image_size": 64,
        "epochs": 1,
        "batch_size": 4,
        "prompts_per_image": 2,
        "refinement_steps": 1,
        "device": "cpu",
        "points_per_side": 4,
        "predicted_iou": 0,
        "stability": 0,
        "split": {"strategy": "stratified"},
    },
    "yolo": {
        "model": str(Path(__file__).parent / "yolo/tiny-seg.yaml"),
        "epochs": 1,
        "batch_size": 8,
        "image_size": 64,
        "device": "cpu",
        "plots": False,
        "augment": {"preset": "none"},
        "split": {"strategy": "stratified"},
    },
    "yolo-world": {
        "model": str(Path(__file__).parent / "yolo_world/tiny-worldv2.yaml"),
        "prompts": "hash",
        "epochs": 1,
        "batch_size": 4,
        "image_size": 64,
        "device": "cpu",
        "plots": False,
        "augment": {"preset": "none"},
        "split": {"strategy": "stratified"},
    },
}
"""Learner -> settings."""


def make_data(folder: Path) -> Path:
    """The embedded product: five images of each class, and good ones to train on."""
    return write_product(folder, image_size=64, per_class=5, train_good=16)
