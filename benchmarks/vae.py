"""The anomaly detector on real images: `python -m benchmarks.vae MVTEC/screw [--seeds 3] [--set KEY=VALUE]`.

Trains the defaults of `defectkit train vae` once per seed, on good images alone and with no pretrained weights, and
tests on the product's own test folder; then scores the same models with VAE-grad. Pixel figures are at the size of the
images. Figures are the median over the seeds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.timing import environment
from finetune.engine.config import load_config
from finetune.engine.runs import read_metrics
from finetune.engine.splits import open_examples
from finetune.vae.learner import VaeConfig, measure, train
from finetune.vae.predictor import load_trained, score_images

FIGURES = ("pixel_auroc", "pixel_ap", "aupro", "image_auroc", "image_ap")
GRAD_STEPS = 50


def line(name: str, figures: dict[str, float], seconds: float) -> str:
    told = " ".join(f"{figures[key]:11.4f}" for key in FIGURES)
    return f"{name:<16} {told} {seconds:9.0f}"


def medians(rows: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(row[key] for row in rows) for key in FIGURES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of a product in MVTec layout")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
    parser.add_argument("--out", type=Path, help="keep the runs here")
    parser.add_argument("--no-grad", action="store_true", help="leave VAE-grad out: its steps take minutes")
    told = parser.parse_args()
    print(environment("torch", "lightning", "numpy"), f"{torch.get_num_threads()} threads")
    print(f"{'':<16} {' '.join(f'{key:>11}' for key in FIGURES)} {'seconds':>9}", flush=True)
    trained: list[dict[str, float]] = []
    graded: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(told.seeds):
            config = load_config(VaeConfig, None, [*told.set, f"seed={seed}"])
            run = train(told.data, config, (told.out or Path(scratch)) / f"seed{seed}")
            trained.append(read_metrics(run))
            print(line(f"seed {seed}", trained[-1], trained[-1]["seconds"]), flush=True)
            if told.no_grad or config.model != "pixel":
                continue
            started, ready = time.monotonic(), load_trained(run)
            other = config.model_copy(update={"score": "grad", "grad_steps": GRAD_STEPS})
            tested = open_examples(told.data, config.split).subset("test")
            scored = score_images(ready.model, tested, other, ready.device)
            graded.append(measure(tested, scored, told.data, ready.threshold))
            print(line(f"seed {seed} grad", graded[-1], time.monotonic() - started), flush=True)
    print(line("median", medians(trained), statistics.median(row["seconds"] for row in trained)))
    if graded:
        print(line("median grad", medians(graded), float("nan")))


if __name__ == "__main__":
    main()
