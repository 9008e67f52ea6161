"""A hundred thousand samples must fit: what memory a conversion takes, measured on a fifth of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import ROOT, picture, save, stain

pytest.importorskip("resource", reason="peak memory is measured with the resource module of POSIX systems")

MEGABYTE = 1 << 20
FEW, MANY, GOAL = 2_000, 20_000, 100_000
UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes

MEASURE = """
import resource, sys
from toolkit.cli import main
sys.argv = ["defectkit", *sys.argv[1:]]
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def link_samples(home: Path, count: int) -> Path:
    """A dataset of one category whose images and masks, half of them good, are links to a few files."""
    images = [save(home / f"image{number}.png", picture(number)) for number in range(8)]
    masks = [save(home / f"mask{number}.png", stain(number)) for number in range(4)]
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
    return int(done.stderr.splitlines()[-1]) * UNIT


def test_memory_grows_so_slowly_that_a_hundred_thousand_samples_fit(tmp_path: Path) -> None:
    peaks = [peak_memory(link_samples(tmp_path / str(n), n), tmp_path / f"out{n}", n) for n in (FEW, MANY)]
    per_sample = (peaks[1] - peaks[0]) / (MANY - FEW)
    assert peaks[1] < 250 * MEGABYTE
    assert peaks[1] + per_sample * (GOAL - MANY) < 500 * MEGABYTE
