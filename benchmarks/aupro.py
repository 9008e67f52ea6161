"""AUPRO beside anomalib's on random maps: `python -m benchmarks.aupro`.

anomalib gets a virtual environment of its own, made below build/ when it is not there, since its requirements are not
ours. It computes with torchmetrics' curves, region by region; ours is one weighted curve (`finetune.metrics.anomaly`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from finetune.metrics.anomaly import rank_pixels

ANOMALIB = "anomalib==2.7.0"
HOME = Path(__file__).resolve().parent.parent / "build" / "anomalib"
TOLERANCE = 1e-3

_JUDGE = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np, torch
from anomalib.metrics.aupro import _AUPRO as AUPRO
found = []
for path in sys.argv[1:]:
    case = np.load(path)
    started = time.perf_counter()
    metric = AUPRO(fpr_limit=0.3)
    metric.update(torch.from_numpy(case["maps"]), torch.from_numpy(case["masks"]))
    found.append((float(metric.compute()), time.perf_counter() - started))
print(json.dumps(found))
"""


def make_case(seed: int, *, images: int, side: int, skill: float, levels: int) -> tuple[npt.NDArray, npt.NDArray]:
    """Random maps (N, H, W) in [0, 1] and masks with blobs of all sizes; half of the images are good.

    Args:
        seed: of what is random.
        images, side: how many, and their height and width in pixels.
        skill: how much higher defect pixels score; 0 is chance.
        levels: distinct scores, so that there are ties; 0 for as many as there are numbers.
    """
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(images, side, side)).astype(np.float32)
    fields = np.stack([cv2.GaussianBlur(field, (0, 0), 1 + seed % 5) for field in noise])
    fields /= fields.std(axis=(1, 2), keepdims=True)
    masks = fields[:, ::-1] > rng.uniform(1.2, 2.2, (images, 1, 1))
    masks[::2] = False
    scores = np.stack([cv2.GaussianBlur(field, (0, 0), 2) for field in rng.normal(size=fields.shape)])
    scores = scores / scores.std() + skill * masks
    scores = (scores - scores.min()) / np.ptp(scores)
    if levels:
        scores = np.round(scores * levels) / levels
    return scores.astype(np.float32), masks


def ensure_anomalib() -> Path:
    """The Python of an environment that has anomalib."""
    python = HOME / "bin" / "python"
    if not (HOME / "complete").exists():
        venv.create(HOME, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", ANOMALIB], check=True)
        (HOME / "complete").touch()
    return python


def main() -> int:
    python = ensure_anomalib()
    settings = [
        {"images": 8, "side": 96, "skill": skill, "levels": levels}
        for skill in (0.0, 0.5, 1.5, 4.0)
        for levels in (0, 1000, 20)
    ]
    settings.append({"images": 40, "side": 256, "skill": 1.0, "levels": 0})
    ours, paths = [], []
    with tempfile.TemporaryDirectory() as folder:
        for seed, setting in enumerate(settings):
            maps, masks = make_case(seed, **setting)
            started = time.perf_counter()
            value = rank_pixels(lambda maps=maps, masks=masks: zip(maps, masks, strict=True)).aupro()
            ours.append((value, time.perf_counter() - started))
            paths.append(str(Path(folder) / f"{seed}.npz"))
            np.savez(paths[-1], maps=maps, masks=masks)
        answer = subprocess.run([python, "-c", _JUDGE, *paths], check=True, capture_output=True, text=True).stdout
    theirs = json.loads(answer.splitlines()[-1])
    heads = f"{'images':>6} {'side':>5} {'skill':>5} {'levels':>6} {'ours':>9} {ANOMALIB:>15} {'differ':>9}"
    print(f"{heads} {'our s':>6} {'their s':>7}")
    worst = 0.0
    for setting, (a, our_time), (b, their_time) in zip(settings, ours, theirs, strict=True):
        worst = max(worst, abs(a - b))
        told = " ".join(f"{value:>{width}g}" for value, width in zip(setting.values(), (6, 5, 5, 6), strict=True))
        print(f"{told} {a:9.6f} {b:15.6f} {abs(a - b):9.1e} {our_time:6.2f} {their_time:7.2f}")
    print(f"largest difference {worst:.1e} (allowed {TOLERANCE:g})")
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
