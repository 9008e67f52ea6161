"""A hundred thousand samples must fit: what memory a conversion takes, measured on a few thousand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import ROOT, picture, save, stain

if not Path("/proc/self/status").exists():
    pytest.skip("peak memory is read from /proc, which this system lacks", allow_module_level=True)

MEGABYTE = 1 << 20
FEW, MANY, GOAL = 500, 2_500, 100_000

MEASURE = """
import sys
from pathlib import Path
from toolkit.cli import main
sys.argv = ["defectkit", *sys.argv[1:]]
try:
    main()
finally:
    # Not getrusage: a child's ru_maxrss begins with what its parent held.
    print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0], file=sys.stderr)
"""


def link_samples(home: Path, count: int) -> Path:
    """A dataset of one category whose images and masks, half of them good, are links to a few files."""
    images = [save(home / f"data/.store/image{number}.png", picture(number)) for number in range(8)]
    masks = [save(home / f"data/.store/mask{number}.png", stain(number)) for number in range(4)]
    part = home / "data" / "part"
    for folder in (part / "test/good", part / "test/scratch", part / "ground_truth/scratch"):
        folder.mkdir(parents=True)
    for number in range(count // 2):
        (part / f"test/good/{number:06}.png").symlink_to(images[number % 8])
        (part / f"test/scratch/{number:06}.png").symlink_to(images[number % 8])
        (part / f"ground_truth/scratch/{number:06}_mask.png").symlink_to(masks[number % 4])
    return home / "data"


def peak_memory(root: Path, out: Path, count: int) -> int:
    """Bytes that a conversion takes at most, in a process of its own."""
    words = ["convert", str(root), str(out), "--to", "coco,yolo-segment,yolo-detect", "--images", "none", "--json"]
    done = subprocess.run([sys.executable, "-c", MEASURE, *words], capture_output=True, text=True, cwd=ROOT, check=True)
    for manifest in json.loads(done.stdout)["formats"].values():
        assert manifest["subsets"]["test"]["images"] == count
        assert manifest["fidelity"]["min_iou"] == 1
    return int(done.stderr.splitlines()[-1]) * 1024


def test_memory_grows_so_slowly_that_a_hundred_thousand_samples_fit(tmp_path: Path) -> None:
    peaks = [peak_memory(link_samples(tmp_path / str(n), n), tmp_path / f"out{n}", n) for n in (FEW, MANY)]
    per_sample = (peaks[1] - peaks[0]) / (MANY - FEW)
    assert peaks[1] < 250 * MEGABYTE
    assert peaks[1] + per_sample * (GOAL - MANY) < 500 * MEGABYTE
