"""Peak memory and time of converting many samples.

Run: python -m benchmarks.scale [--samples 100000] [--formats coco,yolo-segment,yolo-detect]

The samples are links to a few files of the embedded product, half of them good. The conversion runs in a process of its
own, whose peak resident memory the operating system tells.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.timing import environment
from toolkit import write_product

_CONVERT = """
import sys, time
from pathlib import Path
from converters import convert
started = time.monotonic()
report = convert(sys.argv[1], sys.argv[2], sys.argv[3].split(","), images="none", workers=1)
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
images = sum(subset["images"] for subset in next(iter(report.manifests.values()))["subsets"].values())
print(f"{images} images, {time.monotonic() - started:.0f} s, peak {peak:.0f} MB")
"""


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--formats", default="coco,yolo-segment,yolo-detect")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "many", "zipper")
        source = write_product(root / ".store", per_class=4, train_good=4)  # links must not lead out of a root
        _link(source, root, arguments.samples)
        command = [sys.executable, "-c", _CONVERT, str(root), str(Path(folder, "out")), arguments.formats]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    print(environment("opencv-python"))
    print(f"{arguments.formats}: {done.stdout.strip()}")


def _link(source: Path, root: Path, samples: int) -> None:
    """Fill `root` with links: good images and defects by turns."""
    for folder in ("train/good", "test/rough", "ground_truth/rough"):
        (root / folder).mkdir(parents=True)
    for number in range(samples):
        if number % 2:
            os.symlink(source / f"train/good/{number % 4:03d}.png", root / f"train/good/{number:06d}.png")
        else:
            name = f"{number % 4:03d}"
            os.symlink(source / f"test/rough/{name}.png", root / f"test/rough/{number:06d}.png")
            os.symlink(
                source / f"ground_truth/rough/{name}_mask.png", root / f"ground_truth/rough/{number:06d}_mask.png"
            )


if __name__ == "__main__":
    main()
