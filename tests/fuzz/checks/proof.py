"""Masks of random sizes and shapes to every format: what `convert` writes passes its own proof."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from converters import convert, verify
from tests.commands import save
from tests.fuzz.check import Check
from tests.fuzz.judge import Judge
from tests.fuzz.making.trees import FORMATS
from toolkit import load_dataset

_IMAGES = 10  # of one input
_OPTIONS: tuple[dict[str, object], ...] = (
    *({}, {}, {"segmentation": "rle"}, {"join_parts": True}, {"instances": "image"}, {"instances": "merge:3"}),
    *({"min_iou": 0.9}, {"min_area": 4}, {"classes": "binary"}, {"workers": 2}),
)


def _size(rng: random.Random) -> tuple[int, int]:
    tiny = (rng.randint(1, 5), rng.randint(1, 300))
    return rng.choice(((rng.randint(1, 130), rng.randint(1, 130)), (48, 64), (64, 48), tiny, tiny[::-1]))


def _mask(rng: random.Random) -> npt.NDArray[np.uint8]:
    """A shape: clouds, specks, a box up to the border, or a line. Something is marked in it."""
    gen = np.random.default_rng(rng.getrandbits(64))
    height, width = _size(rng)
    y, x = rng.randrange(height), rng.randrange(width)
    mask = np.zeros((height, width), np.uint8)
    kind = rng.randrange(5)
    if kind == 0:
        mask[cv2.GaussianBlur(gen.random((height, width)), (0, 0), 3) > 0.51] = 255
    elif kind == 1:
        mask[gen.random((height, width)) < 0.1] = 255
    elif kind == 2:
        mask[y : y + rng.randint(1, height), x : x + rng.randint(1, width)] = 255
    elif kind == 3:
        end = (rng.randrange(width), rng.randrange(height))
        cv2.line(mask, (x, y), end, 255, rng.randint(1, 4))
    else:  # all but a bite
        mask[:] = 255
        mask[y : y + rng.randint(0, height), x : x + rng.randint(0, width)] = 0
    if not mask.any():
        mask[y, x] = 255
    return mask


def attempt(home: Path, judge: Judge, rng: random.Random) -> None:
    root, out = home / "data", home / "out"
    shutil.rmtree(root, ignore_errors=True)
    shutil.rmtree(out, ignore_errors=True)
    for number in range(_IMAGES):
        mask = _mask(rng)
        defect = rng.choice("ab")
        save(root / "part/test" / defect / f"{number}.png", mask)
        save(root / "part/ground_truth" / defect / f"{number}_mask.png", mask)
    options = rng.choice(_OPTIONS)

    def keep(where: Path) -> None:
        shutil.copytree(root, where, dirs_exist_ok=True)

    dataset = load_dataset(root)
    done = judge.run(lambda: convert(dataset, out, FORMATS, images="none", **options), f"convert: {options}", keep)  # type: ignore[arg-type]
    if done.status != "ok":
        judge.find(f"sound masks are refused: {options}", f"{done.value}", keep)
        return
    least = float(str(options.get("min_iou", 1.0)))
    told = judge.run(lambda: verify(out, min_iou=least), f"verify: {options}", keep)
    if told.status == "ok":
        for report in (report for report in told.value.trees if report.failures):
            judge.find(
                f"verify fails on what convert wrote: {report.tree.name}", f"{options} {report.failures[0]}", keep
            )


CHECK = Check(count=60, prepare=lambda home: home, attempt=attempt)
