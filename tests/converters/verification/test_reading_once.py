"""The proof reads each source image once for all trees, and labels once where every reader makes the same of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from converters import FORMATS, convert, verify
from converters.sources import MaskedSample
from tests.converters.support import make_dataset
from tests.masks import SHAPES
from toolkit import Dataset


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    masks = {"dent": [SHAPES["ring"]], "scratch": [SHAPES["disk"], SHAPES["comb"]]}
    return make_dataset(tmp_path_factory.mktemp("source") / "dataset", masks, good=1)


@pytest.fixture
def trees(source: Dataset, tmp_path: Path) -> Path:
    convert(source, tmp_path / "out", FORMATS)
    return tmp_path / "out"


def test_masks_are_read_once_for_all_trees(source: Dataset, trees: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, keys = MaskedSample.read, []

    def counting(member: MaskedSample, *arguments: Any) -> Any:
        keys.append(member.sample.key)
        return read(member, *arguments)

    monkeypatch.setattr(MaskedSample, "read", counting)
    assert verify(trees, source).passed
    assert sorted(keys) == sorted(sample.key for sample in source)


def test_a_row_that_one_reader_fills_otherwise_counts_as_the_worse(source: Dataset, trees: Path) -> None:
    """Truncated it is as it was; rounded it lies a pixel further."""
    assert verify(trees / "yolo-segment", source).min_iou == 1
    path = next(file for file in sorted(trees.glob("yolo-segment/labels/*/*scratch*000*.txt")) if file.stat().st_size)
    label, *values = path.read_text().splitlines()[0].split()
    height, width = SHAPES["disk"].shape
    side = np.tile([width, height], len(values) // 2)
    moved = (np.floor(np.array(values, float) * side + 1e-6) + 0.75) / side
    path.write_text(" ".join([label, *(f"{value:.6f}" for value in moved)]) + "\n")
    report = verify(trees / "yolo-segment", source)
    assert report.min_iou is not None
    assert 0 < report.min_iou < 1


@pytest.mark.parametrize("kind", ["semantic", "panoptic", "masks"])
@pytest.mark.parametrize("where", ["first pixel", "last pixel", "inside"])
def test_one_wrong_pixel_of_a_map_is_found(source: Dataset, trees: Path, kind: str, where: str) -> None:
    found = {"semantic": "masks/*/*scratch*000*.png", "panoptic": "panoptic_*/*scratch*000*.png"}
    (path,) = (trees / kind).glob(found.get(kind, "*/ground_truth/scratch/*000*.png"))
    pixels: Any = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    marked = np.argwhere(pixels.reshape(*pixels.shape[:2], -1).any(axis=2))
    y, x = {"first pixel": (0, 0), "last pixel": (-1, -1), "inside": marked[len(marked) // 2]}[where]
    pixels[y, x] = pixels[tuple(marked[0])] if where != "inside" else 0
    cv2.imwrite(str(path), pixels)
    report = verify(trees / kind, source)
    (tree,) = report.trees
    assert not report.passed
    assert tree.min_iou is not None
    assert tree.min_iou < 1
    assert len(tree.worst) == 1
