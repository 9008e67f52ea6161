"""A small dataset, and sound label trees of it in every format."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt

from converters import convert
from tests.commands import save

__all__ = ["FORMATS", "HEIGHT", "WIDTH", "copy_tree", "make_dataset", "make_trees", "picture", "stain"]

FORMATS = (
    *("coco", "yolo-detect", "yolo-segment", "yolo-obb", "semantic", "panoptic", "masks"),
    "yolo-classify",  # the last: it holds no shapes
)
WIDTH, HEIGHT = 40, 32
_FOREIGN = ("yolo-detect", "yolo-segment", "yolo-obb", "coco", "semantic", "panoptic")


def picture(number: int) -> npt.NDArray[np.uint8]:
    """A colour image that no other number gives."""
    return np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def stain(number: int, *, broken: bool = False) -> npt.NDArray[np.uint8]:
    """A mask: a bar; or one with a hole, and a second part."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[5 + number : 20, 8:25] = 255
    if broken:
        mask[10:14, 12:16] = 0
        mask[28:30, 30:36] = 255
    return mask


def make_dataset(root: Path) -> Path:
    """Two kinds of defect and good images, in MVTec layout; its root."""
    home = root / "part"
    save(home / "train/good/000.png", picture(0))
    for number in range(2):
        save(home / f"test/good/{number:03}.png", picture(1 + number))
    for place, defect in enumerate(("scratch", "hole"), 1):
        for number in range(3):
            save(home / f"test/{defect}/{number:03}.png", picture(10 * place + number))
            save(home / f"ground_truth/{defect}/{number:03}_mask.png", stain(number, broken=defect == "hole"))
    return root


def make_trees(home: Path, dataset: Path) -> dict[str, Path]:
    """Name -> label tree: of each format, with images and without, with run lengths, and without our manifest."""
    convert(dataset, home / "with", FORMATS, images="copy")
    convert(dataset, home / "without", FORMATS, images="none")
    convert(dataset, home / "runs", ["coco"], segmentation="rle", images="copy")
    trees = {name: home / "with" / name for name in FORMATS}
    trees |= {f"{name} without images": home / "without" / name for name in FORMATS}
    trees["coco of runs"] = home / "runs/coco"
    for name in (*_FOREIGN, "coco of runs"):
        foreign = home / "foreign" / name.replace(" ", "-")
        shutil.copytree(trees[name], foreign)
        (foreign / "manifest.json").unlink()
        trees[f"{name} of another tool"] = foreign
    return trees


def copy_tree(source: Path, target: Path) -> Path:
    """A tree anew, in place of what stands there; its files are links, and to be replaced, not written into."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, copy_function=os.link)
    return target
