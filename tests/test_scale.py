"""A hundred thousand samples must fit: what memory a conversion and its proof take, measured on a few thousand."""

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
FEW, MANY, GOAL = 400, 2_000, 100_000

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


def peak_memory(*words: str | Path) -> tuple[int, str]:
    """Bytes that a command takes at most, in a process of its own, and what it prints."""
    command = [sys.executable, "-c", MEASURE, *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    return int(done.stderr.splitlines()[-1]) * 1024, done.stdout


def peaks(home: Path, count: int) -> list[int]:
    """Bytes that a conversion and its proof take at most."""
    root, out = link_samples(home, count), home / "out"
    formats = ("--to", "coco,yolo-segment", "--images", "none")
    converted, told = peak_memory("convert", root, out, *formats)
    for manifest in json.loads(told)["formats"].values():
        assert manifest["subsets"]["test"]["images"] == count
        assert manifest["fidelity"]["min_iou"] == 1
    verified, _ = peak_memory("verify", out)
    return [converted, verified]


def test_memory_grows_so_slowly_that_a_hundred_thousand_samples_fit(tmp_path: Path) -> None:
    few, many = (peaks(tmp_path / str(count), count) for count in (FEW, MANY))
    for before, after in zip(few, many, strict=True):
        assert after < 250 * MEGABYTE
        # Some of it is the headers of the last 4,096 images, which grow no more from there on.
        assert after + (after - before) / (MANY - FEW) * (GOAL - MANY) < 350 * MEGABYTE
