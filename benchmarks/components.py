"""How time and memory grow with the number of components in one image, in every format.

Run: python -m benchmarks.components [--components 1000,4000,16000] [--formats yolo-obb,...] [--images 1]

The components are blots of one to twelve pixels, of many shapes, a few pixels apart in a grid; one mask holds all of
them, or as many masks as --images says share them. Each conversion, its proof, its reading and its gallery run in a
process of their own on a memory disk, so that the figures are those of the processor and of this format alone.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks.timing import environment
from converters import FORMATS

_TASKS = ("convert", "verify", "read", "view")
_PITCH = 7

_MEASURE = """
import json, resource, sys, time
from pathlib import Path
from converters import convert, read_labels, verify, view
source, out, tree = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
root, seconds = out / tree.removesuffix("-rle"), []
def timed(task):
    begun = time.process_time()
    result = task()
    seconds.append(time.process_time() - begun)
    return result
segmentation = "rle" if tree.endswith("-rle") else "polygon"
timed(lambda: convert(source, out, root.name, images="symlink", segmentation=segmentation))
passed = timed(lambda: verify(root)).passed
timed(lambda: [None for _ in read_labels(root)])
timed(lambda: view(root, out / "gallery"))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([seconds, passed, peak]))
"""


def main() -> None:
    """Print a table: a line for each format."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--components", default="1000,4000,16000")
    parser.add_argument("--formats", default=",".join([*FORMATS, "coco-rle"]))
    parser.add_argument("--images", type=int, default=1)
    arguments = parser.parse_args()
    counts = [int(number) for number in arguments.components.split(",")]
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    print(environment("opencv-python", "numpy"), f"{arguments.images} image(s)", sep=", ")
    numbers = " / ".join(f"{number:,}" for number in counts)
    print(f"| format | {' | '.join(f'{task}, s for {numbers}' for task in _TASKS)} | last by first | MB |")
    print("|---" * (len(_TASKS) + 3) + "|")
    for tree in arguments.formats.split(","):
        found = []
        for number in counts:
            with tempfile.TemporaryDirectory(dir=memory) as folder:
                _write(Path(folder, "source"), number, arguments.images)
                found.append(_measure(Path(folder), tree))
        cells = [" / ".join(f"{seconds[task]:.2f}" for seconds, _ in found) for task in range(len(_TASKS))]
        whole = [sum(seconds) for seconds, _ in found]
        peak = max(peak for _, peak in found)
        print(f"| {tree} | {' | '.join(cells)} | {whole[-1] / whole[0]:.1f} | {peak:.0f} |", flush=True)


def _measure(folder: Path, tree: str) -> tuple[list[float], float]:
    """Seconds of the processor for each task, and the peak of resident memory in MB.

    Raises:
        RuntimeError: what was written did not pass its proof.
    """
    command = [sys.executable, "-c", _MEASURE, str(folder / "source"), str(folder / "out"), tree]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, passed, peak = json.loads(done.stdout.splitlines()[-1])
    if not passed:
        raise RuntimeError(f"{tree} does not pass its own proof")
    return seconds, peak


def _write(root: Path, components: int, images: int) -> None:
    """A product of `images` images that hold `components` components together."""
    for place in ("test/pores", "ground_truth/pores"):
        (root / "part" / place).mkdir(parents=True)
    blots = _blots()
    for number in range(images):
        own = components // images + (number < components % images)
        side = math.ceil(math.sqrt(own)) * _PITCH
        mask = np.zeros((side, side), np.uint8)
        for place in range(own):
            y, x = (_PITCH * step + 1 for step in divmod(place, side // _PITCH))
            mask[y : y + 5, x : x + 5] = next(blots)
        picture = np.full_like(mask, number % 251)
        cv2.imwrite(str(root / f"part/test/pores/{number:05}.png"), picture)
        cv2.imwrite(str(root / f"part/ground_truth/pores/{number:05}_mask.png"), mask)


def _blots() -> Iterator[np.ndarray]:
    """Connected shapes in 5 x 5 pixels, by chance, always the same."""
    random = np.random.default_rng(0)
    while True:
        blot = np.zeros((5, 5), np.uint8)
        y = x = 2
        for dy, dx in random.integers(-1, 2, (random.integers(1, 13), 2)).tolist():
            blot[y, x] = 255
            y, x = min(max(y + dy, 0), 4), min(max(x + dx, 0), 4)
        yield blot


if __name__ == "__main__":
    main()
