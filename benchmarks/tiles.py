"""Tiles of real masks: cut, written, read by pycocotools and put together again, beside what `verify` says of them.

    python -m benchmarks.tiles mvtec_ad/screw mvtec_ad/bottle

Images that show a defect are cut into tiles of 256 and 640 pixels, without and with an overlap of .2.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from pycocotools.coco import COCO

from benchmarks.timing import environment, memory_folder
from converters import convert, verify
from toolkit import Dataset, Tiles, load_dataset
from toolkit.aliases import BoolArray
from toolkit.dataset.keys import key_of_file_name
from toolkit.dataset.samples import Sample
from toolkit.geometry.tiles import image_of_tile

FORMATS = ("coco", "yolo-segment", "semantic", "masks")
HEADER = ("product", "side", "overlap", "images", "tiles", "with objects", "parts", "cut", "written", "verify", "exact")


class Row(NamedTuple):
    """What came of one way to cut: counts of the manifest, the least IoU of `verify`, masks that pycocotools gives."""

    tiles: dict[str, int]
    parts: dict[str, int]
    least: float | None
    exact: int


def measure(dataset: Dataset, tiles: Tiles) -> Row:
    """Cut the images of a dataset, prove it, and put the tiles together by hand."""
    with memory_folder() as folder:
        report = convert(dataset, folder, FORMATS, tiles=tiles)
        proof = verify(folder, dataset)
        if not proof.passed:
            raise SystemExit("\n".join(proof.failures))
        told = report.manifests["coco"]["tiles"]
        exact = sum(map(int, _same(Path(folder) / "coco", dataset)))
        return Row(told, told["parts"], proof.min_iou, exact)


def _same(tree: Path, dataset: Dataset) -> list[bool]:
    """Of each image whether the tiles that pycocotools reads are together its mask; each must be right by itself."""
    pasted: dict[str, BoolArray] = {}
    right: dict[str, bool] = {}
    truths = {sample.key: _mask(sample) for sample in dataset}
    for file in sorted((tree / "annotations").glob("*.json")):
        with redirect_stdout(StringIO()):
            coco = COCO(str(file))
        for image in coco.loadImgs(coco.getImgIds()):
            found = image_of_tile(key_of_file_name(Path(image["file_name"]).stem))
            if found is None:
                raise SystemExit(f"{image['file_name']} is no name of a tile")
            key, (x, y) = found
            truth = truths[key]
            shown = np.zeros((image["height"], image["width"]), np.bool_)
            for one in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
                shown |= coco.annToMask(one) > 0
            place = np.s_[y : y + image["height"], x : x + image["width"]]
            right[key] = right.get(key, True) and np.array_equal(shown, truth[place])
            pasted.setdefault(key, np.zeros_like(truth))[place] |= shown
    return [right.get(key, False) and np.array_equal(pasted[key], truth) for key, truth in truths.items()]


def _mask(sample: Sample) -> BoolArray:
    """The union of the masks of an image, as OpenCV reads them."""
    masks = [cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE) for mask in sample.masks]
    return np.asarray(np.logical_or.reduce([mask > 0 for mask in masks if mask is not None]), np.bool_)


def main(roots: list[str]) -> None:
    """Print the table."""
    print(f"{environment('pycocotools')}\n\n| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}")
    for root in roots:
        dataset = load_dataset(root)
        dataset = dataset.without(sample.key for sample in dataset if not sample.masks)
        for side in (256, 640):
            for overlap in (0.0, 0.2):
                row = measure(dataset, Tiles(side, overlap))
                counts = (row.tiles["images"], row.tiles["tiles"], row.tiles["tiles"] - row.tiles["background"])
                parts = (row.parts["found"], row.parts["cut"], row.parts["written"])
                told = (
                    Path(root).name,
                    side,
                    f"{overlap:g}",
                    *counts,
                    *parts,
                    "-" if row.least is None else f"{row.least:.4f}",
                )
                print(f"| {' | '.join(map(str, told))} | {row.exact} of {len(dataset)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
