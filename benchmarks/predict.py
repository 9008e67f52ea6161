"""Peak memory and processor time of `defectkit predict` over many small photos, and of a few: memory should be flat.

Run: python -m benchmarks.predict [--photos 1000,10000] [--learners classifier,vae] [--folder /dev/shm] [--pictures]

The photos are of 64 x 64 pixels, no two alike, in one folder. Each learner is trained for an epoch on the embedded
product first. Every prediction runs in a process of its own, whose processor time and peak resident memory the system
tells.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np

from benchmarks.timing import environment
from finetune import train
from toolkit.synthetic.product import write_product

SIDE = 64  # px
_SMALL: dict[str, Any] = {"image_size": 64, "device": "cpu"}
SETTINGS: dict[str, dict[str, Any]] = {
    "classifier": {"backbone": "squeezenet1_1", "weights": "none", "plots": False, "split": {"strategy": "stratified"}},
    "longtail": {"backbone": "squeezenet1_1", "weights": "none"},
    "vae": {"model": "pixel", "num_downsamples": 3, "base_channels": 8, "latent": 4, "patch_size": 2},
    "patchcore": {},
    "sam": {"model": "tiny", "weights": "none", "points_per_side": 4, "predicted_iou": 0, "stability": 0},
    "yolo-world": {"model": "yolov8n-worldv2.yaml", "prompts": "hash", "plots": False},
}

_PREDICT = """
import os, sys
from pathlib import Path
from toolkit.cli import main
try:
    main()
finally:  # not getrusage, whose peak is that of the process which started this one, where that is higher
    told, peak = os.times(), Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
    print(f"\\n{told.user + told.system} {int(peak) / 1024}", file=sys.stderr)
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", default="1000,10000", help="how many, commas between them")
    parser.add_argument("--learners", default=",".join(SETTINGS), help="commas between them")
    parser.add_argument("--folder", type=Path, help="where to write; by default that for temporary files")
    parser.add_argument("--pictures", action="store_true", help="draw them too")
    arguments = parser.parse_args()
    counts = sorted(int(count) for count in arguments.photos.split(","))
    print(environment("torch") + "\n")
    head = " | ".join(f"{count:,} photos, MB | ms a photo" for count in counts)
    print(f"| learner | {head} | more, MB |\n" + "|---" * (2 + 2 * len(counts)) + "|", flush=True)
    with TemporaryDirectory(prefix="defectkit-predict-", dir=arguments.folder) as folder:
        home = Path(folder)
        data = write_product(home / "data", image_size=SIDE, per_class=5, train_good=16)
        for count in counts:
            _write(home / str(count), count)
        for learner in arguments.learners.split(","):
            own = {} if learner == "patchcore" else {"epochs": 1}
            train(learner, data, home / learner, {**_SMALL, **own, **SETTINGS[learner]})
            told = [_measured(home, learner, count, arguments.pictures) for count in counts]
            cells = " | ".join(f"{peak:.0f} | {seconds:.1f}" for seconds, peak in told)
            print(f"| {learner} | {cells} | {told[-1][1] - told[0][1]:+.0f} |", flush=True)


def _write(folder: Path, count: int) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        pixels = rng.integers(0, 256, (SIDE // 8, SIDE // 8, 3), np.uint8)
        pixels[0, 0] = np.frombuffer(number.to_bytes(3, "big"), np.uint8)
        data = cv2.imencode(".png", cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR))[1]
        (folder / f"{number:06}.png").write_bytes(data.tobytes())


def _measured(home: Path, learner: str, count: int, pictures: bool) -> tuple[float, float]:
    """Milliseconds of the processor for each photo, and the peak in MB, in a process of its own."""
    with TemporaryDirectory(dir=home) as out:
        words = ["predict", home / learner, home / str(count), "--out", Path(out) / "out"]
        words += [] if pictures else ["--no-pictures"]
        done = subprocess.run(
            [sys.executable, "-c", _PREDICT, *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "OMP_NUM_THREADS": "1"},
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        rows = (Path(out) / "out" / "predictions.csv").read_bytes().count(b"\n") - 1
        if rows != count:
            raise SystemExit(f"{learner}: {rows} of {count} photos")
    seconds, peak = map(float, done.stderr.split()[-2:])
    return 1000 * seconds / count, peak


if __name__ == "__main__":
    main()
