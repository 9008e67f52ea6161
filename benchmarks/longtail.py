"""Six ways to train on a long tail, on real images: handwritten digits, made long-tailed.

Run: python -m benchmarks.longtail [--seeds 5] [--imbalance 50] [--epochs 60] [--methods 'reslt;crt']

The 1797 digits of 8 x 8 pixels that come with scikit-learn are split into train, val and test (of each class about 55,
15 and 30 percent), and training images are left out until the largest class has 50 times as many as the smallest;
validation and test stay balanced. Each seed draws split, tail and weights anew, the same for all methods. A small
convolutional net is trained with the settings that are printed, the same for all methods, and none of them was chosen
on test images; the epoch is chosen by balanced accuracy on the validation images. The accuracy of a group is the mean
recall of its classes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from benchmarks.timing import environment
from converters import read_labels
from finetune.engine.devices import seed_all
from finetune.engine.runs import read_metrics, start_run
from finetune.longtail.data import find_tail
from finetune.longtail.learner import LongtailConfig, group_accuracies, prepare, train_net
from finetune.longtail.module import LongtailModule
from toolkit.imaging.images import encode_png

FIGURES = ("accuracy", "balanced_accuracy", "accuracy_head", "accuracy_medium", "accuracy_tail")
RETRAINED = 10  # epochs of cRT's second stage, which are part of all epochs
METHODS = {
    "cross-entropy": {"method": "cross-entropy"},
    "class-balanced": {"method": "class-balanced"},
    "balanced-softmax": {"method": "balanced-softmax"},
    "logit-adjustment": {"method": "logit-adjustment"},
    "crt": {"method": "crt", "retrain_epochs": RETRAINED},
    "reslt": {"method": "reslt"},
    "reslt, 2 branches": {"method": "reslt", "branches": 2},
}
CHANNELS = 64


def small_net() -> nn.Module:
    """(B, 3, 16, 16) -> (B, 64, 4, 4)."""
    layers: list[nn.Module] = []
    for given, made in ((3, 16), (16, 32), (32, CHANNELS)):
        layers += [nn.Conv2d(given, made, 3, padding=1, bias=False), nn.BatchNorm2d(made), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if made < CHANNELS else []
    return nn.Sequential(*layers)


def write_digits(root: Path) -> Path:
    """Digits as 8-bit PNGs in a folder for each class."""
    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = root / "train" / str(label) / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(np.round(image / 16 * 255).astype(np.uint8)))
    return root


def settings(name: str, seed: int, arguments: argparse.Namespace) -> LongtailConfig:
    """Of one method and seed."""
    own = METHODS[name]
    return LongtailConfig(
        **{
            "epochs": arguments.epochs - (RETRAINED if name == "crt" else 0),
            "batch_size": 32,
            "image_size": 16,
            "lr": 2e-3,
            "optimizer": "adamw",
            "weight_decay": 1e-2,
            "schedule": "cosine",
            "weights": "none",
            "device": "cpu",
            "seed": seed,
            "augment": {"horizontal_flip": False, "rotation": 0, "colour": 0},
            "split": {"strategy": "stratified", "val": 0.15, "test": 0.3, "seed": seed},
            "longtail": {"imbalance": arguments.imbalance, "seed": seed},
            **own,
        }
    )


def measure(data: Path, out: Path, config: LongtailConfig) -> dict[str, float]:
    """Train and test once."""
    examples, chosen, tail = prepare(read_labels(data), config)
    seed_all(config.seed)
    module = LongtailModule(small_net(), CHANNELS, tail, config)
    facts = {"classes": list(examples.classes), "groups": list(tail.groups), "train_images": list(tail.counts)}
    run = start_run(out, "longtail", config, subsets=examples.subsets, data=data, **facts)
    train_net(module, run, examples, chosen)
    found = read_metrics(run)
    recalls = [found[f"recall_class_{label}"] for label in examples.classes]
    # Of the same three groups for every method, those with two branches too.
    return {**found, **group_accuracies(recalls, find_tail(examples, chosen.train).groups)}


def main() -> None:
    """Print what was used, and a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--imbalance", type=float, default=50)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--methods", default=";".join(METHODS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        data = write_digits(Path(folder, "digits"))
        print(environment("torch", "lightning", "scikit-learn"))
        _, _, tail = prepare(read_labels(data), settings("reslt", 0, arguments))
        print(f"training images with seed 0: {' '.join(map(str, tail.counts))}, in all {sum(tail.counts)}")
        print(f"groups with seed 0: {' '.join(tail.groups)}")
        weights = sum(parameter.numel() for parameter in small_net().parameters())
        print(f"net: three 3 x 3 convolutions, {weights} weights; {settings('reslt', 0, arguments)!r}\n")
        print("| method | " + " | ".join(FIGURES) + " | seconds |")
        print("|---" * (len(FIGURES) + 2) + "|")
        for name in arguments.methods.split(";"):
            found = [
                measure(data, Path(folder, f"{name}-{seed}"), settings(name, seed, arguments))
                for seed in range(arguments.seeds)
            ]
            print(f"| {name} | " + " | ".join(cell([one[key] for one in found]) for key in FIGURES), end=" | ")
            print(f"{statistics.mean(one['seconds'] for one in found):.0f} |", flush=True)
    print(f"\n{arguments.seeds} seeds, mean ± standard deviation, percent; {time.monotonic() - started:.0f} s in all")


def cell(values: list[float | None]) -> str:
    """Mean and standard deviation in percent, of the seeds that have the figure."""
    there = [100 * value for value in values if value is not None]
    if not there:
        return "–"
    spread = statistics.stdev(there) if len(there) > 1 else 0.0
    return f"{statistics.mean(there):.1f} ± {spread:.1f}"


if __name__ == "__main__":
    main()
