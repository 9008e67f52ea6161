"""Four times the components, or the samples, take about four times as long, in every format and command."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from functools import partial
from math import ceil, isqrt
from pathlib import Path

import numpy as np
import numpy.typing as npt

from converters import convert, read_labels, verify, view
from tests.commands import save
from tests.fuzz.check import Check
from tests.fuzz.judge import Judge
from tests.fuzz.making.trees import FORMATS
from toolkit import describe_dataset, load_dataset, split_dataset

_COMPONENTS, _SAMPLES, _TIMES = 1000, 150, 4
_STEEP = 2.5  # times what is linear: four times as many in ten times the time
_NOISE = 0.3  # seconds of the processor
_COMMANDS = ("load", "split", "describe", "convert", "verify", "read", "view")


def _specks(count: int) -> npt.NDArray[np.uint8]:
    """A mask of so many pixels that touch none other."""
    side = isqrt(count - 1) + 1
    mask = np.zeros((3 * ceil(count / side) + 1, 3 * side + 1), np.uint8)
    for number in range(count):
        mask[1 + 3 * (number // side), 1 + 3 * (number % side)] = 255
    return mask


def _seconds(judge: Judge, function: Callable[[], object], what: str) -> float:
    began = time.process_time()
    judge.run(function, what)
    return time.process_time() - began


def _compare(judge: Judge, what: str, few: float, many: float) -> None:
    if many > _STEEP * _TIMES * few + _NOISE:
        judge.find(f"time that grows: {what}", f"{few:.2f} s, {_TIMES} times as many {many:.2f} s")


def _of_components(home: Path, judge: Judge, name: str) -> None:
    taken: dict[str, list[float]] = {}
    for count in (_COMPONENTS // 10, _COMPONENTS, _TIMES * _COMPONENTS):  # the first loads what is loaded once
        root, out = home / "data", home / "out"
        for folder in (root, out, home / "gallery"):
            shutil.rmtree(folder, ignore_errors=True)
        mask = _specks(count)
        save(root / "part/test/a/0.png", mask)
        save(root / "part/ground_truth/a/0_mask.png", mask)
        steps = {
            "convert": partial(convert, root, out, [name], images="symlink"),
            "verify": partial(verify, out),
            "read": lambda tree=out / name: [len(image.instances) for image in read_labels(tree)],
            "view": partial(view, out / name, home / "gallery"),
        }
        for step, function in steps.items():
            taken.setdefault(step, []).append(_seconds(judge, function, f"{step} {name} of {count} components"))
    for step, (_, few, many) in taken.items():
        _compare(judge, f"components, {step} {name}", few, many)


def _of_samples(home: Path, judge: Judge) -> None:
    taken: dict[str, list[float]] = {}
    for count in (_SAMPLES // 10, _SAMPLES, _TIMES * _SAMPLES):
        root, out = home / "data", home / "out"
        for folder in (root, out, home / "gallery"):
            shutil.rmtree(folder, ignore_errors=True)
        for number in range(count):
            pixels = np.random.default_rng(number).integers(0, 256, (16, 16)).astype(np.uint8)
            defect = "a" if number % 2 else "good"
            save(root / "part/test" / defect / f"{number:06}.png", pixels)
            if number % 2:
                mask = np.zeros((16, 16), np.uint8)
                mask[number % 10 :, 3:9] = 255
                save(root / "part/ground_truth/a" / f"{number:06}_mask.png", mask)
        dataset = load_dataset(root)
        steps: tuple[Callable[[], object], ...] = (
            partial(load_dataset, root),
            partial(split_dataset, dataset, "stratified"),
            partial(describe_dataset, dataset),
            partial(convert, dataset, out, ["coco", "yolo-segment", "panoptic"]),
            partial(verify, out),
            lambda tree=out / "coco": [len(image.instances) for image in read_labels(tree)],
            partial(view, out / "coco", home / "gallery"),
        )
        for step, function in zip(_COMMANDS, steps, strict=True):
            taken.setdefault(step, []).append(_seconds(judge, function, f"{step} of {count} samples"))
    for step, (_, few, many) in taken.items():
        _compare(judge, f"samples, {step}", few, many)


def attempt(home: Path, judge: Judge, rng: random.Random) -> None:
    if judge.number < len(FORMATS):
        _of_components(home, judge, FORMATS[judge.number])
    else:
        _of_samples(home, judge)


CHECK = Check(count=len(FORMATS) + 1, prepare=lambda home: home, attempt=attempt, cases=(*FORMATS, "samples"))
