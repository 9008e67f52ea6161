"""Peak memory and processor time of many small samples: indexed, converted, verified.

Run: python -m benchmarks.scale [--samples 10000,30000,100000] [--million] [--folder /dev/shm] [--shared 10000]

The samples are pictures of 32 x 32 pixels, no two alike, half of them good, the others each with a mask of its own.
Every step runs in a process of its own, whose processor time and peak resident memory the operating system tells. A
second table has the same steps on a Dask cluster of two worker processes, beside one thread: by the clock, and what of
the processor time stays with the command itself, which is what limits any number of workers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from benchmarks.timing import environment

SIDE = 32  # px
FORMATS = "coco,yolo-segment"
STEPS = ("index", "convert", "verify")

_STEP = """
import json, os, sys, time
from pathlib import Path
from converters import convert, verify
from converters.sources import open_source
step, root, out, formats, cluster = sys.argv[1:]
started, images = time.monotonic(), None
if step == "index":
    images = len(open_source(root).members)
elif step == "convert":
    report = convert(root, out, formats.split(","), cluster=cluster or None)
    images = sum(subset["images"] for subset in next(iter(report.manifests.values()))["subsets"].values())
else:
    report = verify(out, cluster=cluster or None)
    assert report.passed and report.min_iou == 1, report.failures
    images = report.trees[0].images
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
told = os.times()
print(json.dumps([images, time.monotonic() - started, told.user + told.system, peak]))
"""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", default="10000,30000,100000", help="how many, commas between them; 0 for none")
    parser.add_argument("--million", action="store_true", help="a million as well: about 20 GB in --folder")
    parser.add_argument("--folder", type=Path, help="where to write; by default that for temporary files")
    parser.add_argument("--shared", type=int, default=10_000, help="samples for the cluster; 0 for none")
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.samples.split(",") if int(count)]
    print(environment("opencv-python", "orjson", "distributed") + "\n")
    print("| samples | " + " | ".join(f"{step}, s | {step}, MB" for step in STEPS) + " |")
    print("|---" * (1 + 2 * len(STEPS)) + "|", flush=True)
    for count in [*counts, *([1_000_000] if arguments.million else [])]:
        with _samples(count, arguments.folder) as home:
            told = [_measured(step, home, count) for step in STEPS]
        cells = " | ".join(f"{1000 * seconds / count:.2f} | {peak:.0f}" for _, seconds, peak in told)
        print(f"| {count:,} | {cells} |", flush=True)
    if arguments.shared:
        _print_shared(arguments.shared, arguments.folder)


@contextmanager
def _samples(count: int, folder: Path | None) -> Iterator[Path]:
    """A folder with a dataset of so many samples in it."""
    with TemporaryDirectory(prefix="defectkit-scale-", dir=folder) as home:
        _write(Path(home, "data", "part"), count)
        yield Path(home)


def _write(root: Path, count: int) -> None:
    for name in ("train/good", "test/rough", "ground_truth/rough"):
        (root / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        picture = rng.integers(0, 256, (SIDE, SIDE), np.uint8)
        picture[0, :4] = np.frombuffer(number.to_bytes(4, "big"), np.uint8)  # chance alone is no promise
        good = number % 2 == 0
        _save(root / ("train/good" if good else "test/rough") / f"{number:07}.png", picture)
        if not good:
            mask = np.zeros((SIDE, SIDE), np.uint8)
            for x, y, width, height in rng.integers(2, 14, (1 + number % 3, 4)).tolist():
                cv2.ellipse(mask, (2 * x, 2 * y), (width // 2, height // 2), 30 * x, 0, 360, 255, -1)
            _save(root / "ground_truth/rough" / f"{number:07}_mask.png", mask)


def _save(path: Path, pixels: np.ndarray) -> None:
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def _measured(step: str, home: Path, count: int, cluster: str = "") -> tuple[float, float, float]:
    """Seconds by the clock, of the processor, and the peak in MB, of a step in a process of its own."""
    words = (step, home / "data" / "part", home / f"out{bool(cluster)}", FORMATS, cluster)
    done = subprocess.run([sys.executable, "-c", _STEP, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    images, clock, processor, peak = json.loads(done.stdout)
    if images != count:
        raise SystemExit(f"{step}: {images} of {count} images")
    return clock, processor, peak


def _print_shared(count: int, folder: Path | None) -> None:
    from distributed import LocalCluster

    print(f"\n| {count:,} samples | one thread, s | two workers, s | times as fast | processor time that stays |")
    print("|---" * 5 + "|", flush=True)
    with (
        _samples(count, folder) as home,
        LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster,
    ):
        for step in STEPS[1:]:
            alone, all_of_it, _ = _measured(step, home, count)
            shared, own, _ = _measured(step, home, count, cluster.scheduler_address)
            cells = f"{alone:.1f} | {shared:.1f} | {alone / shared:.2f} | {own / all_of_it:.0%}"
            print(f"| {step} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
