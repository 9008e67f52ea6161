"""A SAM small enough to train in seconds, and data for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from finetune.engine.config import parse_config
from finetune.sam.learner import SamConfig

__all__ = ["SMALL", "config", "write_blobs"]

SMALL = {
    "model": "tiny",
    "image_size": 64,
    "epochs": 3,
    "batch_size": 4,
    "prompts_per_image": 2,
    "refinement_steps": 1,
    "lr": 1e-3,
    "device": "cpu",
    "train_prompt_encoder": True,
    "train_encoder": False,
    "box_share": 0.5,
}


def config(**settings: Any) -> SamConfig:
    return parse_config(SamConfig, {**SMALL, **settings})


def write_blobs(root: Path, *, images: int = 6, size: tuple[int, int] = (48, 64), good: int = 1, seed: int = 0) -> Path:
    """A product in MVTec layout whose defects are bright ellipses (blob) and dark bars (bar) on grey: its folder."""
    rng = np.random.default_rng(seed)
    height, width = size
    for kind in ("blob", "bar"):
        for number in range(images):
            mask = np.zeros(size, np.uint8)
            centre = (int(rng.integers(width // 4, 3 * width // 4)), int(rng.integers(height // 4, 3 * height // 4)))
            axes = (int(rng.integers(width // 10, width // 5)), int(rng.integers(height // 10, height // 5)))
            if kind == "blob":
                cv2.ellipse(mask, centre, axes, int(rng.integers(180)), 0, 360, 255, -1)
            else:
                low, high = np.subtract(centre, axes), np.add(centre, axes)
                cv2.rectangle(mask, low.tolist(), high.tolist(), 255, -1)
            grey = rng.integers(90, 110, size, np.uint8)
            grey[mask > 0] = 230 if kind == "blob" else 20
            save(root / "test" / kind / f"{number:03}.png", grey)
            save(root / "ground_truth" / kind / f"{number:03}_mask.png", mask)
    for number in range(good):
        for subset in ("train", "test"):
            save(root / subset / "good" / f"{number:03}.png", rng.integers(90, 110, size, np.uint8))
    return root


def save(path: Path, pixels: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
