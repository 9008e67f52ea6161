"""Damaged Pascal VOC trees: ours, without images, without a manifest, and as other tools leave them."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from converters import convert
from tests.fuzz.check import Check
from tests.fuzz.checks import labels
from tests.fuzz.judge import Judge
from tests.fuzz.making.trees import make_dataset
from toolkit import load_dataset


def prepare(home: Path) -> labels.World:
    root = make_dataset(home / "data")
    convert(root, home / "with", ["voc", "coco"], images="copy")
    convert(root, home / "without", ["voc"], images="none")
    convert(home / "with/coco", home / "boxes", ["yolo-detect"], images="copy")
    convert(home / "boxes/yolo-detect", home / "again", ["voc"], images="copy")
    trees = {"voc": home / "with/voc", "voc without images": home / "without/voc", "coco": home / "with/coco"}
    for name, tree in (("voc", home / "with/voc"), ("voc boxes", home / "again/voc")):
        foreign = home / "foreign" / name.replace(" ", "-")
        shutil.copytree(tree, foreign)
        (foreign / "manifest.json").unlink()
        trees[f"{name} of another tool"] = foreign
    return labels.World(home, trees, load_dataset(root))


def attempt(world: labels.World, judge: Judge, rng: random.Random) -> None:
    labels.attempt(world, judge, rng)


CHECK = Check(count=3000, prepare=prepare, attempt=attempt)
