"""Anomaly detectors on products: `python -m benchmarks.anomaly PRODUCT... [--learners patchcore,vae] [--seeds 3]`.

Each learner is trained with its defaults once per seed and product, in a process of its own, and tested on the test
images of the product: what `defectkit train` does. Figures are medians over the seeds; seconds are of the wall and all
processors, from the first import to the last figure; peak MB is the most memory that the process held.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.timing import environment

FIGURES = ("image_auroc", "pixel_auroc", "aupro", "false_reject", "escape")
COSTS = ("seconds", "processor", "mb")


def one_run(data: str, learner: str, settings: list[str], out: str) -> dict[str, float]:
    """Train and test in this process."""
    from finetune.engine.config import load_config
    from finetune.learners import find_config
    from finetune.training import train

    started = time.monotonic()
    metrics = train(learner, data, out, load_config(find_config(learner), None, settings)).metrics
    used = resource.getrusage(resource.RUSAGE_SELF)
    costs = (time.monotonic() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
    figures = {name: float("nan" if metrics.get(name) is None else metrics[name]) for name in FIGURES}
    return figures | dict(zip(COSTS, costs, strict=True))


def in_own_process(*words: object) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.anomaly", "--one", json.dumps(words)]
    told: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return told


def line(product: str, learner: str, row: dict[str, Any]) -> str:
    figures = " | ".join(f"{row[name]:.4f}" for name in FIGURES)
    return f"| {product} | {learner} | {figures} | {' | '.join(f'{row[name]:.0f}' for name in COSTS)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="*", help="folders of products")
    parser.add_argument("--learners", default="patchcore,vae", help="with commas between; 'vae:model=feature' sets one")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of all")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.one:
        print(json.dumps(one_run(*json.loads(told.one))))
        return
    print(environment("torch", "timm", "numpy"), flush=True)
    print(f"| product | learner | {' | '.join((*FIGURES, *COSTS))} |", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for place, product in enumerate(told.data):  # several may have one name
            for asked in told.learners.split(","):
                learner, *settings = asked.split(":")
                rows = []
                for seed in range(told.seeds):
                    own = [f"seed={seed}", *settings, *told.set]
                    out = f"{scratch}/{place}-{product.name}-{asked.replace('/', '-')}-{seed}"
                    rows.append(in_own_process(str(product), learner, own, out))
                    print(line(f"{product.name}, seed {seed}", asked, rows[-1]), flush=True)
                middle = {name: statistics.median(row[name] for row in rows) for name in (*FIGURES, *COSTS)}
                print(line(f"**{product.name}**", asked, middle), flush=True)


if __name__ == "__main__":
    main()
